"""Parts of speech for words, from three kinds of evidence that must not be confused.

    from periodic_table.tagging import load_tagger
    load_tagger("type-level").tag(["the", "dogs"])        # the form alone
    load_tagger("left-to-right").tag(["the", "dogs"])     # and what stands before it
    load_tagger("full-context").tag(["the", "dogs"])      # and what stands after it: not causal

The first two may be used inside a causal language model, the third never: `tagger.causal` says so, and
`require_causal(tagger)` refuses it. `python -m periodic_table.tagging.build` trains all three anew.
"""

from __future__ import annotations

import functools

from periodic_table.shipped import ModelCorrupt, ModelMissing
from periodic_table.tagging.tagger import TAGS, NotCausal, Tagger, require_causal

__all__ = [
    "TAGS",
    "ModelCorrupt",
    "ModelMissing",
    "NotCausal",
    "Tagger",
    "UnknownTagger",
    "load_tagger",
    "require_causal",
]

TAGGERS = ("type-level", "left-to-right", "full-context")
REBUILD = "python -m periodic_table.tagging.build"
SCHEMA = "tags.v1"


class UnknownTagger(LookupError):
    """A tagger that there is not."""


@functools.cache
def load_tagger(name: str = "type-level") -> Tagger:
    """A shipped tagger, read once in a process.

    Args:
        name: "type-level", "left-to-right" or "full-context".

    Raises:
        UnknownTagger: there is no such tagger; the message lists them.
        ModelMissing: its file, or that of the lexicon, is not there.
        ModelCorrupt: its file is not the one that was released.

    Cost: 0.4 s, most of it for WordNet.
    """
    from periodic_table.shipped import read_model
    from periodic_table.tagging.counts import FormCounts
    from periodic_table.tagging.log_linear import unpack
    from periodic_table.tagging.type_level import TypeLevelTagger
    from periodic_table.tagging.window import FullContextTagger, LeftToRightTagger

    if name not in TAGGERS:
        raise UnknownTagger(f"no tagger {name!r}; there are: {', '.join(TAGGERS)}")
    types = read_model("tags-type-level", SCHEMA, REBUILD)
    counts = FormCounts.unpack(types)
    if name == "type-level":
        return TypeLevelTagger(counts, unpack(types))
    kind = LeftToRightTagger if name == "left-to-right" else FullContextTagger
    return kind(counts, unpack(read_model(f"tags-{name}", SCHEMA, REBUILD)))
