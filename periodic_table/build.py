"""Build every file of the table that ships, the same bytes every time.

    python -m periodic_table.build [--data DIR] [--out DIR]

Takes five minutes, four of them for the company of words. The lexicons come first: `periodic_table.lexicon.build`,
`relations_build` and `verbnet_build`. Tags and classes have their own: `periodic_table.tagging.build` and
`periodic_table.word_classes.build`.
"""

from __future__ import annotations

import os
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from periodic_table import abstraction, company, hierarchy, valence
from periodic_table.annotation import annotate
from periodic_table.company_build import pairs, ppmi, vectors
from periodic_table.element import OPEN, UPOS
from periodic_table.isotopes import load_isotopes
from periodic_table.lexicon.protocol import LexiconMissing
from periodic_table.lexicon.relations import load_relations
from periodic_table.lexicon.relations_build import gloss_lemma, read_records
from periodic_table.lexicon.storage import Arrays, read_arrays
from periodic_table.lexicon.verbnet_build import corpora
from periodic_table.lexicon.wordnet_files import exceptions, open_wordnet
from periodic_table.morphology import CLOSED, EXCEPTIONS
from periodic_table.shipped import DATA, write_model
from periodic_table.slots import SLOTS
from periodic_table.storage import write_atomic
from periodic_table.table import PeriodicTable
from periodic_table.treebank import Counts, count
from periodic_table.treebank_files import LICENCE, SOURCE, TreebankMissing, sentences
from periodic_table.walk import load_walk

WORDNET = "WordNet 3.0 licence (Princeton University), periodic_table/lexicon/data/WORDNET_LICENSE"
# Kinds of things, and kinds of doings, that get an axis of their own.
KINDS = ((0, 200), (1, 60))
# A kind that is nearly all of the kind above it says nothing new.
NEARLY = 0.95
# Size of the table v1.0, and how many words of each part of speech and supersense it has at least.
WORDS, EACH = 1000, 3
# Strength of the ridge of the valence prior, and what a word's weight saturates at.
RIDGE, HALF = 3.0, 5.0


@dataclass(frozen=True)
class Options:
    """Where the sources are, and where the files go."""

    data: Path | None = None
    """Folder with nltk_data/ and ud/ in it; by default $ASA_DATA."""
    out: Path = DATA
    """Folder for the files."""


def build_exceptions(source: Path, out: Path) -> Path:
    """Irregular forms of WordNet's parts of speech."""
    with open_wordnet(corpora(source) / "wordnet.zip") as archive:
        irregular = sorted({(pos, form, bases[0]) for pos, form, bases in exceptions(archive) if bases})
    return _write_rows(out / EXCEPTIONS.name, f"WordNet 3.0, exception lists; {WORDNET}", irregular)


def build_closed(counts: Counts, out: Path) -> Path:
    """The forms of closed classes that the treebank has at least twice."""
    closed = []
    for (form, tag), lemmas in sorted(counts.lemmas.items()):
        lemma = min(lemmas, key=lambda lemma: (-lemmas[lemma], lemma))
        if tag not in OPEN | {"NUM", "PUNCT", "SYM", "X"} and lemma != form and lemmas[lemma] > 1:
            closed.append((tag, form, lemma))
    return _write_rows(out / CLOSED.name, f"counted in {SOURCE}; {LICENCE}", sorted(closed))


def build_valence(counts: Counts, out: Path) -> Path:
    """Slot counts, and the priors fitted to them."""
    entries = sorted(counts.occurrences, key=lambda entry: (UPOS.index(entry[1]), entry[0]))
    slots = [sorted(counts.slots[entry].items()) for entry in entries]
    arrays: Arrays = {
        "entries": _text("\t".join(entry) for entry in entries),
        "occurrences": np.array([counts.occurrences[entry] for entry in entries], dtype="<u4"),
        "slots_size": np.array([len(row) for row in slots], dtype="u1"),
        "slots": np.array([slot for row in slots for slot, _ in row], dtype="u1"),
        "slots_count": np.array([number for row in slots for _, number in row], dtype="<u2"),
    }
    arrays["prior"] = np.round(_priors(entries, counts) / valence.UNIT).astype("<i4")
    return write_model(valence.NAME, arrays, valence.SCHEMA, f"counted in {SOURCE}, train part", LICENCE, out)


def build_kinds(out: Path) -> Path:
    """The synsets that most of the tagged uses of words lie under, none nearly the same as one above it."""
    isotopes, tree = load_isotopes(), hierarchy.load_hierarchy()
    use = isotopes.probability * (0.05 + np.log1p(isotopes.tagged[isotopes.of_sense]))
    mass = tree.below(np.bincount(isotopes.synset, use, tree.size).astype(np.float64))
    edges = read_arrays()[1]["hypernyms"].astype(np.int64)
    above = np.full(tree.size, -np.inf)
    np.maximum.at(above, edges[:, 0], mass[edges[:, 1]])
    names = []
    for pos, number in KINDS:
        # The smallest of several parents decides; a root has none.
        own = np.flatnonzero((isotopes.synset_pos == pos) & ((above < 0) | (mass < NEARLY * above)))
        names += [isotopes.name(int(synset)) for synset in own[np.lexsort((own, -mass[own]))][:number]]
    return _write_rows(out / hierarchy.KINDS.name, f"chosen from WordNet 3.0; {WORDNET}", ((name,) for name in names))


def build_periods(out: Path) -> Path:
    """The abstraction of each meaning."""
    scores = abstraction.scores(load_isotopes(), hierarchy.load_hierarchy(), load_walk())
    arrays: Arrays = {"scores": np.round(np.clip(scores, 1, 5) / abstraction.UNIT).astype("u1")}
    return write_model(abstraction.NAME, arrays, abstraction.SCHEMA, "computed from WordNet 3.0", WORDNET, out)


def build_company(source: Path, out: Path) -> Path:
    """The company of words in WordNet's glosses."""
    terms = load_relations().terms
    counts, size = pairs((record.gloss for record in read_records(source)), gloss_lemma(), terms)
    arrays: Arrays = {"vectors": vectors(ppmi(counts, size), size, len(terms))}
    return write_model(company.NAME, arrays, company.SCHEMA, "computed from the glosses of WordNet 3.0", WORDNET, out)


def build_table(counts: Counts, out: Path) -> Path:
    """v1.0: the words that cover most of the training text, each in its most frequent part of speech.

    The last are chosen so that each part of speech and each supersense has at least `EACH` words, where the treebank
    has so many.
    """
    by_lemma: dict[str, Counter[tuple[str, str]]] = defaultdict(Counter)
    for (lemma, tag), number in counts.occurrences.items():
        by_lemma[lemma.lower()][lemma, tag] = number
    order = sorted(by_lemma, key=lambda lemma: (-by_lemma[lemma].total(), lemma))
    keys = [min(by_lemma[lemma], key=lambda key: (-by_lemma[lemma][key], key)) for lemma in order]
    elements = annotate([lemma for lemma, _ in keys], [tag for _, tag in keys])
    wanted: Counter[str] = Counter()
    needed = set()
    for place, element in enumerate(elements):
        for label in (element.pos, element.supersense or ""):
            # Once is a slip of the pen or a name.
            if wanted[label] < EACH and by_lemma[order[place]].total() > 1:
                wanted[label] += 1
                needed.add(place)
    rest = [place for place in range(len(elements)) if place not in needed]
    chosen = sorted([*needed, *rest[: WORDS - len(needed)]])
    named = (replace(elements[place], lemma=keys[place][0]) for place in chosen)
    return PeriodicTable("v1.0", named).save(out)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; exit status 0, or 2 with one line on stderr where the sources or the disk do not allow it."""
    import tyro

    options = tyro.cli(Options, prog="python -m periodic_table.build", description=__doc__, args=argv)
    try:
        data = options.data or Path(os.environ.get("ASA_DATA", ""))
        nltk_data = data / "nltk_data"
        print("building exceptions", file=sys.stderr)
        build_exceptions(nltk_data, options.out)
        # Counted by base form, for which the exceptions must be there.
        counts = count(sentences("train", options.data))
        steps: Mapping[str, Callable[[], Path]] = {
            "closed classes": lambda: build_closed(counts, options.out),
            "kinds": lambda: build_kinds(options.out),
            "periods": lambda: build_periods(options.out),
            "valence": lambda: build_valence(counts, options.out),
            "company": lambda: build_company(nltk_data, options.out),
            "table": lambda: build_table(counts, options.out),
        }
        for name, step in steps.items():
            print(f"building {name}", file=sys.stderr)
            step()
    except (LexiconMissing, TreebankMissing, OSError) as error:
        print(f"error: {type(error).__name__}: {error}", file=sys.stderr)
        return 2
    return 0


def _priors(entries: Sequence[tuple[str, str]], counts: Counts) -> NDArray[np.float64]:
    number = np.array([counts.occurrences[entry] for entry in entries], dtype=np.float64)
    slots = np.zeros((len(entries), len(SLOTS)))
    for row, entry in enumerate(entries):
        for slot, times in counts.slots[entry].items():
            slots[row, slot] = times
    tags = np.array([UPOS.index(tag) for _, tag in entries])
    one = np.eye(len(UPOS))[tags]
    mean = (one.T @ slots) / (one.T @ number)[:, None]
    isotopes, maps = load_isotopes(), [mean]
    for tag in valence.BACKED:
        pos = {"NOUN": "n", "PROPN": "n", "VERB": "v", "ADJ": "a", "ADV": "r"}[tag]
        found = np.array([isotopes.entry(lemma, pos) if own == tag else -1 for lemma, own in entries])
        known = found >= 0
        given = valence.features(found[known])
        weight = (number / (number + HALF))[known, None]
        rate = slots[known] / number[known, None] - mean[UPOS.index(tag)]
        penalty = RIDGE * np.eye(given.shape[1])
        fitted = np.linalg.solve((weight * given).T @ given + penalty, (weight * given).T @ rate)
        fitted[0] += mean[UPOS.index(tag)]
        maps.append(fitted)
    return np.vstack(maps)


def _write_rows(path: Path, source: str, rows: Iterable[Sequence[str]]) -> Path:
    text = f"# {source}\n" + "".join("\t".join(row) + "\n" for row in rows)
    write_atomic(path, text.encode())
    return path


def _text(rows: Iterable[str]) -> NDArray[np.uint8]:
    return np.frombuffer("\n".join(rows).encode("utf-8"), dtype=np.uint8)


if __name__ == "__main__":
    sys.exit(main())
