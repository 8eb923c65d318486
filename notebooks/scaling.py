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
# dense attention, with a window, and with a window and typed memory. Here the difference is followed over the sizes,
# and a law is fitted to each kind.
#
# The same as an experiment with verdicts: `python -m feasibility.scaling`. Background:
# [docs/scaling.md](../docs/scaling.md).

# %%
import os

from IPython.display import SVG, display

from feasibility.harness import silent
from feasibility.scaling import controls
from feasibility.scaling.experiment import recorded_charts
from feasibility.scaling.measure import TINY, tiny_lines
from feasibility.scaling.record import TYPED, gains, law_of, points, read_runs, trend

smoke = os.environ.get("SMOKE") == "1"

# %% [markdown]
# ## The difference by size
#
# Three to five trainings of each kind, each pattern at its own learning rate. The interval of one size is over chunks
# of text and trainings; that of the line comes from how far single trainings scatter around it.

# %%
several, runs = controls.read_controls(), read_runs()
laws = {name: law_of(by_size) for name, by_size in runs.items() if len(by_size) >= 3}
charts = recorded_charts(several, runs, laws)
for other in ("dense", "window"):
    for size, metric in controls.gains(several, TYPED, other).items():
        low, high = metric.ci95
        print(f"{size / 1e6:4.0f}M  {metric.value:+.4f} [{low:+.4f}, {high:+.4f}] nats beyond {other}")
height, slope = trend(*controls.points(several), "nats")
for name, metric in {"at 100M": height, "per tenfold": slope}.items():
    print(f"{name}: {metric.value:+.4f} [{metric.ci95[0]:+.4f}, {metric.ci95[1]:+.4f}] nats beyond dense")
quicker, _ = trend(*controls.leads(several), "%")
low, high = quicker.ci95
print(f"dense attention needs {quicker.value:+.0f} [{low:+.0f}, {high:+.0f}] % more steps at 100M")
display(SVG(charts[0].content))
print(charts[0].caption)

# %% [markdown]
# ## Laws
#
# loss(N) = floor + scale (N / 10^8)^-exponent, from one short training of each size. Chunks of the test novels are
# drawn anew for the intervals, the same ones for all sizes; how much two trainings of one kind differ they do not know,
# and the jumps from size to size show it.

# %%
for name, law in laws.items():
    low, high = law.ci95
    print(f"{name:18} floor {law.floor:.2f}, exponent {law.exponent:.3f} [{low:.3f}, {high:.3f}]")
for size, metric in gains(runs).items():
    print(f"{size / 1e6:4.0f}M  {metric.value:+.4f} [{metric.ci95[0]:+.4f}, {metric.ci95[1]:+.4f}] nats beyond dense")
height, _ = trend(*points(runs), "nats")
print(f"at 100M {height.value:+.2f} [{height.ci95[0]:+.2f}, {height.ci95[1]:+.2f}]: nothing")
for chart in charts[1:]:
    display(SVG(chart.content))
    print(chart.caption)

# %% [markdown]
# ## The same in small
#
# Seconds on a laptop: nothing follows from these but that everything works.

# %%
for line in tiny_lines(TINY[:1] if smoke else TINY, 2 if smoke else 24, 40.0, 0, silent):
    print(f"{line['parameters']:9,} {line['spec']['name']:18} {line['test']['per_token']:.4f} nats a piece")
