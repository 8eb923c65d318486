"""Build the shipped lexicon from NLTK's WordNet.

    python -m periodic_table.lexicon.build [--source DIR] [--out FILE]

Takes about a minute and gives the same bytes every time.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from periodic_table.lexicon.nltk_reader import NltkLexicon
from periodic_table.lexicon.protocol import POS, Lexicon, LexiconCorrupt, LexiconMissing
from periodic_table.lexicon.snapshot import Snapshot, read_snapshot
from periodic_table.lexicon.storage import SHIPPED, Arrays, pack_arrays, write_snapshot

# WordNet 3.0. Two senses are one where a synset has a word in two spellings ("A", "a"), hence the two last figures.
# Source: the database's own documentation, wnstats(7WN) and senseidx(5WN), and NLTK's reader.
EXPECTED = {
    "noun synsets": 82_115,
    "verb synsets": 13_767,
    "adjective synsets": 18_156,
    "adjective satellites among them": 10_693,
    "adverb synsets": 3_621,
    "lexicographer files": 45,
    "lemmas": 147_306,
    "words in synsets": 206_978,
    "senses": 206_941,
}


@dataclass(frozen=True)
class Options:
    """Where to read WordNet, and where to write the snapshot."""

    source: Path | None = None
    """NLTK data folder, with corpora/wordnet.zip or corpora/wordnet in it; by default where NLTK looks for data
    (NLTK_DATA), and last $ASA_DATA/nltk_data."""
    out: Path = SHIPPED
    """File to write; its manifest and the WordNet licence go beside it."""


def pack(lexicon: Lexicon) -> Arrays:
    """A whole lexicon as the arrays that `periodic_table.lexicon.snapshot` documents.

    Cost: one pass over all synsets and one over all lemmas.
    """
    synsets = list(lexicon.synsets())
    index = {synset.name: place for place, synset in enumerate(synsets)}
    lexname = {name: place for place, name in enumerate(lexicon.lexnames)}
    forms = sorted({form for synset in synsets for form in synset.lemmas}, key=lambda form: (form.lower(), form))
    form = {text: place for place, text in enumerate(forms)}
    senses = [lexicon.senses(lemma) for lemma in lexicon.lemmas()]
    flat = list(itertools.chain.from_iterable(senses))
    arrays: Arrays = {
        "lexnames": _text(lexicon.lexnames),
        "forms": _text(forms),
        "synset_pos": _integers([POS.index(synset.pos) for synset in synsets], "u1"),
        "synset_lexname": _integers([lexname[synset.lexname] for synset in synsets], "u1"),
        "synset_number": _integers([int(synset.name.rpartition(".")[2]) for synset in synsets], "u1"),
        "synset_size": _integers([len(synset.lemmas) for synset in synsets], "u1"),
        "synset_forms": _integers([form[text] for synset in synsets for text in synset.lemmas], "<i4"),
        "lemma_size": _integers([len(row) for row in senses], "u1"),
        "sense_synset": _integers([index[sense.synset] for sense in flat], "<i4"),
        "sense_count": _integers([sense.count for sense in flat], "<u2"),
    }
    for relation in ("hypernyms", "instance_hypernyms"):
        pairs = [(place, index[name]) for place, synset in enumerate(synsets) for name in getattr(synset, relation)]
        arrays[relation] = _integers(sorted(pairs), "<i4").reshape(-1, 2)
    return arrays


def check_sizes(arrays: Arrays) -> None:
    """Compare a packed lexicon with the known size of WordNet 3.0.

    Raises:
        LexiconCorrupt: something is missing or too much; the message lists every figure that differs.
    """
    n, v, a, s, r = np.bincount(arrays["synset_pos"].astype(np.int64), minlength=len(POS)).tolist()
    found = {
        "noun synsets": n,
        "verb synsets": v,
        "adjective synsets": a + s,
        "adjective satellites among them": s,
        "adverb synsets": r,
        "lexicographer files": arrays["lexnames"].tobytes().count(b"\n") + 1,
        "lemmas": len(arrays["lemma_size"]),
        "words in synsets": len(arrays["synset_forms"]),
        "senses": len(arrays["sense_synset"]),
    }
    wrong = [f"{found[what]:,} {what} instead of {count:,}" for what, count in EXPECTED.items() if found[what] != count]
    if wrong:
        raise LexiconCorrupt(f"the source is not a whole WordNet 3.0: {'; '.join(wrong)}; get NLTK's 'wordnet' anew")


def check_against(snapshot: Snapshot, source: NltkLexicon) -> None:
    """Compare what a snapshot says with what NLTK says: every noun's record, asked for by name.

    Raises:
        LexiconCorrupt: they differ; the message names the first synset.
    """
    for expected in source.synsets("n"):
        if snapshot.synset(expected.name) != expected:
            raise LexiconCorrupt(f"{expected.name} came out as {snapshot.synset(expected.name)}, NLTK has {expected}")


def build(source: NltkLexicon, out: Path) -> Snapshot:
    """Pack, check and write a snapshot, and read it back.

    Raises:
        LexiconCorrupt: the source is not WordNet 3.0, or NLTK is older than 3.9.2, or the result differs from it.
        OSError: the files cannot be written.
    """
    # NLTK up to 3.9.1 numbers satellites among all adjectives of the word: 2,007 names differ (nltk/nltk#3400).
    if source.senses("able", "s")[0].synset != "able.s.01":
        raise LexiconCorrupt(
            "this NLTK names adjective satellites in the old way; get a newer: pip install 'nltk>=3.9.2'"
        )
    arrays = pack(source)
    check_sizes(arrays)
    write_snapshot(
        out,
        pack_arrays(arrays),
        version=source.version,
        licence="WordNet 3.0 licence (Princeton University)",
        licence_text=source.reader.license(),
        source="WordNet 3.0 as distributed by NLTK (corpora/wordnet), without glosses",
    )
    snapshot = read_snapshot(out)
    check_against(snapshot, source)
    return snapshot


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; exit status 0, or 2 with one line on stderr where the source or the disk does not allow it."""
    import tyro

    options = tyro.cli(Options, prog="python -m periodic_table.lexicon.build", description=__doc__, args=argv)
    try:
        print("reading WordNet through NLTK", file=sys.stderr)
        source = NltkLexicon(options.source)
        print("packing and checking", file=sys.stderr)
        snapshot = build(source, options.out)
    except (LexiconMissing, LexiconCorrupt, OSError) as error:
        print(f"error: {type(error).__name__}: {error}", file=sys.stderr)
        return 2
    print(f"{options.out} ({options.out.stat().st_size:,} bytes)\nsha256 {snapshot.sha256}")
    return 0


def _text(lines: Sequence[str]) -> NDArray[np.uint8]:
    return np.frombuffer("\n".join(lines).encode("utf-8"), dtype=np.uint8)


def _integers(values: Sequence[Any], dtype: str) -> NDArray[Any]:
    # numpy refuses a Python integer that the type cannot hold, so nothing wraps around unseen.
    return np.array(values, dtype=dtype)


if __name__ == "__main__":
    sys.exit(main())
