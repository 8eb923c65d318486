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
# # Reading on without end
#
# A language model that attends to everything must remember everything: after 100,000 words it carries 100,000 keys and
# values in every layer, and each further word takes longer. A model that keeps a window and the last few words of each
# class carries a fixed number of them. This notebook trains a small one, lets it read and write as a stream, takes it
# to `transformers`, and looks at what was measured on a GPU.
#
# The same as an experiment with verdicts: `python -m feasibility.long_context`. Background:
# [docs/long_context.md](../docs/long_context.md).

# %%
import os
import tempfile
from pathlib import Path

import torch
from IPython.display import SVG, Markdown, display

from feasibility.language_model.measure import HEADLINE
from feasibility.lm.agreement import judge_pairs, minimal_pairs
from feasibility.lm.export import Card, export, read_rules
from feasibility.lm.generate import Stream
from feasibility.long_context.board import board
from feasibility.long_context.experiment import recorded_charts
from feasibility.long_context.here import here_chart
from feasibility.long_context.measure import small, stream_gap, stream_places, text_of
from feasibility.long_context.record import read_recorded

# SMOKE=1 trains for a few steps.
smoke = os.environ.get("SMOKE") == "1"
trained = small(HEADLINE, length=128, keys=40.0, steps=3 if smoke else 200, seed=0)

# %% [markdown]
# ## The same logits, however the text is cut
#
# The stream reads a text four times as long as any that the model was trained on, by chunks and by single pieces. Its
# logits are those of one forward over all of it, up to rounding.

# %%
print(f"largest relative difference: {stream_gap(trained, 200 if smoke else 512):.1e}")

# %% [markdown]
# ## Memory and time that stay as they are
#
# The model reads 100,000 pieces of a novel and writes a little at some places on the way: the next piece always takes
# the same time, and what is remembered the same room. Dense attention's grow with the text. In few bytes it can keep
# few pieces, and those are the last ones; typed memory keeps some that were read long ago.

# %%
models = {HEADLINE: trained, "dense": small("dense", length=128, keys=40.0, steps=1, seed=0)}
places = (64, 200) if smoke else (1_000, 3_000, 10_000, 30_000, 100_000)
curves = stream_places(models, places, written=8, rounds=2 if smoke else 5)
last, each = places[-1], curves["dense"][places[-1]].nbytes / places[-1]
size = curves[HEADLINE][last].nbytes
print(f"after {last:,} pieces: {size / 2**20:.2f} MiB, room for {size / each:.0f} pieces of dense attention")
print(f"a text {last / (size / each):.0f} times as long as dense attention could keep in it")
for name, curve in curves.items():
    metric = curve[last].over(curve[places[0]])
    low, high = metric.ci95
    print(f"{name}: {metric.value:.2f} [{low:.2f}, {high:.2f}] times as long a piece as after {places[0]:,}")
display(SVG(here_chart(curves).content))

# %%
stream = Stream(trained.model, trained.pattern)
stream.read(text_of(trained, 200))
written = stream.generate(20 if smoke else 120, temperature=0.7, seed=1)[0].tolist()
print("".join(trained.corpus.vocab[piece] for piece in written).replace("\u0120", " ").replace("\u010a", "\n"))

# %% [markdown]
# ## Minimal pairs
#
# "The men with the letter are old" or "is old": which is likelier? A model of this size, trained this briefly, guesses.

# %%
pairs = minimal_pairs()[:: 20 if smoke else 1]
for phenomenon, right in judge_pairs(trained.model, trained.corpus, pairs, trained.make_plan).items():
    print(f"{phenomenon:30} {sum(right):3} of {len(right)}")

# %% [markdown]
# ## In transformers
#
# The model is a Llama by another name. Saved with its tokeniser, card and rules, it loads there, and writes there in
# constant memory.

# %%
try:
    from transformers import AutoModelForCausalLM

    from feasibility.lm.hub import HubStream
except ImportError:
    print("pip install 'atomic-semantic-attention[hf]' to see this part")
else:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        export(trained.model, folder, Card("tiny"), tokeniser=trained.corpus.tokeniser, pattern=trained.pattern)
        hub = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        streams = HubStream(hub, *read_rules(folder)), Stream(trained.model, trained.pattern)
    logits = [stream.feed(text_of(trained, 100)) for stream in streams]
    # The checkpoint is in bfloat16.
    print(f"largest difference of logits: {float((logits[0] - logits[1]).abs().max()):.3f}")

# %% [markdown]
# ## What a GPU found
#
# 17 million parameters trained on texts of 16,384 pieces; whole training steps and a stream of a model of 119 million.

# %%
found = read_recorded()
for chart in recorded_charts(found):
    display(SVG(chart.content))
    print(chart.caption)

# %%
display(Markdown(board(found)))
