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
# # Does it last when the model grows?
#
# What helps a small model may be nothing to a large one. Models of several sizes were trained on the same text with
# dense attention, with a window, and with a window and typed memory. Here a law is fitted to each, and the difference
# is followed over the sizes.
#
# The same as an experiment with verdicts: `python -m feasibility.scaling`. Background:
# [docs/scaling.md](../docs/scaling.md).

# %%
import os

from IPython.display import SVG, display

from feasibility.harness import silent
from feasibility.scaling.experiment import recorded_charts
from feasibility.scaling.measure import TINY, tiny_lines
from feasibility.scaling.record import TYPED, gains, law_of, leads, points, read_runs, trend

smoke = os.environ.get("SMOKE") == "1"

# %% [markdown]
# ## Laws
#
# loss(N) = floor + scale (N / 10^8)^-exponent. Chunks of the test novels are drawn anew for the intervals, the same
# ones for all sizes.

# %%
runs = read_runs()
laws = {name: law_of(by_size) for name, by_size in runs.items() if len(by_size) >= 3}
for name, law in laws.items():
    low, high = law.ci95
    print(f"{name:18} floor {law.floor:.2f}, exponent {law.exponent:.3f} [{low:.3f}, {high:.3f}]")
for chart in recorded_charts(runs, laws):
    display(SVG(chart.content))
    print(chart.caption)

# %% [markdown]
# ## The difference by size
#
# The interval of one size is over chunks of text and knows nothing of how two trainings differ; the line through all
# sizes and seeds does: its interval comes from how far the points scatter around it.

# %%
for size, metric in gains(runs).items():
    print(f"{size / 1e6:4.0f}M  {metric.value:+.4f} [{metric.ci95[0]:+.4f}, {metric.ci95[1]:+.4f}] nats beyond dense")
height, slope = trend(*points(runs), "nats")
print(f"at 100M {height.value:+.4f} {height.ci95}, per tenfold {slope.value:+.4f} {slope.ci95}")
quicker, _ = trend(*leads(runs), "%")
print(f"dense attention needs {quicker.value:+.1f} % more steps at 100M {quicker.ci95}")

# %% [markdown]
# ## The same in small
#
# Seconds on a laptop: nothing follows from these but that everything works.

# %%
for line in tiny_lines(TINY[:1] if smoke else TINY, 2 if smoke else 24, 40.0, 0, silent):
    print(f"{line['parameters']:9,} {line['spec']['name']:18} {line['test']['per_token']:.4f} nats a piece")
print(TYPED)
