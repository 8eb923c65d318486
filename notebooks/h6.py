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
# # Does attention follow linguistic rules?
#
# The original ASA had a table of parts of speech: nouns may look at verbs, "to" may not look at verbs, and so on. It
# found that three quarters of the attention of a model that had never seen the table lie on the pairs that the table
# allows, and less than half on a random mask, and called this its hypothesis H6. The random mask had half the density.
#
# This notebook lays the mask over a text, builds masks that match it, trains a tiny model and asks again. Then it looks
# at what was measured in larger models. The same as an experiment with verdicts: `python -m feasibility.h6`.
# Background: [docs/h6.md](../docs/h6.md).

# %%
import os

import torch
from IPython.display import SVG, display

from feasibility.h6.experiment import EXPERIMENT, TINY, charts
from feasibility.h6.findings import lift_over, of_size, raw_share
from feasibility.h6.masks import CONTROLS
from feasibility.h6.measure import measure, prepare
from feasibility.h6.record import read_record
from feasibility.h6.text import read_texts
from feasibility.language_model.measure import open_lab
from feasibility.lm.train import Batches, TrainConfig, train
from feasibility.sparse_attention.figures import mask_chart
from periodic_table.tagging.tagger import TAGS

# SMOKE=1 trains for a few steps on a few chunks.
smoke = os.environ.get("SMOKE") == "1"
length, chunks, steps = (48, 6, 4) if smoke else (128, 24, 300)
lab = open_lab(length, seed=0)

# %% [markdown]
# ## Pieces know their words
#
# A tagger that sees the whole text tags the words, and each piece has the tag of its word. For a model's own mask that
# would leak the future. Here it sorts the attention of a model that never saw a tag.

# %%
texts = read_texts(lab.corpus, "test", chunks, length)
for piece, type_, word in list(zip(texts.ids[0], texts.types[0], texts.words[0], strict=False))[:20]:
    print(f"{lab.corpus.vocab[piece]:10} word {word:3}  {TAGS[texts.tags[type_]] if word else ''}")

# %% [markdown]
# ## The mask and its controls
#
# White space, pieces of one word and the first piece do not count. Of all other pairs the mask allows about 70 %, and
# so do its controls. Below: the mask (`asa`) and one draw of some of them.

# %%
prepared = prepare(texts, seed=0)
masks = prepared[0].masks
shown = {name: prepared[0].cuts[name][0] & masks.population for name in ("asa", "row_distance", "frequency", "window")}
display(SVG(mask_chart({name: mask.numpy() for name, mask in shown.items()})))

# %% [markdown]
# What is compared with is not one draw but the mean over two hundred, or over all where that can be computed: how
# likely each pair is to be allowed. In every chunk each control allows as many pairs as the mask.

# %%
pairs = float((masks.allowed & masks.population).sum())
for name, control in zip(CONTROLS, masks.controls, strict=True):
    print(f"{name:16} {float(control.sum()):,.0f} of {float(masks.population.sum()):,.0f} pairs; the mask {pairs:,.0f}")

# %% [markdown]
# ## A tiny model
#
# Its attention before and after training. The original's figure (`raw`) is high before anything was learned, and as
# high for a random mask as for the linguistic one: it is the density of the mask. `lift` is what the mask catches of
# the attention that a control leaves out; 0 means no better than the control.

# %%
model = lab.model(0)
before = measure(model, prepared)
train(model, Batches(lab.ids["train"], length, 4, seed=0), TrainConfig(steps, 4e-3, warmup=max(1, steps // 10)))
after = measure(model, prepared)
for name, state in (("before", before), ("after", after)):
    raw = ", ".join(f"{mask} {raw_share([state], mask).value:.1f} %" for mask in ("asa", "row", "published"))
    found = lift_over([state], "row_distance")
    print(f"{name:7} raw: {raw};  lift {found.value:+.2f} % [{found.ci95[0]:+.2f}, {found.ci95[1]:+.2f}]")

# %% [markdown]
# ## Larger models
#
# Trained on a GPU, recorded with the project; the intervals are computed here. Grey is the tiny model from above.

# %%
models = {TINY: [after], **read_record()}
for chart in charts(models, {size: of_size(same) for size, same in models.items()}):
    display(SVG(chart.content))
    print(chart.caption)

# %%
print(EXPERIMENT.claim)
print(torch.__version__)
