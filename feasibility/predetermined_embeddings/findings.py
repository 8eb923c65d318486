"""From the models' answers to metrics, baselines, caveats and a finding."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from feasibility.harness import Metric, exact, median_of
from feasibility.predetermined_embeddings import more
from feasibility.predetermined_embeddings.jobs import Found
from feasibility.predetermined_embeddings.measure import likeness
from feasibility.predetermined_embeddings.protocol import Results
from feasibility.predetermined_embeddings.record import Record
from feasibility.predetermined_embeddings.runs import ARRIVALS
from feasibility.predetermined_embeddings.statistics import contrast, crossed, holm, labels, multiplier
from feasibility.predetermined_embeddings.tables import features
from feasibility.toy_world.grammar import build_world

if TYPE_CHECKING:
    from feasibility.predetermined_embeddings.experiment import Config

Baselines = dict[str, dict[str, float]]
# Where the excess comes from: see `feasibility.predetermined_embeddings.measure.excess`.
PARTS = {"pos": "excess, part of speech", "class": "excess, class", "word": "excess, word"}
# The roadmap's margin and the one that would mean something, as differences of log perplexity.
MARGINS = {"20": (math.log(0.8), math.log(1.2)), "1": (math.log(0.99), math.log(1.01))}


def metrics(config: Config, results: Results) -> dict[str, Metric]:
    """Everything that the criteria judge, and what is told beside it."""
    few, main = results.groups["few"], results.groups["many"]
    saved = {name: contrast(few, worse, better, results.tokens) for name, (worse, better) in _contrasts(few).items()}
    gap = contrast(main, "predetermined", "learned", results.tokens)
    answers = {
        "ppl_gap": gap.metric("%", "percent"),
        **{name: estimate.metric("nats") for name, estimate in saved.items()},
        **{
            f"saved_few_{name}": contrast(few, "learned", "predetermined", results.tokens, part).metric("nats")
            for name, part in PARTS.items()
        },
        **_new_words(results),
        **_new_pairs(results),
        "data_multiplier": multiplier(results.curve, results.tokens, config.few),
        **more.metrics(config, results),
        "floor": exact(results.floor, "nats", len(results.tokens)),
        "excess": _level(main, "predetermined", results),
        "excess_few": _level(few, "predetermined", results),
        "likeness": crossed(few["predetermined|likeness"]).metric(""),
        "drift_initialised": crossed(few["initialised|drift"]).metric(""),
    }
    answers |= {name: median_of(values.tolist(), "tokens") for name, values in _arrivals(main, "predetermined").items()}
    answers |= {f"tost_p_{name}": exact(gap.p_within(*margin)) for name, margin in MARGINS.items()}
    adjusted = holm({name: estimate.p_two_sided() for name, estimate in saved.items()})
    return answers | {f"holm_p_{name}": exact(p) for name, p in adjusted.items()}


def _contrasts(few: Found) -> dict[str, tuple[str, str]]:
    """The contrasts that were fixed beforehand: name -> (what should be worse, what should be better)."""
    return {
        "saved_few": ("learned", "predetermined"),
        "saved_few_shuffled": ("learned", "shuffled"),
        "saved_few_residual": ("learned", "residual"),
        "cost_of_wrong": ("predetermined, misaligned", "predetermined"),
        "cost_of_shuffling": ("shuffled", "predetermined"),
        "cost_of_chance": ("gaussian", "predetermined"),
        "loss_in_wrong_world": ("predetermined, misaligned", "learned"),
    }


def _arrivals(found: Found, label: str) -> Found:
    """Tokens read until the dev loss is so near to the floor, for the distances that every seed has reached."""
    rows = {f"tokens_to_{distance:g}": found[f"{label}|tokens to {distance:g}"] for distance in ARRIVALS}
    return {name: values for name, values in rows.items() if np.isfinite(values).all()}


def _level(found: Found, label: str, results: Results) -> Metric:
    return crossed(found[f"{label}|excess"] / results.tokens, results.tokens).metric("nats")


def _new_words(results: Results) -> dict[str, Metric]:
    found = results.groups["words"]
    known = found["predetermined|after"]
    learned = {name: found[f"learned_unknown|after, {name}"] for name in ("unknown", "class_mean", "ridge")}
    return {
        "new_words_excess": crossed(known).metric("nats"),
        **{f"new_words_over_{name}": crossed(values - known).metric("nats") for name, values in learned.items()},
        "new_words_auc": crossed(found["predetermined > predetermined|auc"]).metric(""),
    }


def _new_pairs(results: Results) -> dict[str, Metric]:
    found = results.groups["pairs"]
    known = found["predetermined|auc"]
    return {
        "new_pairs_auc": crossed(known).metric(""),
        "new_pairs_gain": crossed(known - found["learned|auc"]).metric(""),
    }


def baselines(config: Config, results: Results) -> dict[str, dict[str, float]]:
    """The same measures of everything else, so that every criterion is read beside what a random table does."""
    few, main = (
        results.groups[name] | {"counted trigrams|excess": results.counted[size]}
        for name, size in (("few", config.few), ("many", config.sentences))
    )
    rows: dict[str, dict[str, float]] = {}
    for label in labels(main):
        gap = contrast(main, label, "learned", results.tokens)
        row = rows.setdefault(label, {})
        row |= {"ppl_gap": 100.0 * math.expm1(gap.mean), "excess": _level(main, label, results).value}
        if f"{label}|dev" in main:
            row |= {name: float(np.median(values)) for name, values in _arrivals(main, label).items()}
        if label != "learned":
            row |= {f"tost_p_{name}": gap.p_within(*margin) for name, margin in MARGINS.items()}
    for label in labels(few):
        saved = contrast(few, "learned", label, results.tokens).mean
        rows.setdefault(label, {}).update(
            saved_few=saved,
            saved_few_shuffled=saved,
            cost_of_wrong=contrast(few, label, "predetermined", results.tokens).mean,
            excess_few=_level(few, label, results).value,
        )
        if f"{label}|likeness" in few:
            rows[label]["likeness"] = float(few[f"{label}|likeness"].mean())
            for name, part in PARTS.items():
                rows[label][f"saved_few_{name}"] = contrast(few, "learned", label, results.tokens, part).mean
                rows[label][f"excess_few_{name}"] = float(few[f"{label}|{part}"].sum(1).mean() / results.tokens.sum())
    rows["half aligned"] = rows["predetermined, 0.5 aligned"]
    _add_unseen(results, rows)
    more.add_baselines(results, rows)
    return rows


def _add_unseen(results: Results, rows: dict[str, dict[str, float]]) -> None:
    words, pairs = results.groups["words"], results.groups["pairs"]
    learned = {name: words[f"learned_unknown|after, {name}"] for name in ("unknown", "class_mean", "ridge")}
    for label in labels(words, "after"):
        after = words[f"{label}|after"]
        row = rows.setdefault(label, {})
        row |= {f"new_words_over_{name}": float((values - after).mean()) for name, values in learned.items()}
        row |= {"new_words_excess": float(after.mean()), "new_words_auc": float(words[f"{label}|auc"].mean())}
    for name, values in learned.items():
        rows[name] = {f"new_words_over_{n}": float((v - values).mean()) for n, v in learned.items()}
        rows[name]["new_words_excess"] = float(values.mean())
        if name != "unknown":
            rows[name]["new_words_auc"] = float(words[f"learned_unknown|auc, {name}"].mean())
    for label in labels(pairs, "auc"):
        auc = pairs[f"{label}|auc"]
        rows.setdefault(label, {}).update(
            new_pairs_auc=float(auc.mean()), new_pairs_gain=float((auc - pairs["learned|auc"]).mean())
        )


def finding(config: Config, metrics: dict[str, Metric], baselines: Baselines, recorded: Record | None) -> str:
    """What came out, in plain words; of the recorded run, too, where it is another."""
    said = _said(config, metrics, baselines)
    if recorded is None:
        return said
    full = _said(SimpleNamespace(**recorded.facts["config"]), recorded.metrics, recorded.baselines)
    return f"{said} The whole protocol, recorded ({recorded.facts['verdict']}): {full[0].lower()}{full[1:]}"


def _said(config: Any, metrics: Mapping[str, Metric], rows: Baselines) -> str:
    gap, saved = metrics["ppl_gap"], metrics["saved_few"]
    gains = {name: f"{rows[name]['saved_few']:+.3f}" for name in ("shuffled", "predetermined, misaligned", "world")}
    after = {name: f"{rows[name]['new_words_excess']:.2f}" for name in ("unknown", "class_mean", "ridge", "world")}
    return (
        f"From {config.sentences:,} sentences the predetermined table is {gap.value:+.1f} % from the learned one in "
        f"perplexity, a random table {rows['gaussian']['ppl_gap']:+.1f} %; the roadmap allows 20 %. From "
        f"{config.few:,} sentences it saves {saved.value:+.3f} nats a token [{saved.ci95[0]:+.3f}, "
        f"{saved.ci95[1]:+.3f}] of the learned table's {rows['learned']['excess_few']:.3f} above the floor; shuffled "
        f"{gains['shuffled']}, where it is wrong {gains['predetermined, misaligned']}, the grammar's own knowledge as "
        f"a table {gains['world']}. After a word never seen it is {metrics['new_words_excess'].value:.2f} nats above "
        f"the exact law; the row for unknown words {after['unknown']}, the mean of the part of speech "
        f"{after['class_mean']}, a ridge map from the same coordinates to learned rows {after['ridge']}, the grammar's "
        f"own knowledge {after['world']}. Pairs never seen: area under the curve {metrics['new_pairs_auc'].value:.2f}, "
        f"learned {rows['learned']['new_pairs_auc']:.2f}, the grammar's own knowledge "
        f"{rows['world']['new_pairs_auc']:.2f}."
    )


def caveats(config: Config, results: Results, recorded: Record | None) -> tuple[str, ...]:
    """What a reader needs in order not to be misled."""
    world = build_world()
    tuned = (
        "was chosen for each condition among six, on dev sentences of a seed of its own, once for few sentences and "
        "once for many"
        if config.full
        else "is one for all conditions, found good for learned tables on dev sentences"
    )
    told = () if recorded is None else (
        f"What is said of the whole protocol was recorded ({recorded.facts['trained_on']}) and not repeated by this "
        f"run: {recorded.facts['config']['seeds']} seeds, {recorded.facts['config']['layers']} layers of width "
        f"{recorded.facts['config']['dim']}, recipes chosen for each condition. This run has {config.seeds} seeds, "
        f"{config.layers} layers of width {config.dim} and reads {config.few:,} sentences {config.passes:g} times: its "
        "models select less well than those, whatever their tables. The criteria are judged on this run alone.",
    )  # fmt: skip
    return (
        *told,
        "The world's selection was written by hand by one who also knows the table, though not read off it: cosine of "
        f"coordinates and cosine of use in the world correlate with {likeness(features(world), world):.2f} (Spearman) "
        "over words of one part of speech.",
        "A misaligned world is the aligned one with other names: a table in it is the same as one whose rows are "
        "shuffled within each part of speech, and all that knows no names is the same in both. Part of speech stays "
        "right.",
        f"The recipe (learning rate, dropout) {tuned}. A learned table begins small, at .02 a coordinate, which is "
        "better for it by .04 nats at 500 sentences than the .2 of the known ones.",
        "Which blocks of coordinates make the table was chosen among four sets on dev sentences and new words of other "
        "seeds, after a first run with all twelve blocks, in which the table was no better than a learned one.",
        "love, the noun, and love, the verb, are two entries of the vocabulary: the 100 elements of the table, not 99 "
        "spellings.",
        "The law after a new word is that of sentences which go on with seen words, exactly; new words are not among "
        "the answers.",
        "Intervals are Student's over seeds, which are few, with the variation over sentences added.",
    )
