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
# # A tree of words in curved space
#
# *A tiger is a big cat, a big cat is a feline, a feline is a carnivore ...* WordNet holds such lines for all nouns of
# English, and together they make a tree. Can a computer keep that tree as points, five numbers a word, so that the
# distance between two points says how far apart the two words are in the tree?
#
# In ordinary, flat space it cannot do so well: a tree that branches needs exponentially more room with every level, and
# flat space does not have it. **Hyperbolic** space does. This notebook builds such an embedding in half a second, draws
# it, and measures it against the best flat one.
#
# The same as an experiment with a verdict: `python -m feasibility.hyperbolic_embeddings`. Background:
# [docs/hyperbolic.md](../docs/hyperbolic.md).

# %%
import os
import time

import numpy as np
from IPython.display import SVG, display

from feasibility.hyperbolic_embeddings.artifacts import training_film
from feasibility.hyperbolic_embeddings.experiment import read_graph
from feasibility.hyperbolic_embeddings.figures import distortion_chart, plain_word
from hyperbolic import distortion, draw_disk, embed, path_excess, retrieval
from hyperbolic.graph import adjacency, closure, hop_distances

# SMOKE=1 runs everything on the 60 words below "feline" instead of the 1,180 mammals.
smoke = os.environ.get("SMOKE") == "1"
root = "feline.n.01" if smoke else "mammal.n.01"

# %% [markdown]
# ## The tree
#
# An edge is a pair (child, parent). `read_graph` takes all edges below a word from the WordNet that comes with the
# project; for the mammals it takes the selection that the literature uses.

# %%
graph = read_graph(root)
hops, above = hop_distances(graph), closure(graph)
print(f"{len(graph)} nodes, {len(graph.edges)} edges, {above.sum()} pairs (word, word above it)")
print(f"the two farthest nodes are {hops.max():.0f} edges apart")

# %% [markdown]
# ## The picture
#
# The hyperbolic plane fits into a disk if lengths shrink towards the rim: every edge below is equally long, and the rim
# is infinitely far away. The lines are the straight lines of that plane. Move the mouse over a point to read its name.

# %%
disk = embed(graph, dim=2, method="wedges")
display(SVG(draw_disk(disk, graph, title=f"Everything below {plain_word(root)}", show=plain_word)))

# %% [markdown]
# ## The embedding
#
# One call, no training: a node goes to the centre, its neighbours around it, their neighbours around them, and so on.
# `tau` is the length of an edge, so distance / tau reads as a number of edges.

# %%
begin = time.process_time()
curved = embed(graph, dim=5)
print(f"{time.process_time() - begin:.2f} s of one processor core, tau = {curved.tau:.3f}")
for a, b in [("tiger.n.02", "lion.n.01"), ("tiger.n.02", "siamese_cat.n.01"), ("tiger.n.02", "feline.n.01")]:
    by_points = curved.distance(a, b) / curved.tau
    in_tree = hops[graph.names.index(a), graph.names.index(b)]
    print(f"{plain_word(a)} - {plain_word(b)}: {by_points:.2f} edges by the points, {in_tree:.0f} in the tree")

# %% [markdown]
# The points alone also know what stands *above* a word: the way to the root over an ancestor is no detour. That is the
# score `path_excess`, and `ancestors` ranks by it.

# %%
for word in ("tiger.n.02", "siamese_cat.n.01"):
    truth = [graph.names[i] for i in np.flatnonzero(above[graph.names.index(word)])]
    found = curved.ancestors(word, len(truth))
    right = len({*found} & {*truth})
    print(f"{plain_word(word)}: {', '.join(map(plain_word, found))}   ({right} of {len(truth)} right)")

# %% [markdown]
# ## Against flat space
#
# The opponent has as many numbers a word and is fitted by optimisation to the very distances that it is asked for.
# Three questions to both:
#
# * **distortion**: by how much is a distance wrong on average, after the best common scale? (0 is perfect)
# * **neighbours**: are a word's nearest points its neighbours in the tree? (MAP, 1 is perfect)
# * **ancestors**: does `path_excess` put the words above a word first? (MAP, 1 is perfect)
#
# The opponent was fitted for the first question alone: the other two show what such a fit does not keep, not what flat
# space cannot hold.


# %%
def measured(distances: np.ndarray) -> tuple[float, float, float]:
    """Average distortion, neighbours and ancestors of distances [n, n]."""
    score = path_excess(distances, distances[graph.root])
    return (
        distortion(distances, hops).average,
        retrieval(distances, adjacency(graph)).map,
        retrieval(score, above).map,
    )


flat = embed(graph, geometry="euclidean", dim=5, method="stress")
print(f"{'':12}{'distortion':>12}{'neighbours':>12}{'ancestors':>12}")
for name, distances in (("hyperbolic", curved.distances()), ("Euclidean", flat.distances()), ("the tree", hops)):
    print(f"{name:12}" + "".join(f"{value:12.4f}" for value in measured(distances)))

# %% [markdown]
# More coordinates help both; flat space never catches up. (Both axes are logarithmic.)

# %%
dims = (2, 3, 5) if smoke else (2, 3, 5, 10)
lines: dict[str, dict[int, float]] = {"Euclidean stress fit": {}, "hyperbolic construction": {}}
for dim in dims:
    fitted = embed(graph, geometry="euclidean", dim=dim, method="stress").distances()
    built = embed(graph, dim=dim).distances()
    lines["Euclidean stress fit"][dim] = distortion(fitted, hops).average
    lines["hyperbolic construction"][dim] = distortion(built, hops).average
display(SVG(distortion_chart(lines)))

# %% [markdown]
# ## Learned, not built
#
# So far the tree was *laid out*. The literature *learns*: all pairs (word, word above it) are given, and points move
# until the words above a word are nearer to it than others. Here the question is ranks, not distances, and flat space
# has a strong answer: one extra number a word, a **bias**, that says how large the word's ball is. At the same count of
# numbers:

# %%
epochs = 30 if smoke else 100
print(f"{'':26}{'ancestors':>10}{'seconds':>9}")
for name, options in {
    "Euclidean": {"geometry": "euclidean", "dim": 5, "start": "random", "rates": (1.0, 0.05)},
    "Euclidean, 4 + bias": {"geometry": "euclidean", "dim": 4, "bias": True, "rates": (1.0, 0.05)},
    "hyperbolic": {"geometry": "lorentz", "dim": 5},
    "hyperbolic, random start": {"geometry": "lorentz", "dim": 5, "start": "random", "rates": (0.3, 0.01)},
}.items():
    begin = time.process_time()
    learned = embed(graph, method="learn", epochs=epochs, **options)
    spent = time.process_time() - begin
    score = learned.distances() + (0.0 if learned.bias is None else learned.bias)
    print(f"{name:26}{retrieval(score, above).map:10.4f}{spent:9.1f}")

# %% [markdown]
# Why a random start is worse shows as a film: subtrees that end up on different sides of the disk cannot pass one
# another any more. `embed` therefore starts from a layout of the tree that the given edges contain.

# %%
display(SVG(training_film(graph, f"Everything below {plain_word(root)} finds its place", epochs)))

# %% [markdown]
# ## Which geometry, then?
#
# * Distances in a hierarchy, or both distances and ranks from one embedding: **hyperbolic, constructed**. No training.
# * Only the direct parents are known and more is to be inferred: **hyperbolic**; its metric carries over.
# * Most (word, ancestor) pairs are known and only ranks matter: **Euclidean with a bias** is as good, and cheaper.
# * Clusters and nearest neighbours: no difference that is worth a geometry.
#
# `python -m feasibility.hyperbolic_embeddings` measures all of this with intervals and says GO or NO-GO for each.
# Everything here is one tree with hardly a word of several parents.
#
# Keep an embedding with `embedding.save("mammals.npz")`; `Embedding.load` brings it back. Try it: `embed("bird.n.01")`,
# `embed("vehicle.n.01", dim=2, method="wedges")`, or `embed(edges)` with your (child, parent) pairs.
