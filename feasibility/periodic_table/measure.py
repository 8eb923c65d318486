"""Everything that the experiment `periodic_table` measures, put together: metrics, baselines, and what is drawn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from subprocess import Popen
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from feasibility.datasets import locate, record
from feasibility.harness import DataRecord, Metric, Track, judge_criterion
from feasibility.intervals import ratio_interval, share_interval
from feasibility.periodic_table import bonds, clusters, places, sources
from feasibility.periodic_table import coverage as cover
from feasibility.periodic_table.intervals import auc
from feasibility.periodic_table.norms import here
from feasibility.periodic_table.pairs import FURTHER, JUDGED
from feasibility.periodic_table.treebank import SHIPPED, SPLITS, Treebank, from_sentences, read_split

if TYPE_CHECKING:
    from feasibility.periodic_table.experiment import Config

Floats = NDArray[np.float64]
Rows = dict[str, dict[str, float]]

GUM = "ud-english-gum-dev"
# A word with so many senses or more counts as polysemous.
SENSES = 5


@dataclass
class Found:
    """What was measured.

    Args:
        metrics, baselines, data: for the result.
        intervals: for each baseline, the intervals of its AUCs, for the figure.
        by_class: part of speech -> (number of words, share told from the place, share told from the part of speech).
        points: [n, 2], the map.
        labels: (word, part of speech, supersense) of each point.
        page: the poster as HTML.
        judged: the bars on data that do not ship, judged; empty where they are missing.
    """

    metrics: dict[str, Metric] = field(default_factory=dict)
    baselines: Rows = field(default_factory=dict)
    data: list[DataRecord] = field(default_factory=list)
    intervals: dict[str, dict[str, tuple[float, float]]] = field(default_factory=dict)
    by_class: dict[str, tuple[int, float, float]] = field(default_factory=dict)
    points: Floats = field(default_factory=lambda: np.zeros((0, 2)))
    labels: list[tuple[str, str, str]] = field(default_factory=list)
    page: str = ""
    judged: list[dict[str, Any]] = field(default_factory=list)

    def beside(self, baseline: str, values: dict[str, float]) -> None:
        """Add values of a baseline."""
        self.baselines.setdefault(baseline, {}).update({name: float(value) for name, value in values.items()})


@dataclass(frozen=True)
class Run:
    """What the parts share.

    Args:
        config: of the run.
        texts: treebanks by name.
        ours: the table.
        controls: what it has to beat.
        timed: the process that measures the speed.
    """

    config: Config
    texts: dict[str, Treebank]
    ours: sources.Table
    controls: dict[str, sources.Source]
    timed: Popen[str]


def measure(config: Config, track: Track) -> Found:
    """All of it."""
    timed = cover.start_speed(config.train_sentences)
    try:
        return _measure(config, track, timed)
    finally:
        # After an error, or Ctrl-C, nobody waits for it any more.
        timed.kill()
        timed.communicate()


def _measure(config: Config, track: Track, timed: Popen[str]) -> Found:
    number = {"train": config.train_sentences, "dev": config.test_sentences, "test": config.test_sentences}
    texts: dict[str, Treebank] = {split: read_split(split).first(number[split]) for split in SPLITS}
    found = Found(data=[record(SHIPPED), record("wordnet-3.0-extract")])
    if here(GUM) and config.full:
        from periodic_table.treebank import read_conllu

        texts["gum"] = from_sentences(read_conllu(locate(GUM)))
        found.data.append(record(GUM))
    ours = sources.Table()
    controls = {
        "shuffled": sources.shuffled(ours, config.seed),
        "random": sources.random(bonds.AXES, config.seed),
        "ppmi_svd": sources.cooccurrence(texts["train"], bonds.AXES, config.seed),
        "frequency": sources.frequency(texts["train"]),
    }
    run = Run(config, texts, ours, controls, timed)
    parts: list[Callable[[Run, Found], None]] = [
        _bonds, _places, _coherence, _clusters, _coverage, _norms, _map, _speed,
    ]  # fmt: skip
    for part in track(parts, "measuring"):
        part(run, found)
    return found


def _speed(run: Run, found: Found) -> None:
    metrics, listed = cover.speed(run.timed, run.config.seed)
    found.metrics |= metrics
    found.beside("new_words", listed)


def _bonds(run: Run, found: Found) -> None:
    """Bonds of unseen pairs and words, with every control, by relation, out of domain, and by kind of sense."""
    bench = bonds.bench(run.texts, "test", run.config.negatives, run.config.seed)
    tests = bonds.main_tests(bench)
    compared = {test.name: test.comparison(run.config.seed) for test in tests}
    scores = {test.name: test.scores(bench.scorers("table", run.ours)) for test in tests}
    found.metrics |= {name: compared[name].metric(scores[name]) for name in compared}
    shuffled = [test.scores(bench.scorers("shuffled", run.controls["shuffled"])) for test in tests]
    found.metrics["bonds_gain"] = compared["bonds_pairs"].gain(scores["bonds_pairs"], shuffled[0])
    for name, source in run.controls.items():
        own = {test.name: test.scores(bench.scorers(name, source)) for test in tests}
        found.beside(name, {test: compared[test].value(own[test]) for test in compared})
        found.beside(name, {"bonds_gain": compared["bonds_pairs"].value(own["bonds_pairs"]) - auc_of(shuffled[0])})
        found.intervals[name] = {test: compared[test].metric(own[test]).ci95 for test in ("bonds_pairs", "bonds_words")}
    # Without any number for a word all pairs tie.
    found.beside("pos_only", dict.fromkeys(compared, 0.5))
    found.beside("frequency_alone", {test.name: bonds.by_frequency(test, bench)[0] for test in tests})
    found.beside("frequency_in_slot_alone", {test.name: bonds.by_frequency(test, bench)[1] for test in tests})
    if run.config.full:
        _relations(run, found, bench, scores["bonds_pairs"])
        _polysemy(run, found, bench)
        _left_out(run, found)
    if "gum" in run.texts:
        _elsewhere(run, found, bench)


def auc_of(scores: list[tuple[Floats, Floats]]) -> float:
    """The mean AUC of some slots."""
    return float(np.mean([auc(*one) for one in scores]))


def _relations(run: Run, found: Found, bench: bonds.Bench, scores: list[tuple[Floats, Floats]]) -> None:
    further = bonds.pair_test("further", bench.slots(relations=FURTHER))
    scorers = bench.scorers("table, further relations", run.ours, FURTHER)
    rows = [*zip(JUDGED, scores, bonds.pair_test("", bench.slots()).couples, strict=True)]
    rows += [*zip(FURTHER, further.scores(scorers), further.couples, strict=True)]
    for name, score, couple in rows:
        one = bonds.Test(name, [couple]).comparison(run.config.seed)
        found.metrics[f"bonds_pairs_{name}"] = one.metric([score])


def _polysemy(run: Run, found: Found, bench: bonds.Bench) -> None:
    """The distribution over senses against the first sense alone, where a word has many senses."""
    many = bonds.pair_test("bonds_polysemous", bench.slots(), bonds.polysemous(bench, SENSES))
    compared = many.comparison(run.config.seed)
    spread = many.scores(bench.scorers("senses", run.ours.only(*sources.OF_SENSES)))
    first = many.scores(bench.scorers("first sense", sources.first_sense()))
    found.metrics["bonds_polysemous"] = compared.metric(spread)
    found.metrics["senses_gain"] = compared.gain(spread, first)
    found.beside("first_sense", {"bonds_polysemous": compared.value(first), "senses_gain": 0.0})


def _elsewhere(run: Run, found: Found, bench: bonds.Bench) -> None:
    """The same scorers on another treebank with other kinds of text."""
    gum = bench.slots(tested="gum")
    for test in (
        bonds.pair_test("bonds_pairs_gum", gum),
        bonds.pair_test("bonds_words_gum", gum, bench.words.count == 0),
    ):
        compared = test.comparison(run.config.seed)
        found.metrics[test.name] = compared.metric(test.scores(bench.scorers("table", run.ours)))
        for name, source in run.controls.items():
            found.beside(name, {test.name: compared.value(test.scores(bench.scorers(name, source)))})


def _left_out(run: Run, found: Found) -> None:
    # One negative each: many pairs are attested.
    bench = bonds.bench(run.texts, "test", 1, run.config.seed)
    found.metrics["left_out_bonds"], _ = bonds.left_out(bench, run.ours)
    found.beside("shuffled", {"left_out_bonds": bonds.left_out(bench, run.controls["shuffled"])[0].value})


def _places(run: Run, found: Found) -> None:
    """The Mendeleev test over the words of v1.0; verdicts on those of the half that nothing was chosen on."""
    from periodic_table import PeriodicTable

    seen = places.profiles([run.texts[split] for split in SPLITS])
    own = {(element.lemma, element.pos) for element in PeriodicTable.load("v1.0")}
    whole = np.flatnonzero([word in own for word in seen.words] & (seen.occurrences >= places.LEAST))
    rows, seed = whole[~seen.half[whole]], run.config.seed
    by_place, by_pos = places.expected_by_place(seen, run.ours), places.expected_by_pos(seen)
    told, plain = places.told(seen, by_place, rows), places.told(seen, by_pos, rows)
    found.metrics["leading_site"] = share_interval(int(told.right.sum()), len(rows))
    found.metrics["leading_site_exact"] = share_interval(int(told.exact.sum()), len(rows))
    found.metrics["leading_site_gain"] = places.gain(told.right, plain.right, seed)
    found.metrics["profile_explained"] = ratio_interval(told.total - told.left, told.total, "%", seed)
    for name, source in {"pos_only": None, **run.controls}.items():
        guess = by_pos if source is None else places.expected_by_place(seen, source)
        other = places.told(seen, guess, rows)
        found.beside(
            name,
            {
                "leading_site": 100 * other.right.mean(),
                "leading_site_exact": 100 * other.exact.mean(),
                "leading_site_gain": 100 * (other.right.mean() - plain.right.mean()),
                "profile_explained": 100 * (1 - other.left.sum() / other.total.sum()),
            },
        )
    found.beside("ceiling", {"leading_site_exact": places.ceiling(seen, by_place, rows, seed)})
    hundred = {(element.lemma, element.pos) for element in PeriodicTable.load("v0.1")}
    of_hundred = np.array([word in hundred for word in seen.words])
    groups = {"whole": whole, "hundred": whole[of_hundred[whole]], "hundred_odd": rows[of_hundred[rows]]}
    tags = np.array([seen.words[place][1] for place in whole])
    for tag, _ in sorted(Counter(tags.tolist()).items(), key=lambda one: (-one[1], one[0])):
        groups[tag.lower()] = whole[tags == tag]
    for name, group in groups.items():
        told, plain = places.told(seen, by_place, group), places.told(seen, by_pos, group)
        metric = share_interval(int(told.right.sum()), len(group))
        found.metrics[f"leading_site_{name}"] = metric
        found.beside("pos_only", {f"leading_site_{name}": 100 * plain.right.mean()})
        if name.upper() in tags:
            found.by_class[name.upper()] = metric.n, metric.value, 100 * float(plain.right.mean())


def _coherence(run: Run, found: Found) -> None:
    coverage, plain = cover.coverage(run.texts["test"], run.config.seed)
    found.metrics |= coverage
    found.beside("as_listed", plain)
    both = {"leading_site_hundred": found.metrics["leading_site_hundred"], "coverage_1000": coverage["coverage_1000"]}
    worse = min(both, key=lambda name: both[name].ci95[0])
    found.metrics["coherence"] = both[worse]
    found.beside("pos_only", {"coherence": min(found.baselines["pos_only"]["leading_site_hundred"], 100.0)})


def _clusters(run: Run, found: Found) -> None:
    """Purity, silhouette and Rand index of supersenses and verb classes, without the axes that these are made into."""
    from periodic_table import annotate

    train = run.texts["train"]
    number = np.bincount(train.entry, minlength=len(train.entries)).tolist()
    entries = list(zip(train.entries, number, strict=True))
    for label, tags, blocks in (
        ("supersense", ("NOUN", "VERB"), ("definition", "company")),
        ("verb_class", ("VERB",), ("supersense", "kind", "kin", "definition", "company")),
    ):
        source = run.ours.only(*blocks)
        for tag in tags:
            words = [word for word, number in entries if word[1] == tag and number >= 5]
            elements = annotate([word for word, _ in words], [tag] * len(words))
            names = [
                _class(element.verb_class) if label == "verb_class" else element.supersense for element in elements
            ]
            _cluster(run, found, f"{label}_{tag.lower()}" if len(tags) > 1 else label, words, names, source)


def _class(name: str | None) -> str | None:
    """A VerbNet class without its subclasses."""
    return None if name is None else "-".join(name.split("-")[:2])


def _cluster(
    run: Run, found: Found, name: str, words: list[tuple[str, str]], names: list[str | None], source: sources.Source
) -> None:
    seed = run.config.seed
    kept, labels = clusters.labelled(names, 5)
    if len(kept) < 20:
        return
    chosen = [words[place] for place in kept]
    numbers = source(chosen)
    distance = clusters.distances(numbers)
    near = clusters.nearest(distance)
    found.metrics[f"purity_{name}"] = clusters.purity_metric(near, labels, seed)
    found.metrics[f"silhouette_{name}"] = ratio_interval(
        clusters.silhouette(distance, labels), np.ones(len(labels)), "", seed, scale=1.0
    )
    found.metrics[f"rand_{name}"] = clusters.rand_metric(numbers, labels, seed)
    chance, p_value = clusters.chance_purity(near, labels, np.zeros(len(labels), dtype=np.int64), seed)
    found.beside("permuted_labels", {f"purity_{name}": chance, f"rand_{name}": 0.0})
    found.beside("permuted_labels_p", {f"purity_{name}": p_value})
    for control in ("ppmi_svd", "random", "shuffled", "frequency"):
        other = run.controls[control](chosen)
        far = clusters.distances(other)
        found.beside(
            control,
            {
                f"purity_{name}": 100 * float(clusters.purity(clusters.nearest(far), labels).mean()),
                f"silhouette_{name}": float(clusters.silhouette(far, labels).mean()),
                f"rand_{name}": clusters.adjusted_rand(clusters.clusters(other, len(np.unique(labels)), seed), labels),
            },
        )


def _coverage(run: Run, found: Found) -> None:
    found.metrics |= cover.axes_filled(run.texts["test"])
    for (metrics, other), name in (
        (cover.licensing(run.texts["test"], run.config.seed), "original_rules"),
        (cover.agreement(), "by_chance"),
    ):
        found.metrics |= metrics
        found.beside(name, other)


def _norms(run: Run, found: Found) -> None:
    from feasibility.periodic_table.experiment import BARS
    from feasibility.periodic_table.rated import measure_norms

    if not run.config.norms:
        return
    measure_norms(run, found)
    outcome: Any = found
    found.judged = [judge_criterion(bar, outcome) for bar in BARS if bar.metric in found.metrics]


def _map(run: Run, found: Found) -> None:
    from feasibility.periodic_table.map import project
    from periodic_table import PeriodicTable
    from periodic_table.poster import draw, lay_out

    table = PeriodicTable.load("v1.0")
    shown = [one for one in table if one.supersense and one.pos in ("NOUN", "VERB", "ADJ", "ADV")][
        : run.config.map_words
    ]
    found.labels = [(one.lemma, one.pos, one.supersense or "") for one in shown]
    found.points = project(run.ours([(one.lemma, one.pos) for one in shown]))
    found.page = draw(lay_out(PeriodicTable.load("v0.1"), "The semantic periodic table v0.1"), "html")
