"""Parts of the protocol beside its criteria: the curve, new words seen a few times, blocks, tied outputs, novels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from feasibility.harness import Metric
from feasibility.predetermined_embeddings.jobs import Found
from feasibility.predetermined_embeddings.protocol import Results
from feasibility.predetermined_embeddings.statistics import contrast, crossed, labels, multiplier, paired
from feasibility.predetermined_embeddings.tables import BLOCKS

if TYPE_CHECKING:
    from feasibility.predetermined_embeddings.experiment import Config

Metrics = dict[str, Metric]
Baselines = dict[str, dict[str, float]]
# Where the row of a new word may come from, with a learned table.
GIVEN = ("unknown", "class_mean", "ridge")


def metrics(config: Config, results: Results) -> Metrics:
    """What of these parts the run has; names say part, kind of model and size, such as "curve learned 500"."""
    found: Metrics = {}
    for size, answers in results.curve.items():
        for label in ("learned", "predetermined", "gaussian"):
            if f"{label}|excess" in answers:
                level = crossed(answers[f"{label}|excess"] / results.tokens, results.tokens)
                found[f"curve {label} {size}"] = level.metric("nats")
        saved = contrast(answers, "learned", "predetermined", results.tokens)
        found[f"curve saved {size}"] = saved.metric("nats")
        if len(results.curve) > 3:
            found[f"data_multiplier {size}"] = multiplier(results.curve, results.tokens, size)
    found |= _shots(results)
    found |= _blocks(results)
    found |= _tied(results)
    for name, answers in results.groups.items():
        if name.startswith("text "):
            found |= _text_words(name, answers) if name.endswith("words") else _text(name, answers)
    return found


def add_baselines(results: Results, rows: Baselines) -> None:
    """The same of every other kind of model, where it has no interval of its own."""
    for name, answers in results.groups.items():
        if name.startswith("text ") and not name.endswith("words"):
            asked = (answers["learned|nats"].shape[1]) * 32.0
            for label in labels(answers, "nats"):
                row = rows.setdefault(label, {})
                row[f"{name} nats"] = float(answers[f"{label}|nats"].sum(1).mean() / asked)


def _shots(results: Results) -> Metrics:
    """After a word that occurred k times: nats above the law, by where its row comes from."""
    found: Metrics = {}
    names = {"shots 0": results.groups["words"]}
    names |= {name: answers for name, answers in results.groups.items() if name.startswith("shots ")}
    # All of the same new words: those of the seeds that every number of times has.
    seeds = min(len(answers["predetermined|after"]) for answers in names.values())
    for name, full in names.items():
        answers = {measure: values[:seeds] for measure, values in full.items()}
        rows = {label: answers[f"{label}|after"] for label in labels(answers, "after")}
        rows["learned"] = rows.pop("learned_unknown")
        rows |= {given: answers[f"learned_unknown|after, {given}"] for given in GIVEN}
        for label in ("predetermined", "residual", "initialised", "learned", *GIVEN):
            if label in rows:
                found[f"{name} {label}"] = crossed(rows[label]).metric("nats")
        found[f"{name} saved"] = crossed(rows["learned"] - rows["predetermined"]).metric("nats")
    return found


def _blocks(results: Results) -> Metrics:
    """What the table loses without each block, and what it has with that block alone, after new words."""
    found: Metrics = {}
    words, few = results.groups.get("blocks"), results.groups.get("blocks, few")
    if words is None or few is None:
        return found
    whole = results.groups["words"]
    table, unknown = whole["predetermined|after"], whole["learned_unknown|after, unknown"]
    both = {"all|excess": results.groups["few"]["predetermined|excess"], **few}
    for block in BLOCKS:
        without, all_blocks = paired(words[f"without_{block}|after"], table)
        found[f"without {block}, new words"] = crossed(without - all_blocks).metric("nats")
        row, only = paired(unknown, words[f"only_{block}|after"])
        found[f"only {block}, new words"] = crossed(row - only).metric("nats")
        found[f"without {block}, few"] = contrast(both, f"without_{block}", "all", results.tokens).metric("nats")
    return found


def _tied(results: Results) -> Metrics:
    """One table for input and output: what the known one saves against the learned one."""
    found: Metrics = {}
    for name in ("few", "many"):
        answers = results.groups[name]
        if "learned > tied|excess" in answers:
            for label in ("predetermined > tied", "residual > tied"):
                saved = contrast(answers, "learned > tied", label, results.tokens)
                found[f"{label}, {name}"] = saved.metric("nats")
            found[f"learned > tied, {name}"] = contrast(answers, "learned", "learned > tied", results.tokens).metric(
                "nats"
            )
    return found


def _text(name: str, answers: Found) -> Metrics:
    """Perplexity against the learned table, in percent; of all that was asked, and of the words alone."""
    asked = np.full(answers["learned|nats"].shape[1], 32.0)
    found: Metrics = {}
    for label in labels(answers, "nats"):
        if label != "learned":
            gap = contrast(answers, label, "learned", asked, "nats")
            found[f"{name} {label}"] = gap.metric("%", "percent")
    level = crossed(answers["learned|nats"] / asked, asked)
    return found | {f"{name} learned nats": level.metric("nats")}


def _text_words(name: str, answers: Found) -> Metrics:
    """After a word that is new: nats of what follows, less than with each row that a learned table could give it."""
    known = answers["predetermined|after"]
    found = {f"{name} after": crossed(known).metric("nats")}
    for given in GIVEN:
        saved = answers[f"learned|after, {given}"] - known
        found[f"{name} over {given}"] = crossed(saved).metric("nats")
    for label in ("shuffled", "gaussian", "residual"):
        found[f"{name} over {label}"] = crossed(answers[f"{label}|after"] - known).metric("nats")
    found[f"{name} auc"] = crossed(answers["predetermined > predetermined|auc"]).metric("")
    for given in GIVEN[1:]:
        found[f"{name} auc {given}"] = crossed(answers[f"learned|auc, {given}"]).metric("")
    return found
