"""How far the hand annotation and the pipeline agree, axis by axis, with every disagreement listed.

    python -m periodic_table.agreement

docs/coordinates.md argues the disagreements.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from periodic_table.annotation import annotate
from periodic_table.element import Element
from periodic_table.hand import VOUCHED, read_hand
from periodic_table.tagging import load_tagger

# The sites that a speaker can judge of a word of each part of speech: what a predicate asks for, what a noun is built
# with and used as, what a function word attaches as. Clauses around it, coordination and marks are not the word's own.
SITES: dict[str, tuple[str, ...]] = {
    "VERB": (">nsubj", ">obj", ">iobj", ">obl", ">xcomp", ">ccomp", ">compound:prt", ">expl"),
    "NOUN": (
        ">det", ">amod", ">case", ">nmod", ">nmod:poss", ">compound", ">nummod", ">acl", ">acl:relcl",
        "<nsubj", "<obj", "<obl", "<nmod", "<compound",
    ),
    "PROPN": (
        ">det", ">amod", ">case", ">compound", ">flat",
        "<nsubj", "<obj", "<obl", "<nmod", "<nmod:poss", "<compound", "<flat",
    ),
    "ADJ": (">advmod", ">cop", ">nsubj", ">obl", ">xcomp", ">ccomp", ">advcl", "<amod"),
    "ADV": (">advmod", ">obl", ">case", "<advmod"),
    "PRON": (">case", "<nsubj", "<obj", "<iobj", "<obl", "<nmod", "<nmod:poss", "<expl"),
    "NUM": (">nmod", ">case", "<nummod", "<nsubj", "<obj", "<obl", "<nmod", "<compound"),
    "SYM": (">nummod", ">case", "<obj", "<obl", "<nmod", "<case"),
}  # fmt: skip
# Function words, interjections and marks: as what they attach.
_ATTACHED = (
    "<det", "<case", "<mark", "<advmod", "<cc", "<aux", "<aux:pass", "<cop", "<discourse", "<punct", "<nsubj", "<obj",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Disagreement:
    """One judgement on which the two differ."""

    word: str
    upos: str
    axis: str
    hand: str
    automatic: str


@dataclass(frozen=True, slots=True)
class Axis:
    """Agreement on one axis.

    Args:
        name: of the axis.
        agreed, judged: how many judgements agree, of how many.
        bar: the least share that must agree; None where none was set.
        chance: agreement of a chance annotator with the same marginals, for Cohen's kappa; None where it has none.
    """

    name: str
    agreed: int
    judged: int
    bar: float | None
    chance: float | None = None

    @property
    def share(self) -> float:
        """Share of the judgements that agree."""
        return self.agreed / self.judged

    @property
    def kappa(self) -> float | None:
        """Cohen's kappa: agreement beyond chance."""
        return None if self.chance is None else (self.share - self.chance) / (1 - self.chance)


@dataclass(frozen=True, slots=True)
class Agreement:
    """The result of `compare`."""

    axes: tuple[Axis, ...]
    disagreements: tuple[Disagreement, ...]


def compare() -> Agreement:
    """Compare the hand annotation with what `annotate` says of the same words.

    For the part of speech, the pipeline reads the annotator's example sentence with the full-context tagger; how the
    bare word fares, which for "love" can be right once at most, is shown beside it. For the other axes it is given the
    annotator's part of speech, so that one slip counts once. Valence is a yes or no for each site of `SITES`; the
    pipeline's is yes from an expected number of 0.1, which is what the annotator was asked to mark.

    Raises:
        periodic_table.shipped.ModelMissing, ModelCorrupt: see `periodic_table.hand.read_hand`.
    """
    words = list(read_hand())
    hand = [word.element for word in words]
    forms = [element.lemma for element in hand]
    tagger = load_tagger("full-context")
    read = [
        annotate([form], [tagger.tag(word.example)[word.place]])[0] for form, word in zip(forms, words, strict=True)
    ]
    bare, tagged = annotate(forms), annotate(forms, [element.pos for element in hand])
    rows = list(zip(hand, tagged, strict=True))
    senses = [(h, a) for h, a in rows if h.supersense or a.supersense]
    verbs = [(h, a) for h, a in rows if h.pos == "VERB"]
    parts = [
        _labels("upos", 0.97, list(zip(hand, read, strict=True)), lambda element: element.pos),
        _labels("upos of the bare word", None, list(zip(hand, bare, strict=True)), lambda element: element.pos),
        _labels("supersense", 0.85, senses, lambda element: element.supersense or "none"),
        _labels("verb class", None, verbs, lambda element: _main(element.verb_class)),
        _within("abstraction within 1", 0.9, rows, 1),
        _within("abstraction exactly", None, rows, 0),
        _sites("valence", 0.85, rows),
    ]
    return Agreement(tuple(axis for axis, _ in parts), tuple(item for _, found in parts for item in found))


def main() -> int:
    """Print the axes and the disagreements; exit status 1 where an axis misses its bar."""
    result = compare()
    for axis in result.axes:
        kappa = "" if axis.kappa is None else f"  kappa {axis.kappa:.2f}"
        bar = "" if axis.bar is None else f"  bar {axis.bar:.2f}"
        print(f"{axis.name:22s} {axis.agreed:4d} of {axis.judged:4d}  {axis.share:.3f}{bar}{kappa}")
    for item in result.disagreements:
        print(f"{item.axis:22s} {item.word} {item.upos}: by hand {item.hand}, automatic {item.automatic}")
    return int(any(axis.bar is not None and axis.share < axis.bar for axis in result.axes))


Rows = Sequence[tuple[Element, Element]]


def _labels(
    name: str, bar: float | None, rows: Rows, label: Callable[[Element], str]
) -> tuple[Axis, list[Disagreement]]:
    pairs = [(label(hand), label(automatic)) for hand, automatic in rows]
    wrong = [
        Disagreement(hand.lemma, hand.pos, name, one, other)
        for (hand, _), (one, other) in zip(rows, pairs, strict=True)
        if one != other
    ]
    return Axis(name, len(pairs) - len(wrong), len(pairs), bar, _chance(pairs)), wrong


def _within(name: str, bar: float | None, rows: Rows, distance: int) -> tuple[Axis, list[Disagreement]]:
    wrong = [
        Disagreement(hand.lemma, hand.pos, name, str(hand.abstraction), str(automatic.abstraction))
        for hand, automatic in rows
        if abs(hand.abstraction - automatic.abstraction) > distance
    ]
    # Single steps would be a list of half the words; they are in the count.
    return Axis(name, len(rows) - len(wrong), len(rows), bar), wrong if distance else []


def _sites(name: str, bar: float, rows: Rows) -> tuple[Axis, list[Disagreement]]:
    pairs, wrong = [], []
    for hand, automatic in rows:
        marked, expected = _marks(hand), _marks(automatic)
        for site in SITES.get(hand.pos, _ATTACHED):
            one, other = site in marked, expected.get(site, 0.0) >= VOUCHED
            pairs.append((str(one), str(other)))
            if one != other:
                value = f"{expected.get(site, 0.0):.2f}"
                wrong.append(Disagreement(hand.lemma, hand.pos, name, f"{site} {'yes' if one else 'no'}", value))
    return Axis(name, len(pairs) - len(wrong), len(pairs), bar, _chance(pairs)), wrong


def _marks(element: Element) -> dict[str, float]:
    return {f"{'>' if site.role == 'head' else '<'}{site.relation}": site.expected for site in element.valence}


def _chance(pairs: Iterable[tuple[str, str]]) -> float:
    listed = list(pairs)
    first, second = [one for one, _ in listed], [other for _, other in listed]
    return sum(first.count(label) * second.count(label) for label in set(first)) / len(listed) ** 2


def _main(verb_class: str | None) -> str:
    """A VerbNet class without its subclasses: "give-13.1" of "give-13.1-1"."""
    if verb_class is None:
        return "none"
    name, _, number = verb_class.partition("-")
    return f"{name}-{number.partition('-')[0]}"


if __name__ == "__main__":
    sys.exit(main())
