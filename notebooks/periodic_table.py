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
# # A periodic table of words
#
# In 1869 Mendeleev put the elements in rows and columns, and the place of an element told how it bonds: what stood
# in one column bonded alike, and from the places around a gap he could say what the missing element would be like.
#
# Words bond too: *eat* takes an object, and rather *bread* than *Tuesday*; *afraid* stands after a verb and hardly
# ever before a noun. This notebook puts words into such a table, from dictionaries alone, and asks the same of it:
# **does the place of a word say what it bonds with?**
#
# The same as an experiment with a verdict: `python -m feasibility.periodic_table`. Background:
# [docs/periodic_table.md](../docs/periodic_table.md).

# %%
import os
import sys
from pathlib import Path

# This notebook has the name of the package: the folder that it lies in must not hide it.
sys.path[:] = [path for path in sys.path if not (Path(path) / "periodic_table.py").exists()]

import numpy as np
from IPython.display import SVG, display

from feasibility.periodic_table import bonds, places, sources
from feasibility.periodic_table.figures import word_map
from feasibility.periodic_table.map import project
from feasibility.periodic_table.treebank import SPLITS, read_split
from periodic_table import PeriodicTable, annotate, coordinates, similarity
from periodic_table.poster import draw, lay_out

# SMOKE=1 runs everything on a part of the text.
smoke = os.environ.get("SMOKE") == "1"

# %% [markdown]
# ## One word
#
# An element has a part of speech (its *block*), a meaning, a degree of abstraction (its *period*), bonding sites (its
# *group*), and senses (its *isotopes*) with how likely each is.

# %%
give = annotate(["give"], ["VERB"])[0]
print(give.lemma, give.pos, give.supersense, give.verb_class, "abstraction", give.abstraction)
for site in give.valence[:6]:
    print(f"  {'takes' if site.role == 'head' else 'is'} {site.relation}: {site.expected:.2f} times in one use")
for sense in give.senses[:4]:
    print(f"  {sense.synset} ({sense.supersense}): {sense.probability:.2f}")

# %% [markdown]
# ## The table
#
# A hundred words, annotated by hand. Columns are groups: what a word bonds with. Rows are periods: things that can be
# touched at the top, thoughts at the bottom. Colours are blocks. Function words stand below, as the rare earths do.

# %%
table = PeriodicTable.load("v0.1")
display(SVG(draw(lay_out(table, "The semantic periodic table"), "svg")))

# %% [markdown]
# `python -m periodic_table.poster --version v1.0 --out table.html` draws a thousand words, with search and details.
#
# ## Coordinates
#
# Any word has coordinates, each with a name, a range and a unit. The map puts words near each other whose
# coordinates are; the part of speech is not among those used.

# %%
print(len(coordinates("dog", "NOUN")), "axes in", len(coordinates.BLOCKS), "blocks:", ", ".join(coordinates.BLOCKS))
for one, other in (("dog", "cat"), ("dog", "bread"), ("dog", "idea")):
    print(f"{one} and {other}: {similarity(one, other, 'NOUN'):.2f}")

ours = sources.Table()
most = 120 if smoke else 700
shown = [e for e in PeriodicTable.load("v1.0") if e.supersense and e.pos in ("NOUN", "VERB", "ADJ", "ADV")][:most]
points = project(ours([(element.lemma, element.pos) for element in shown]))
display(SVG(word_map(points, [(element.lemma, element.pos, element.supersense) for element in shown])))

# %% [markdown]
# ## Bonds
#
# From a treebank a simple scorer learns which places bond with which: `score = x_head' W x_dependent` and a little
# more. Then it is asked about pairs that it has never seen: *this* object or *that* one? The other word is always
# of the same part of speech and as frequent in that slot, so neither of the two can give the answer away.

# %%
texts = {split: read_split(split) for split in SPLITS}
if smoke:
    texts = {split: text.first(400) for split, text in texts.items()}
bench = bonds.bench(texts, "test", 3, seed=0)
tests = bonds.main_tests(bench)[:2]
rivals = {
    "the table": ours,
    "rows dealt out at random": sources.shuffled(ours, 0),
    "vectors from the training text": sources.cooccurrence(texts["train"], bonds.AXES, 0),
}
for name, source in rivals.items():
    values = [test.comparison(0).metric(test.scores(bench.scorers(name, source))) for test in tests]
    print(f"{name:32}" + "   ".join(f"{m.value:.3f} [{m.ci95[0]:.3f}, {m.ci95[1]:.3f}]" for m in values))

# %% [markdown]
# Left: pairs that the training text does not have. Right: pairs with a word that it does not have at all, of which
# only the place is known. 0.5 says nothing.
#
# What does *eat* take, by its place and by what the treebank shows it with?

# %%
scorer = bench.scorers("the table", ours)[1]
verb, nouns = bench.words.place[("eat", "VERB")], np.flatnonzero(bench.words.tag == 0)
nouns = nouns[bench.words.count[nouns] >= (3 if smoke else 8)]
score = scorer(np.stack([np.full(len(nouns), verb), nouns], axis=1))
ranked = [bench.words.words[place][0] for place in nouns[np.argsort(-score)]]
print("eat, most of all:", ", ".join(ranked[:12]))
print("eat, least of all:", ", ".join(ranked[-12:]))

# %% [markdown]
# ## Mendeleev's test
#
# Take a word out, and tell from the places of the others what it mostly bonds with.

# %%
own = {(element.lemma, element.pos) for element in PeriodicTable.load("v1.0")}
seen = places.profiles(list(texts.values()))
rows = np.array([row for row, word in enumerate(seen.words) if word in own and seen.occurrences[row] >= places.LEAST])
by_place, by_pos = places.expected_by_place(seen, ours), places.expected_by_pos(seen)
for name, guess in (("from the place", by_place), ("from the part of speech", by_pos)):
    told = places.told(seen, guess, rows)
    print(f"{name:26} right {100 * told.right.mean():.0f} %, exactly {100 * told.exact.mean():.0f} %")
print("profile explained beyond the part of speech:", end=" ")
told = places.told(seen, by_place, rows)
print(f"{100 * (1 - told.left.sum() / told.total.sum()):.0f} %")
for word in (("say", "VERB"), ("big", "ADJ"), ("city", "NOUN"), ("go", "VERB")):
    if word in seen.words:
        row = seen.words.index(word)
        found, counted = places.NAMES[by_place[row].argmax()], places.NAMES[seen.counts[row].argmax()]
        print(f"{word[0]}: told {found}, counted {counted}")

# %% [markdown]
# ## What this does not show
#
# - *Right* counts a site that the word's own counts cannot tell from the fullest one. The part of speech alone is
#   right in four of five cases; the place adds seven points, and a quarter of the variation within a part of
#   speech.
# - The coordinates come from lexicons, and a good part of what they know is read off WordNet's definitions, which
#   are text.
# - Names and pronouns have hardly any place: lexicons say little of them.
