"""All that the experiment `md_parser_treebank` trains: the parser, the same with less in its couplings, the rivals."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from feasibility.harness import Track

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from dynamics.reactive.parser import ReactiveParser
    from dynamics.reactive.train import Charged, Settings
    from feasibility.md_parser.treebank import Config
    from feasibility.md_parser.treebank_data import Treebank
    from feasibility.md_parser.treebank_measure import Bench, Rows


class Variant(NamedTuple):
    """What is different when the couplings are learned.

    Args:
        off: names of couplings that are not there.
        dimensions: of the space that couplings follow from; 0 leaves them free.
    """

    off: tuple[str, ...] = ()
    dimensions: int = 0


# In the control bonds feel nothing of each other: only the votes of single bonds are left. Couplings of two sites,
# whatever the words, are learned freely and from places in space.
VARIANTS = {
    "control": Variant(("siblings", "upbonds", "crossing", "root", "details")),
    "sites_3d": Variant(("details",), 3),
    "sites_8d": Variant(("details",), 8),
    "sites_free": Variant(("details",)),
}


def prepare(config: Config, treebank: Treebank, track: Track) -> tuple[Bench, float, Rows]:
    """Train everything, or take it from the cache.

    Returns:
        What the stages share, the CPU seconds that training the parser took, and first rows of the rivals.
    """
    from dynamics.reactive.train import Settings, learn_charges
    from feasibility.md_parser.rivals import rivals
    from feasibility.md_parser.rivals_spacy import spacy_row
    from feasibility.md_parser.treebank_measure import Bench, relaxed, trees_of

    cut = slice(None, config.limit or None)
    parts = {split: sentences[cut] for split, sentences in treebank.splits.items()}
    train = parts.pop("train")
    judged = parts.pop("dev", None) or parts.pop("test")
    test = parts.get("test", [])
    key = (treebank.data[0].sha256, config.limit)
    settings = Settings(seed=config.seed)
    # Charges are learned once, with the first model that is not in the cache: the parser, unless others are new.
    charged = functools.cache(lambda: learn_charges(train, settings, _captioned(track, "charges")))
    parser, spent = _reactive("reactive", Variant(), settings, config, key, charged, track)
    rows: Rows = {}
    trees = {}
    for name, variant in VARIANTS.items():
        other, _ = _reactive(name, variant, settings, config, key, charged, track)
        trees[name] = (trees_of(relaxed(other, judged)), trees_of(relaxed(other, test)))
    for _ in track(range(1), "rivals: structured perceptron, transition parser"):
        for name, rival in rivals(train, (judged, test), config.seed, key).items():
            trees[name] = (rival.trees[0], rival.trees[1])
            rows[name] = {"training_minutes": rival.cpu_s / 60.0, "sentences_per_second": rival.sentences_per_second}
    anchor = spacy_row(judged)
    if anchor is not None:
        rows["spacy"] = anchor
    return Bench(parser, train, judged, test, trees, config.seed), spent, rows


def _captioned(track: Track, kind: str) -> Callable[[Iterable[Any], str], Iterable[Any]]:
    return lambda items, caption: track(items, f"training ({kind}): {caption}")


def _reactive(
    kind: str,
    variant: Variant,
    settings: Settings,
    config: Config,
    key: object,
    charged: Callable[[], Charged],
    track: Track,
) -> tuple[ReactiveParser, float]:
    """A reactive parser, from the cache where it is there, and the CPU seconds that its training took."""
    import dynamics.reactive
    from dynamics.reactive.couplings import Couplings
    from dynamics.reactive.parser import ReactiveParser
    from dynamics.reactive.store import load, save
    from dynamics.reactive.train import learn_couplings
    from feasibility.md_parser.treebank_data import trained

    couplings = Couplings(**dict.fromkeys(variant.off, False))
    own = dataclasses.replace(settings, couplings=couplings, dimensions=variant.dimensions)
    model, spent = trained(
        kind,
        lambda: learn_couplings(charged(), own, _captioned(track, kind)),
        save,
        load,
        key,
        own,
        sources=Path(dynamics.reactive.__path__[0]).glob("*.py"),
    )
    return ReactiveParser(model, steps=config.steps, couplings=couplings), spent
