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
# # Word vectors that are known before training
#
# A language model begins by looking every word up in a table of numbers, which it *learns*. The semantic periodic
# table gives every word numbers before any text is read. Can they replace the learned ones?
#
# Put that way the answer is always yes: with enough text even **random** numbers do, since the first layer learns to
# read them. So we ask where a random table must fail: with little text, with words that were never seen, and with
# word pairs that were never seen together. And we ask in a small world of which we know *everything*, so that a
# model can be compared with the truth and not only with other models.
#
# The same as an experiment with a verdict: `python -m feasibility.predetermined_embeddings`. Background:
# [docs/predetermined_embeddings.md](../docs/predetermined_embeddings.md).

# %%
import os

import numpy as np
from IPython.display import SVG, display

from feasibility.harness import silent
from feasibility.predetermined_embeddings import experiment, figures
from feasibility.predetermined_embeddings.measure import excess, likeness, make_exam
from feasibility.predetermined_embeddings.protocol import carry_out
from feasibility.predetermined_embeddings.record import charts, read_record
from feasibility.predetermined_embeddings.students import Student
from feasibility.predetermined_embeddings.tables import PLACES, word_table
from feasibility.predetermined_embeddings.train import Recipe, teach
from feasibility.toy_world.exact import Law
from feasibility.toy_world.grammar import build_world
from feasibility.toy_world.sampling import draw

# SMOKE=1 trains the models at the end for a moment only.
smoke = os.environ.get("SMOKE") == "1"

# %% [markdown]
# ## A small world
#
# 100 words, and a grammar that knows who may do what to whom: children sleep and stories do not. The language has
# number agreement (a singular subject asks for *be* or *can*), relative clauses, lists, and prepositional phrases
# that may belong to a noun or to a verb.

# %%
world = build_world()
sentences = draw(world, 8, seed=4)
for places, length in zip(sentences.places, sentences.lengths, strict=True):
    print(world.text(places[:length]))

# %% [markdown]
# Because the grammar is known, so is the law of the next word: exactly, summed over all sentences that can still
# follow.

# %%
law = Law(world)
name = {word: place for place, (word, _) in enumerate(world.words)}
prefix = ["the", "dog", "be", "eat", "two"]
places = np.full((1, 10), -1)
places[0, : len(prefix)] = [name[word] for word in prefix]
after = law.next_word(places, np.array([len(prefix)]))[0, len(prefix)]
print(" ".join(prefix), "...")
for place in np.argsort(-after)[:6]:
    print(f"  {world.words[place][0] if place < PLACES else '(end)':10} {after[place]:.3f}")

# %% [markdown]
# The mean entropy of these laws is a floor: no model can predict better.

# %%
exam = make_exam(world, 20 if smoke else 300, seed=1)
print(f"floor: {exam.floor:.3f} nats a token, a perplexity of {np.exp(exam.floor):.2f}")

# %% [markdown]
# ## Tables
#
# Where the words stand is not read off the periodic table, so the table may be more or less right about this world.
# We can also make it wrong: in the *misaligned* world nouns, verbs and adjectives have changed places with one
# another. Nothing else is different, not even the floor.

# %%
wrong = build_world(alignment=0.0)
first = sentences.places[0][: sentences.lengths[0]]
print("aligned:   ", world.text(first))
print("misaligned:", wrong.text(first))
for label, table in (
    ("predetermined", word_table("coordinates", world, 48, seed=0)),
    ("predetermined, wrong", word_table("coordinates", wrong, 48, seed=0)),
    ("random", word_table("gaussian", world, 48, seed=0)),
):
    print(f"{label:22} near in the table, alike in the world: rho = {likeness(table, world):+.2f}")

# %% [markdown]
# ## Three models
#
# The same small transformer three times, from 500 sentences: with a learned table, with the predetermined one, and
# with the predetermined one in the world where it is wrong. `teach` trains all of them in one batch.

# %%
read = 40 if smoke else 500
text, dev = draw(world, read, seed=0).places, draw(world, 100, seed=2).places
nothing = np.zeros(PLACES, bool)
students = [
    Student("learned", "learned", world, text, dev, nothing, seed=0),
    Student("predetermined", "learned", world, text, dev, nothing, seed=0),
    Student("predetermined", "learned", wrong, text, dev, nothing, seed=0),
]
trained = teach(students, Recipe(dim=48, heads=2, lr=6e-3), epochs=1 if smoke else 10)
parts = excess(trained, exam, world)
for number, label in enumerate(("learned", "predetermined", "predetermined, wrong")):
    shares = {name: row[number].sum() / exam.tokens.sum() for name, row in parts.items()}
    print(f"{label:22}", ", ".join(f"{name.removeprefix('excess, ')} {share:.3f}" for name, share in shares.items()))

# %% [markdown]
# One seed is an anecdote. The experiment repeats this with several, holds words and pairs out, and adds controls.
# Here it runs at a small size; `python -m feasibility.predetermined_embeddings` is the real one.

# %%
config = experiment.EXPERIMENT.smoke
if not smoke:
    config = experiment.Config(seeds=2, sentences=1_000, few=200, test=100, shots=(1,))
results = carry_out(config, silent)
display(SVG(figures.saved_chart(results.groups["few"], results.tokens, config.few)))

# %% [markdown]
# What comes after a word that was never seen? Here a learned table has nothing to offer, and a random one neither.

# %%
display(SVG(figures.unseen_chart(results.groups["words"], config.unseen)))

# %% [markdown]
# ## The whole protocol
#
# Ten seeds, a million parameters, every control, recipes chosen for each kind of model, and novels: minutes on a GPU,
# a night here. It was carried out once, and its figures are kept with the project.

# %%
for chart in charts(read_record().metrics, recorded=True):
    print(chart.caption)
    display(SVG(chart.content))

# %% [markdown]
# ## What this does not show
#
# That predetermined vectors help a large model on much text: at 10,000 sentences all tables end within a few percent
# of one another, random ones included, and at a million they would be closer still. What they give is what cannot be
# learned from text that is not there.
