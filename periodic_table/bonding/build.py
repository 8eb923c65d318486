"""Count and train the shipped bond rules anew from UD English EWT.

    python -m periodic_table.bonding.build [--data DIR] [--out DIR]

Takes two minutes and gives the same bytes every time on one machine. Counted and trained on the train part, once with
its gold tags and once with those of the type-level tagger; thresholds are quantiles over the arcs of the dev part; the
test part is only reported.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from periodic_table.bonding.counted import SIZES, CountedRules, Evidence
from periodic_table.bonding.graded import GradedRules, scores
from periodic_table.bonding.licensing import licensing
from periodic_table.bonding.original import OriginalRules
from periodic_table.bonding.pairs import LAYOUTS, Context, Places, Text
from periodic_table.bonding.rules import SCHEMA, Rules, Tags
from periodic_table.bonding.train import Recipe, fit
from periodic_table.lexicon.storage import Arrays
from periodic_table.shipped import DATA, write_model
from periodic_table.tagging import Tagger, load_tagger
from periodic_table.tagging.tagger import TAGS
from periodic_table.treebank import Token
from periodic_table.treebank_files import LICENCE, SOURCE, TreebankMissing, sentences
from periodic_table.word_classes import classes
from periodic_table.word_classes.tree import fingerprint

KEEP = np.array([0.9, 0.95, 0.97, 0.975, 0.98, 0.985, 0.99, 0.995])
# From here on the distance of two words says no more.
FAR = 25
Sentence = list[Token]
TAGGERS: dict[Tags, str | None] = {"gold": None, "type-level": "type-level"}


@dataclass(frozen=True)
class Options:
    """Where the treebank is, and where the files go."""

    data: Path | None = None
    """Folder that has ud/en_ewt-ud-train.conllu and so on, plain or .xz; by default $ASA_DATA."""
    out: Path = DATA
    """Folder to write to."""
    seed: int = 0
    """Order in which the graded rules learn from the pairs, and of the random pairs that are reported on."""


@dataclass(frozen=True)
class Pairs:
    """All pairs i < j of some sentences: what they are, and whether they are an arc, of which relation.

    Args:
        texts: the sentences.
        sentence, i, j: int64[P].
        relation: for each pair "nsubj right" and so on, by the side of the head; "" for no arc. As indices of `names`.
        names: of the relations.
    """

    texts: list[Text]
    sentence: Places
    i: Places
    j: Places
    relation: Places
    names: tuple[str, ...]

    @property
    def bonded(self) -> NDArray[np.bool_]:
        """bool[P]: whether it is an arc."""
        return self.relation > 0

    def by_sentence(self) -> list[slice]:
        """Which pairs are of each sentence."""
        ends = np.cumsum(np.bincount(self.sentence, minlength=len(self.texts))).tolist()
        return [slice(start, end) for start, end in zip([0, *ends[:-1]], ends, strict=True)]

    def ids(self) -> tuple[Places, Places]:
        """The classes of the later and the earlier word of each pair."""
        rows = list(zip(self.texts, self.by_sentence(), strict=True))
        return (
            np.concatenate([text.ids[self.j[own]] for text, own in rows]),
            np.concatenate([text.ids[self.i[own]] for text, own in rows]),
        )


def pairs_of(treebank: list[Sentence], tagger: Tagger | None) -> Pairs:
    """All pairs of words of a treebank's sentences. Subtypes of relations are left out.

    Args:
        treebank: sentences.
        tagger: whose tags are taken; without one, those of the treebank.
    """
    names, texts, columns = {"": 0}, [], []
    for number, tokens in enumerate(treebank):
        words = [token.form for token in tokens]
        upos = [token.upos for token in tokens] if tagger is None else tagger.tag(words)
        texts.append(Text(np.array([TAGS.index(tag) for tag in upos]), classes(words, upos, SIZES[-1])))
        relation = np.zeros((len(tokens), len(tokens)), dtype=np.int64)
        for place, token in enumerate(tokens):
            if token.head:
                head = token.head - 1
                side = "left" if head < place else "right"
                name = f"{token.relation.partition(':')[0]} {side}"
                relation[min(head, place), max(head, place)] = names.setdefault(name, len(names))
        i, j = np.triu_indices(len(tokens), 1)
        columns.append((np.full(len(i), number), i, j, relation[i, j]))
    sentence, i, j, relation = (np.concatenate(column) for column in zip(*columns, strict=True))
    return Pairs(texts, sentence, i, j, relation, tuple(names))


def chance(pairs: Pairs) -> NDArray[np.float64]:
    """[FAR + 1]: the share of arcs among the pairs at each distance; the last is for all from FAR on."""
    distance = np.minimum(pairs.j - pairs.i, FAR)
    arcs = np.bincount(distance[pairs.bonded], minlength=FAR + 1)
    share: NDArray[np.float64] = arcs / np.maximum(np.bincount(distance, minlength=FAR + 1), 1)
    # Never certain, so that the log-odds are finite.
    return np.clip(share, 1e-6, 1 - 1e-6)


def count(train: Pairs, dev: Pairs) -> Arrays:
    """The arrays of `periodic_table.bonding.counted.Evidence`."""
    later, earlier = train.ids()
    share = chance(train)[np.minimum(train.j - train.i, FAR)]
    expected = np.bincount(later * SIZES[-1] + earlier, share, minlength=SIZES[-1] ** 2)
    order = sorted(train.names[1:])
    place = np.array([-1, *(order.index(name) for name in train.names[1:])])
    arcs = train.bonded
    counted = Counter(
        zip(later[arcs].tolist(), earlier[arcs].tolist(), place[train.relation[arcs]].tolist(), strict=True)
    )
    rows = np.array([(*key, number) for key, number in sorted(counted.items())])
    arrays: Arrays = {
        "relations": np.frombuffer("\n".join(order).encode(), dtype=np.uint8),
        **{name: rows[:, column].astype(np.uint8) for column, name in enumerate(("later", "earlier", "relation"))},
        "count": rows[:, 3].astype(np.uint16),
        "expected": expected.reshape(SIZES[-1], SIZES[-1]).astype(np.float32),
        "keep": KEEP,
        "thresholds": np.zeros((len(SIZES), len(KEEP))),
    }
    evidence = Evidence(arrays)
    later, earlier = dev.ids()
    arrays["thresholds"] = np.stack(
        [thresholds(evidence.score(size)[of[later], of[earlier]][dev.bonded]) for size, of in evidence.widths().items()]
    )
    return arrays


def train_graded(train: Pairs, dev: Pairs, context: Context, seed: int) -> Arrays:
    """Weights of the graded rules in 8 bits, and their thresholds."""
    features = np.concatenate(
        [
            text.features(train.i[own], train.j[own], context).astype(np.int32)
            for text, own in zip(train.texts, train.by_sentence(), strict=True)
        ]
    )
    share = chance(train)[np.minimum(train.j - train.i, FAR)]
    weights = fit(features, train.bonded, np.log(share / (1 - share)), int(LAYOUTS[context].starts[-1]), Recipe(), seed)
    step = np.float32(np.abs(weights).max() / 127)
    small = np.rint(weights / step).astype(np.int8)
    found = [scores(text, small.astype(np.float32) * step, context) for text in dev.texts]
    of_arc = np.concatenate(
        [score[dev.i[own], dev.j[own]] for score, own in zip(found, dev.by_sentence(), strict=True)]
    )[dev.bonded]
    return {"weights": small, "step": np.array([step]), "keep": KEEP, "thresholds": thresholds(of_arc)}


def thresholds(of_arcs: NDArray[np.floating]) -> NDArray[np.float64]:
    """For each share of `KEEP` the highest threshold that at least this share of arcs reaches."""
    ordered = np.sort(of_arcs.astype(np.float64))
    lost: NDArray[np.int64] = np.floor((1 - KEEP) * len(ordered) + 1e-9).astype(np.int64)
    # A little lower, so that rounding does not close what is on the line.
    return ordered[lost] - 1e-6


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; exit status 0, or 2 with one line on stderr where the source or the disk does not allow it."""
    import tyro

    options = tyro.cli(Options, prog="python -m periodic_table.bonding.build", description=__doc__, args=argv)
    source = f"counted in {SOURCE}, train part; thresholds on its dev part"
    try:
        treebank = {part: sentences(part, options.data) for part in ("train", "dev", "test")}
        for tags, tagger in TAGGERS.items():
            train, dev = (pairs_of(treebank[part], _loaded(tagger)) for part in ("train", "dev"))
            models = {f"bonds-counted-{tags}": count(train, dev)}
            for context in LAYOUTS:
                models[f"bonds-graded-{context}-{tags}"] = train_graded(train, dev, context, options.seed)
            for name, arrays in models.items():
                path = write_model(name, {**arrays, "tree": fingerprint()}, SCHEMA, source, LICENCE, options.out)
                print(f"{path}  {path.stat().st_size:,} bytes")
        if options.out == DATA:
            report(treebank["test"], options.seed)
    except (TreebankMissing, ValueError, OSError) as error:
        print(f"error: {type(error).__name__}: {error}", file=sys.stderr)
        return 2
    return 0


def report(test: list[Sentence], seed: int) -> None:
    """Print how all rules do on a treebank."""
    print("rules                      arcs licensed   random pairs rejected   of those that are no arcs")
    for tags, tagger in TAGGERS.items():
        rules: list[Rules] = [OriginalRules("pos_only"), OriginalRules("full")]
        rules += [CountedRules(size, keep, tags=tags) for size in SIZES for keep in (0.97, 0.98)]
        rules += [GradedRules(context, keep, tags=tags) for context in LAYOUTS for keep in (0.97, 0.98)]
        for one in rules:
            found = licensing(one, test, seed, _loaded(tagger))
            print(f"{one.name:29}{found.licensed:11.4f}{found.rejected:24.4f}{found.rejected_unbonded:24.4f}")


def _loaded(tagger: str | None) -> Tagger | None:
    return None if tagger is None else load_tagger(tagger)


if __name__ == "__main__":
    sys.exit(main())
