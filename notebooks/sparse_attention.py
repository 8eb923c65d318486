# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Attention that follows the classes of its tokens
#
# In a language model every word may look at every earlier word, and the bill grows with the square of the text. Yet
# linguistics knows beforehand that most of these looks are idle: a determiner has little to say to an adverb. The
# original ASA wrote such knowledge into a mask, computed the whole n x n matrix all the same, and then crossed most of
# it out. It got 40 % slower.
#
# `sparse_attn` computes the *same function* from lists of the keys that are visible. This notebook draws the masks,
# checks the function against float64, and measures when it pays.
#
# The same as an experiment with verdicts: `python -m feasibility.sparse_attention`. Background:
# [docs/sparse_attn.md](../docs/sparse_attn.md).

# %%
import os
import time

import numpy as np
import torch
from IPython.display import SVG, display

from feasibility.sparse_attention.figures import mask_chart, memory_chart, speed_chart
from feasibility.sparse_attention.measure import (
    eager_run,
    gradients,
    make_bench,
    masked_run,
    mode_errors,
    planned_run,
    relative_error,
    time_all,
    visible,
)
from feasibility.sparse_attention.memory import growth, memory_of
from feasibility.sparse_attention.model import KINDS, draw_text, perplexity
from feasibility.sparse_attention.patterns import HEADLINE, TABLE, UPOS, english_tags, patterns, upos_table
from sparse_attn import ClassRules, class_attention, plan_classes

# SMOKE=1 measures short texts, for seconds.
smoke = os.environ.get("SMOKE") == "1"
lengths = (256, 512) if smoke else (1024, 2048, 4096)
bench = make_bench("cpu", 1 if smoke else 2, seed=0)

# %% [markdown]
# ## A mask is a table
#
# Which part of speech may look at which? A dot is a pair that may; everything is allowed to look at itself and at
# punctuation. In running English two thirds of all pairs of words pass.

# %%
table = upos_table()
print(" " * 6 + " ".join(f"{tag:5}" for tag in UPOS))
for tag, row in zip(UPOS, table, strict=True):
    print(f"{tag:6}" + " ".join(f"{'.' if allowed else '':5}" for allowed in row))

# %% [markdown]
# ## What a token sees
#
# Rows are the words of a text, columns the words they may look at. On the left the table alone: it thins out, but the
# work still grows with the square. On the right the pattern that the package is made for, a *window* of near words and
# the last few words of each class (their *valence*): however long the text, a token looks at some 300 others at most.

# %%
tokens = 128
tags = english_tags(tokens, seed=0)[None]
shown = {
    "table": ClassRules(table),
    "table, valence 2": ClassRules(table, valence=2),
    "window 16, valence 1": ClassRules(torch.ones(17, 17, dtype=torch.bool), window=16, valence=1),
}
masks = {name: visible(plan_classes(tags, rules))[0, 0].numpy() for name, rules in shown.items()}
display(SVG(mask_chart(masks)))

# %% [markdown]
# ## Three lines
#
# Rules, a plan, a call. A plan holds no activations: one serves every layer, every head, every step over the same
# words, and the backward pass.

# %%
rules = ClassRules(torch.ones(64, 64, dtype=torch.bool), window=64, valence=4)
ids = patterns(lengths[-1], seed=0)[HEADLINE].ids(1, lengths[-1], "cpu")
plan = plan_classes(ids, rules)
query, key, value, grad = bench.inputs(lengths[-1], 1)
out = class_attention(query, key, value, plan)
print(f"{tuple(query.shape)} -> {tuple(out.shape)}")

# %% [markdown]
# It is exact, output and gradients. Its error against float64 is about that of plain attention in the same precision.

# %%
truth = gradients(planned_run(plan, "reference"), [x.double() for x in (query, key, value, grad)])
for name, run in (("ours", planned_run(plan)), ("written out", eager_run(plan)), ("fused, masked", masked_run(plan))):
    found = gradients(run, [query, key, value, grad])
    errors = [f"{relative_error(a, b):.1e}" for a, b in zip(found, truth, strict=True)]
    print(f"{name:14} output {errors[0]}   dq {errors[1]}   dk {errors[2]}   dv {errors[3]}")

# %% [markdown]
# So is every mode of the original (mask and bias, either, neither) and every bound: our error over that of plain
# attention, the worst of output and gradients.


# %%
def track(items, label, total=None):
    """The measurements show their progress through this; a notebook needs none."""
    return items


for mode, ratios in mode_errors(bench, 1 if smoke else 3, track).items():
    print(f"{mode:14} {max(ratios):.2f}")

# %% [markdown]
# ## The same model
#
# Two tiny language models that differ in nothing but who computes their attention reach the same perplexity on
# held-out text of the toy grammar. The third has no mask at all: a baseline, not a test. Whether masks of this kind
# *help* a language model is a question for an experiment of its own.

# %%
train, test = draw_text(100 if smoke else 1000, 0, 0), draw_text(30 if smoke else 250, 0, 1)
for kind in KINDS:
    begin = time.perf_counter()
    score = perplexity(kind, train, test, 2 if smoke else 40, 0, "cpu")
    print(f"{kind:16} perplexity {score:.5f}   in {time.perf_counter() - begin:.1f} s")

# %% [markdown]
# ## What it costs
#
# Every pattern and every opponent is timed side by side, forward and backward, in rounds; the plan counts for one layer
# of twelve. The opponent is the fastest dense attention, and that is the one *without* a mask: it computes more but has
# nothing to look up. The bare table cannot beat it by much (it keeps two thirds of the pairs), and on a CPU it does not
# at all. The bounded rules win from some length on, and then ever more.

# %%
times = time_all(bench, lengths, {}, 1 if smoke else 5, track)
middle = {cell: float(np.median(row)) for cell, row in times.total.items()}
peers = ("dense", "sdpa_masked", "eager_masked")
gains = {
    name: {
        n: min(middle[p, n] for p in peers if (p, n) in middle) / middle[name, n]
        for n in lengths
        if (name, n) in middle
    }
    for name in dict.fromkeys(name for name, _ in middle)
}
print(f"{'':24}" + "".join(f"{f'n = {n:,}':>12}" for n in lengths) + "   times as fast as dense")
for name, row in gains.items():
    print(f"{name:24}" + "".join(f"{row[n]:12.2f}" if n in row else f"{'':12}" for n in lengths))
display(SVG(speed_chart(gains, {})))

# %% [markdown]
# ## What it holds
#
# A written-out mask is n x n, and so are the scores where they are written out. Lists of keys grow with the text, like
# the text itself. (Dense attention without a mask needs no such matrix either; its limit is time.)

# %%
sizes = (256, 512, 1024) if smoke else (1024, 2048, 4096)
measured = {name: {n: memory_of(bench, name, n) for n in sizes} for name in (HEADLINE, TABLE, *peers)}
budget = 2**26 if smoke else 2**30
longest = {name: growth({n: measured[name][n] for n in sizes[:2]}).longest(budget) for name in peers}
for name, row in measured.items():
    ends = f"   {budget >> 20:,} MiB are full at n = {longest[name]:,.0f}" if name in longest else ""
    print(f"{name:24}" + "".join(f"{size / 2**20:10.1f} MiB" for size in row.values()) + ends)
in_mib = {name: {n: size / 2**20 for n, size in row.items()} for name, row in measured.items()}
display(SVG(memory_chart(in_mib, budget / 2**20, longest, sizes[-1])))

# %% [markdown]
# ## What this does not show
#
# * Time is that of one attention on this machine. A whole model does more besides, and a GPU is another story
#   ([docs/sparse_attn.md](../docs/sparse_attn.md) has one).
# * The classes here are drawn with the right frequencies but independently; in real text they come in clumps.
# * A plain window of as many keys is as fast, or faster. What classes are good for is *which* far words stay in sight.
#
# Try it: other rules (`ClassRules(table, budget=64)`), other lengths, or your own `class_ids`: speakers, modalities,
# kinds of token in code.
