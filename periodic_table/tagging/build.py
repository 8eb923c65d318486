"""Train the shipped taggers anew from UD English EWT.

    python -m periodic_table.tagging.build [--data DIR] [--out DIR]

Takes two minutes and gives the same bytes every time on one machine. Trained on the train part alone; what had to be
chosen was chosen on the dev part; the test part is only reported.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from periodic_table.lexicon.storage import Arrays
from periodic_table.shipped import DATA, write_model
from periodic_table.tagging import SCHEMA
from periodic_table.tagging.context import Template, joined, own_features, symbols
from periodic_table.tagging.counts import FormCounts
from periodic_table.tagging.log_linear import Hashes, pack, unpack
from periodic_table.tagging.looks import normal
from periodic_table.tagging.tagger import TAGS, Tagger
from periodic_table.tagging.train import Examples, Recipe, fit
from periodic_table.tagging.type_level import RARE, TypeLevelTagger, look_features
from periodic_table.tagging.window import FullContextTagger, LeftToRightTagger
from periodic_table.treebank_files import LICENCE, SOURCE, TreebankMissing, sentences

Tagged = list[tuple[str, str]]
T = TypeVar("T")

# Every other eight sentences are learned from as running text, so that the taggers know both.
RUN = 8
# Weights nearer to 0 are not shipped: 1 MB instead of 4 for a loss of 0.1 points on the dev part.
LEAST = {"type-level": 0.15, "left-to-right": 0.15, "full-context": 0.12}


@dataclass(frozen=True)
class Options:
    """Where the treebank is, and where the files go."""

    data: Path | None = None
    """Folder that has ud/en_ewt-ud-train.conllu and so on, plain or .xz; by default $ASA_DATA."""
    out: Path = DATA
    """Folder to write to."""
    seed: int = 0
    """Order in which the examples are learned from."""


def build(train: list[Tagged], seed: int) -> dict[str, tuple[Tagger, Arrays]]:
    """Train the three taggers.

    Args:
        train: sentences of (form, tag).

    Returns:
        name -> the tagger, as it will be when it is read again, and the arrays to store.
    """
    counts = FormCounts.of(itertools.chain.from_iterable(train))
    looks = _looks(train, counts, seed)
    out: dict[str, tuple[Tagger, Arrays]] = {
        "type-level": (TypeLevelTagger(counts, unpack(looks)), {**counts.pack(), **looks})
    }
    for kind in (LeftToRightTagger, FullContextTagger):
        examples = window_examples(with_runs(train), kind.templates, counts)
        arrays = pack(*fit(examples, Recipe(), seed), LEAST[kind.name])
        out[kind.name] = kind(counts, unpack(arrays)), arrays
    return out


def _looks(train: list[Tagged], counts: FormCounts, seed: int) -> Arrays:
    words = [(normal(form), tag) for sentence in train for form, tag in sentence]
    rare = [(form, tag) for form, tag in words if counts.forms[form].sum() <= RARE]
    features = [np.array(look_features(form), dtype=np.uint64) for form, _ in rare]
    return pack(*fit(_examples(features, [tag for _, tag in rare]), Recipe(rarest=2), seed), LEAST["type-level"])


def with_runs(sentences: list[Tagged]) -> list[Tagged]:
    """The sentences, every other eight of them joined to one text."""
    runs = [sentences[start : start + RUN] for start in range(0, len(sentences), RUN)]
    texts = ([list(itertools.chain.from_iterable(run))] if number % 2 else run for number, run in enumerate(runs))
    return list(itertools.chain.from_iterable(texts))


def window_examples(texts: list[Tagged], templates: tuple[Template, ...], counts: FormCounts) -> Examples:
    """What a window tagger sees of each word of some texts, and the word's tag."""
    own, of_word = _remembered(own_features, counts), _remembered(symbols, counts)
    features, tags = [], []
    for text in texts:
        forms = [normal(form) for form, _ in text]
        around = joined(np.array([of_word(form) for form in forms], dtype=np.uint64), templates)
        features += [
            np.concatenate([np.array(own(form), dtype=np.uint64), row]) for form, row in zip(forms, around, strict=True)
        ]
        tags += [tag for _, tag in text]
    return _examples(features, tags)


def _remembered(function: Callable[[str, FormCounts], T], counts: FormCounts) -> Callable[[str], T]:
    known: dict[str, T] = {}

    def call(form: str) -> T:
        if form not in known:
            known[form] = function(form, counts)
        return known[form]

    return call


def _examples(features: list[Hashes], tags: list[str]) -> Examples:
    start = np.concatenate([[0], np.cumsum([len(row) for row in features])])
    return Examples(np.concatenate(features), start, np.array([TAGS.index(tag) for tag in tags]))


def accuracy(tagger: Tagger, texts: list[Tagged]) -> float:
    """Share of words with the right tag."""
    right = [
        tag == gold
        for text in texts
        for tag, (_, gold) in zip(tagger.tag([form for form, _ in text]), text, strict=True)
    ]
    return sum(right) / len(right)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; exit status 0, or 2 with one line on stderr where the source or the disk does not allow it."""
    import tyro

    options = tyro.cli(Options, prog="python -m periodic_table.tagging.build", description=__doc__, args=argv)
    try:
        parts = {
            part: [[(token.form, token.upos) for token in sentence] for sentence in sentences(part, options.data)]
            for part in ("train", "dev", "test")
        }
        for name, (tagger, arrays) in build(parts["train"], options.seed).items():
            path = write_model(f"tags-{name}", arrays, SCHEMA, f"trained on {SOURCE}, train part", LICENCE, options.out)
            shares = "  ".join(f"{part} {accuracy(tagger, parts[part]):.4f}" for part in ("dev", "test"))
            print(f"{path.name}  {path.stat().st_size:,} bytes  UPOS accuracy: {shares}")
    except (TreebankMissing, ValueError, OSError) as error:
        print(f"error: {type(error).__name__}: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
