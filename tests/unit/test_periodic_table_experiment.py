"""The experiment: that unattested pairs are matched, that the scorer learns what can be learned, and a small run."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from scipy.optimize import minimize

from feasibility.harness import Outcome, judge, silent
from feasibility.periodic_table import clusters, norms, places, sources
from feasibility.periodic_table.coverage import coverage
from feasibility.periodic_table.experiment import BARS, CRITERIA, EXPERIMENT, BadConfig, run
from feasibility.periodic_table.intervals import Comparison, auc, resampled_metric, spearman
from feasibility.periodic_table.map import project
from feasibility.periodic_table.pairs import JUDGED, Slot, Vocabulary, frequency_in_slot, slots, vocabulary
from feasibility.periodic_table.scorer import Ridge, _Problem, fit, reduce
from feasibility.periodic_table.treebank import SPLITS, Treebank, from_sentences, read_split
from periodic_table import affinity
from periodic_table.slots import TYPED
from periodic_table.treebank import base, read_conllu


@pytest.fixture(scope="module")
def outcome() -> Outcome:
    return run(EXPERIMENT.smoke, silent)


@pytest.fixture(scope="module")
def texts() -> dict[str, Treebank]:
    return {split: read_split(split).first(600) for split in SPLITS}


@pytest.fixture(scope="module")
def words(texts: dict[str, Treebank]) -> Vocabulary:
    return vocabulary(texts)


def test_the_smoke_run_is_judged_on_every_criterion(outcome: Outcome) -> None:
    record = judge(EXPERIMENT, EXPERIMENT.smoke, outcome, smoke=True, started_utc="", wall_s=0.0)
    assert [one["metric"] for one in record["criteria"]] == [criterion.metric for criterion in CRITERIA]
    assert {"G1"} == {criterion.roadmap for criterion in CRITERIA} - {""}
    assert {record.name for record in outcome.data} == {"ud-english-ewt-words", "wordnet-3.0-extract"}
    missing = next(caveat for caveat in outcome.caveats if caveat.startswith("Not measured"))
    assert all(bar.metric in missing for bar in BARS)


def test_the_table_beats_its_shuffled_rows_even_on_little_text(outcome: Outcome) -> None:
    rows = outcome.baselines
    assert outcome.metrics["bonds_pairs"].value > rows["shuffled"]["bonds_pairs"] + 0.03
    assert rows["pos_only"]["bonds_pairs"] == 0.5
    for control in ("shuffled", "random"):
        assert abs(rows[control]["bonds_pairs"] - 0.5) < 0.06
    assert abs(rows["frequency_alone"]["bonds_pairs"] - 0.5) < 0.03
    assert abs(rows["frequency_in_slot_alone"]["bonds_pairs"] - 0.5) < 0.02


def test_the_figures_are_pictures(outcome: Outcome) -> None:
    names = [artifact.name for artifact in outcome.artifacts]
    assert names == ["table.html", "bonds.svg", "leading.svg", "map.svg"]
    for artifact in outcome.artifacts[1:]:
        assert ElementTree.fromstring(str(artifact.content)).tag.endswith("svg")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train_sentences": 3}, "train_sentences is 3, expected at least 200"),
        ({"negatives": 0}, "negatives is 0, expected at least 1"),
        ({"map_words": 1}, "map_words is 1"),
        ({"seed": -1}, "seed is -1, expected at least 0"),
    ],
)
def test_settings_out_of_range_are_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(BadConfig, match=message):
        run(dataclasses.replace(EXPERIMENT.smoke, **change), silent)


def test_unattested_pairs_match_the_attested_ones(texts: dict[str, Treebank], words: Vocabulary) -> None:
    found = slots(texts, words, "test", JUDGED, each=3)
    for slot in found:
        attested = {tuple(row) for row in np.concatenate([slot.train, slot.positives]).tolist()}
        assert not attested & {tuple(row) for row in slot.negatives.tolist()}
        own, other = slot.positives[slot.owner], slot.negatives
        assert (own[:, 0] == other[:, 0]).all()
        assert (words.tag[own[:, 1]] == words.tag[other[:, 1]]).all()
        count = frequency_in_slot(slot, words) + 1
        assert (np.abs(np.log2(count[own[:, 1]] / count[other[:, 1]])) < 0.5 + 1e-9).all()
        assert ((words.count == 0)[own[:, 1]] == (words.count == 0)[other[:, 1]]).all()
    assert {tuple(row) for row in found[0].positives.tolist()}.isdisjoint(map(tuple, found[0].train.tolist()))


def test_the_same_seed_gives_the_same_pairs(texts: dict[str, Treebank], words: Vocabulary) -> None:
    first, again, other = (slots(texts, words, "test", ("obj",), seed=seed)[0].negatives for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def toy() -> tuple[Slot, Vocabulary, np.ndarray]:
    """40 heads and 40 dependents of two kinds; a head takes its own kind only, and 3 of 10 pairs are in training."""
    rng = np.random.default_rng(0)
    kinds = np.arange(80) % 2
    bonded = np.array([(h, d) for h in range(40) for d in range(40, 80) if kinds[h] == kinds[d]])
    apart = np.array([(h, d) for h in range(40) for d in range(40, 80) if kinds[h] != kinds[d]])
    seen = rng.random(len(bonded)) < 0.3
    names = tuple((f"w{place}", "VERB" if place < 40 else "NOUN") for place in range(80))
    tag = np.array([1] * 40 + [0] * 40)
    tokens = bonded[seen].ravel()
    words = Vocabulary(names, tag, np.bincount(tokens, minlength=80), {"train": tokens}, {})
    vectors = np.stack([kinds, 1 - kinds], axis=1) + 0.1 * rng.normal(size=(80, 2))
    return Slot("obj", bonded[seen], bonded[~seen], apart, np.zeros(len(apart), dtype=int)), words, vectors


def test_the_scorer_learns_a_categorical_restriction() -> None:
    slot, words, vectors = toy()
    scorer = fit(slot, words, reduce(vectors, words, 2), Ridge(1.0, 1.0))
    assert auc(scorer(slot.positives), scorer(slot.negatives)) > 0.99
    nothing = fit(slot, words, reduce(np.zeros_like(vectors), words, 2), Ridge())
    assert auc(nothing(slot.positives), nothing(slot.negatives)) == 0.5


def test_the_scorers_gradient_is_the_slope_of_its_loss() -> None:
    slot, words, vectors = toy()
    problem = _Problem(slot, words, reduce(vectors, words, 2), Ridge(2.0, 3.0), 2, 0)
    rng = np.random.default_rng(1)
    at, way = 0.1 * rng.normal(size=problem.size), rng.normal(size=problem.size)
    value, gradient = problem.loss(at)
    step = 1e-6
    numeric = (problem.loss(at + step * way)[0] - problem.loss(at - step * way)[0]) / (2 * step)
    assert numeric == pytest.approx(gradient @ way, rel=1e-5)
    assert value > 0


def test_the_scorer_ends_where_its_loss_is_flat() -> None:
    slot, words, vectors = toy()
    numbers = reduce(vectors, words, 2)
    problem = _Problem(slot, words, numbers, Ridge(2.0, 3.0), 5, 0)
    found = minimize(problem.loss, np.zeros(problem.size), jac=True, method="L-BFGS-B", options={"maxiter": 2000})
    best, ours = problem.scorer(found.x), fit(slot, words, numbers, Ridge(2.0, 3.0))
    assert np.abs(best(slot.positives) - ours(slot.positives)).max() < 0.05 * np.ptp(best(slot.positives))


def test_auc_is_the_share_of_couples_in_order() -> None:
    assert auc([2.0, 3.0], [1.0, 0.0]) == 1.0
    assert auc([1.0], [1.0]) == 0.5
    rng = np.random.default_rng(0)
    high, low = rng.integers(0, 5, 40), rng.integers(0, 5, 30)
    assert auc(high, low) == pytest.approx(np.mean([(a > b) + 0.5 * (a == b) for a in high for b in low]))
    with pytest.raises(ValueError, match="both positives and negatives, got 0 and 2"):
        auc([], [1.0, 2.0])


def test_a_comparison_resamples_heads_and_pairs_its_differences() -> None:
    rng = np.random.default_rng(0)
    heads = [np.repeat(np.arange(60), 4), np.repeat(np.arange(30, 90), 4)]
    good = [(rng.normal(1.0, 1.0, 240), rng.normal(0.0, 1.0, 240)) for _ in heads]
    none = [(rng.normal(size=240), rng.normal(size=240)) for _ in heads]
    compared = Comparison(heads, 0)
    metric, gain = compared.metric(good), compared.gain(good, none)
    assert metric.ci95[0] < 0.76 < metric.ci95[1]
    assert metric.n == 480
    assert "90 head words" in metric.method
    assert gain.ci95[0] > 0.1
    assert compared.gain(good, good).ci95 == (0.0, 0.0)


def test_intervals_of_correlations_widen_with_clusters() -> None:
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(20), 10)
    x = rng.normal(size=20)[group] + 0.1 * rng.normal(size=200)
    y = x + rng.normal(size=20)[group]
    loose, tight = spearman(x, y, group, 0), spearman(x, y, np.arange(200), 0)
    assert loose.value == tight.value
    assert loose.ci95[1] - loose.ci95[0] > 1.5 * (tight.ci95[1] - tight.ci95[0])
    assert resampled_metric(lambda rows: float(len(rows)), np.arange(7), 0, resamples=5).value == 7.0


def test_the_table_remembers_words_whatever_else_was_asked_for() -> None:
    table, words = sources.Table(), [("eat", "VERB"), ("bread", "NOUN"), ("eat", "VERB")]
    numbers = table(words)
    assert np.array_equal(numbers[0], numbers[2])
    again = table([("bread", "NOUN"), ("dog", "NOUN"), ("eat", "VERB")])
    assert np.array_equal(again[[2, 0]], numbers[:2])
    assert np.array_equal(again, sources.Table()([("bread", "NOUN"), ("dog", "NOUN"), ("eat", "VERB")]))
    assert table([]).shape == (0, numbers.shape[1])


def test_cosines_are_between_every_two_spaces_of_a_pair() -> None:
    place = {"a": [1.0, 0.0, 0.0, 2.0], "b": [3.0, 0.0, 0.0, -1.0], "c": [0.0, 0.0, 0.0, 0.0]}
    source = sources.Numbers(lambda words: np.array([place[word] for word, _ in words]), (slice(0, 2), slice(2, 4)))
    found = sources.cosines(source, [("a", "X"), ("a", "X")], [("b", "X"), ("c", "X")])
    assert found.tolist() == [[1.0, 0.0, 0.0, -1.0], [0.0] * 4]
    assert sources.cosines(sources.pos_only(), [("a", "X")], [("b", "X")]).shape == (1, 0)
    table = sources.Table()
    by_hand = np.mean(sources.cosines(table, [("eat", "VERB")], [("bread", "NOUN")]))
    assert by_hand == pytest.approx(affinity("eat", "VERB", "bread", "NOUN"))


def test_controls_keep_what_they_should() -> None:
    words = [("dog", "NOUN"), ("cat", "NOUN"), ("give", "VERB"), ("take", "VERB"), ("idea", "NOUN")]
    table = sources.Table()
    before = table(words).copy()
    dealt = sources.shuffled(table, 0)(words)
    assert np.array_equal(table(words), before), "dealing out the rows leaves the table alone"
    for own in ([0, 1, 4], [2, 3]):
        assert np.allclose(np.sort(dealt[own], axis=0), np.sort(before[own], axis=0))
    assert sources.random(3, 0)([words[0], words[1], words[0]]).shape == (3, 3)
    assert np.array_equal(*sources.random(3, 0)([words[0], words[0]]))
    assert table.only("supersense")(words).shape == (5, 45)
    learned = sources.cooccurrence(read_split("dev").first(300), 5, 0)
    assert not learned([("qwxz", "NOUN")]).any()
    assert learned([("be", "AUX")]).any()


def test_the_first_sense_alone_gives_another_place_to_words_with_many() -> None:
    whole, first = sources.Table().only(*sources.OF_SENSES), sources.first_sense()
    words = [("bank", "NOUN"), ("run", "VERB"), ("qwxz", "NOUN")]
    a, b = whole(words), first(words)
    assert a.shape == b.shape
    assert not np.allclose(a[0], b[0])
    assert not b[2].any()


def test_the_shipped_treebank_is_the_released_one(asa_data: Path) -> None:
    for split in SPLITS:
        from feasibility.datasets import locate

        released = list(read_conllu(locate(f"ud-english-ewt-{split}")))
        ours = read_split(split).sentences()
        assert len(ours) == len(released)
        for own, theirs in zip(ours, released, strict=True):
            assert [(t.form, t.upos, t.head, t.relation) for t in own] == [
                (t.form, t.upos, t.head, t.relation) for t in theirs
            ]


def test_a_treebank_survives_the_way_through_its_sentences() -> None:
    part = read_split("dev").first(50)
    again = from_sentences(part.sentences())
    assert again.form == part.form
    assert np.array_equal(again.head, part.head)
    assert [again.entries[place] for place in again.entry] == [part.entries[place] for place in part.entry]
    assert len(part.sentences()) == 50
    assert len(read_split("dev").first(10**6)) == 25_147


def test_a_word_left_out_is_predicted_as_if_the_smoother_had_never_seen_it() -> None:
    rng = np.random.default_rng(0)
    words = tuple((f"w{place}", "NOUN") for place in range(12))
    counts = rng.integers(0, 30, (12, len(TYPED))).astype(float)
    seen = places.Profiles(words, counts, np.full(12, 40.0), np.arange(12) % 2 == 0)
    numbers = rng.normal(size=(12, 4))
    (fast,) = places._left_out(seen, numbers, [0.5])
    # By hand: the same linear smoother with the word's own target replaced by its prediction is a fixed point.
    centre = np.eye(12) - 1 / 12
    near = centre @ norms.kernel(numbers) @ centre
    near /= np.trace(near) / 12
    share = counts / 40
    for row in range(12):
        target = share.copy()
        target[row] = fast[row]
        fitted = target.mean(axis=0) + near @ np.linalg.solve(near + 0.5 * np.eye(12), target)
        assert np.allclose(fitted[row], fast[row])


def test_nothing_can_be_told_from_random_places() -> None:
    rng = np.random.default_rng(1)
    words = tuple((f"w{place}", "NOUN") for place in range(200))
    counts = rng.poisson(rng.uniform(0, 20, len(TYPED)), (200, len(TYPED))).astype(float)
    seen = places.Profiles(words, counts, np.full(200, 40.0), np.arange(200) % 2 == 0)
    source = sources.Numbers(lambda some: rng.normal(size=(len(some), 5)))
    told = places.told(seen, places.expected_by_place(seen, source))
    # A mean that the word itself has a share in would explain something.
    assert 1 - told.left.sum() / told.total.sum() < 0


def test_profiles_count_both_ends_of_every_typed_relation(texts: dict[str, Treebank]) -> None:
    text = texts["dev"].first(200)
    seen = places.profiles([text])
    assert min(seen.occurrences) >= places.LEAST_OF_NEIGHBOUR
    for word in (("the", "DET"), ("have", "VERB"), ("be", "AUX")):
        row = seen.words.index(word)
        tokens = [token for sentence in text.sentences() for token in sentence]
        own = [token for token in tokens if (base(token.lemma, token.upos), token.upos) == word]
        assert seen.occurrences[row] == len(own)
        expected = sum(token.relation == "det" for token in own)
        assert seen.counts[row, places.NAMES.index("<det")] == expected
        objects = sum(
            1
            for sentence in text.sentences()
            for token in sentence
            if token.relation == "obj"
            and (base(sentence[token.head - 1].lemma, sentence[token.head - 1].upos), sentence[token.head - 1].upos)
            == word
        )
        assert seen.counts[row, places.NAMES.index(">obj")] == objects


def test_coverage_of_the_small_table_counts_no_classes(texts: dict[str, Treebank]) -> None:
    metrics, plain = coverage(texts["dev"].first(100), 0)
    assert plain["coverage_1000"] < metrics["coverage_1000"].value < metrics["coverage_50k"].value
    assert metrics["coverage_50k_propn"].value == 100.0
    assert metrics["coverage_1000_propn"].value < 60
    assert plain["listed_50k"] < metrics["listed_50k"].value < metrics["coverage_50k"].value


def test_a_site_leads_when_the_counts_cannot_tell_it_from_the_fullest() -> None:
    counts = np.zeros((1, len(TYPED)))
    counts[0, :4] = [30, 27, 10, 30]
    seen = places.Profiles((("a", "NOUN"),), counts, np.array([60.0]), np.array([False]))
    assert seen.leading[0, :5].tolist() == [True, True, False, True, False]


def test_agreement_of_partitions_and_purity_of_neighbours() -> None:
    assert clusters.adjusted_rand([0, 0, 1, 1], [5, 5, 9, 9]) == 1.0
    assert clusters.adjusted_rand([0, 0, 1, 1], [0, 1, 0, 1]) == pytest.approx(-0.5)
    points = np.concatenate([np.eye(2)[[0] * 15], np.eye(2)[[1] * 15]]) + 0.01 * np.arange(60).reshape(30, 2) / 60
    labels = np.repeat([0, 1], 15)
    distance = clusters.distances(points)
    near = clusters.nearest(distance)
    assert clusters.purity(near, labels).mean() == 1.0
    assert clusters.silhouette(distance, labels).min() > 0.9
    assert clusters.adjusted_rand(clusters.clusters(points, 2, 0), labels) == 1.0
    mean, p = clusters.chance_purity(near, labels, np.zeros(30, dtype=int), 0)
    assert abs(mean - 48.3) < 3
    assert p < 0.01
    kept, names = clusters.labelled(["a", "b", "a", None, "b", "c"], 2)
    assert (kept.tolist(), names.tolist()) == ([0, 1, 2, 4], [0, 1, 0, 1])


def test_plausibility_is_predicted_for_heads_that_were_not_seen() -> None:
    rng = np.random.default_rng(0)
    place = {f"{kind}{number}": rng.normal(size=3) for kind in "hd" for number in range(40)}
    rows = [(f"h{h}", f"d{d}") for h in range(40) for d in rng.choice(40, 5, replace=False)]
    rating = np.array([place[h][0] * place[d][0] + 0.5 * place[d][1] for h, d in rows])
    pairs = norms.Rated(
        tuple((h, "VERB") for h, _ in rows),
        tuple((d, "NOUN") for _, d in rows),
        rating,
        np.array([norms.is_dev(*row) for row in rows]),
    )
    guess = norms.plausibility(pairs, sources.Numbers(lambda words: np.array([place[word] for word, _ in words])), 0)
    assert norms.rho(guess, rating) > 0.7
    blind = norms.plausibility(pairs, sources.Numbers(lambda words: np.zeros((len(words), 1))), 0)
    assert abs(norms.rho(blind, rating)) < 0.3


def test_the_rated_data_are_read_whole(asa_data: Path) -> None:
    for relation in norms.PLAUSIBILITY:
        pairs = norms.plausibility_pairs(relation)
        assert len(pairs.rating) == 2000
        assert 0 <= pairs.rating.min() <= pairs.rating.max() <= 10
        assert 0.4 < pairs.dev.mean() < 0.6
    pairs = norms.similarity_pairs()
    assert (pairs.first[111], pairs.first[777]) == (("wife", "NOUN"), ("go", "VERB"))
    words = norms.concreteness_words(500, lambda words: ["NOUN"] * len(words))
    assert len(words.words) == 500
    assert 1 <= words.rating.min() <= words.rating.max() <= 5


def test_the_map_keeps_neighbours_together_and_is_the_same_every_time() -> None:
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.normal(6 * np.eye(5)[kind], 0.3, (25, 5)) for kind in range(3)])
    at = project(rows, 200)
    labels = np.repeat(np.arange(3), 25)
    own = np.linalg.norm(at[:, None] - at[None], axis=2)
    np.fill_diagonal(own, np.inf)
    assert (labels[own.argmin(axis=1)] == labels).mean() == 1.0
    assert np.array_equal(at, project(rows, 200))
