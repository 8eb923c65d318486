"""What other libraries learn from the same pairs, where they are installed: gensim's PoincareModel and plain geoopt.

Each with the recipe of its own users, not with ours: gensim 50 passes and 10 negatives after 10 passes of burn-in,
geoopt 60 passes of Riemannian Adam over batches of 256 pairs with 50 negatives.
"""

from __future__ import annotations

import time
import warnings
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hyperbolic.graph import Graph
from hyperbolic.manifolds import all_distances
from hyperbolic.metrics import retrieval

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Numbers = dict[str, float]

GENSIM_PASSES, GENSIM_BURN_IN, GENSIM_NEGATIVES = 50, 10, 10
GEOOPT_PASSES, GEOOPT_BATCH, GEOOPT_NEGATIVES, GEOOPT_RATE = 60, 256, 50, 0.1


def peers(graph: Graph, above: Bools, dim: int, seed: int, share: float = 1.0) -> dict[str, Numbers]:
    """One row a library that is installed: MAP and mean rank of all ancestors, processor seconds, pairs a second.

    Args:
        graph: whose nodes are embedded.
        above: [n, n], which node is above which: what is given and asked.
        dim: coordinates.
        seed: of what is random.
        share: of the passes; below 1 to try it out.

    Cost: on 1,180 nodes one minute for gensim and half a minute for geoopt.
    """
    found = {}
    for name, learn in (("gensim_poincare", _gensim), ("geoopt_poincare", _geoopt)):
        if find_spec(name.split("_")[0]) is None:
            continue
        begin = time.process_time()
        points, compared = learn(graph, above, dim, seed, share)
        spent = time.process_time() - begin
        ranked = retrieval(all_distances(points, "poincare"), above)
        found[name] = {"map_learned": ranked.map, "mean_rank_learned": ranked.mean_rank, "learn_s": spent}
        found[name]["pairs_per_s"] = compared / spent
    return found


def _gensim(graph: Graph, above: Bools, dim: int, seed: int, share: float) -> tuple[Floats, int]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        library = import_module("gensim.models.poincare")
        pairs = [(str(graph.names[u]), str(graph.names[v])) for u, v in np.argwhere(above)]
        passes = max(1, round(share * GENSIM_PASSES))
        burn_in = round(share * GENSIM_BURN_IN)
        model = library.PoincareModel(pairs, size=dim, negative=GENSIM_NEGATIVES, burn_in=burn_in, seed=seed)
        model.train(epochs=passes)
    points = np.array([model.kv[str(name)] for name in graph.names], dtype=np.float64)
    return points, (passes + burn_in) * len(pairs) * (1 + GENSIM_NEGATIVES)


def _geoopt(graph: Graph, above: Bools, dim: int, seed: int, share: float) -> tuple[Floats, int]:
    with warnings.catch_warnings():
        # geoopt deprecates parts of torch on import.
        warnings.simplefilter("ignore")
        import geoopt
        import torch

        rng = np.random.default_rng(seed)
        ball = geoopt.PoincareBall()
        start = torch.tensor(rng.uniform(-1e-3, 1e-3, (len(graph), dim)))
        points = geoopt.ManifoldParameter(start, manifold=ball)
        optimiser = geoopt.optim.RiemannianAdam([points], lr=GEOOPT_RATE)
        pairs, passes = np.argwhere(above), max(1, round(share * GEOOPT_PASSES))
        for epoch in range(passes):
            for group in optimiser.param_groups:
                group["lr"] = GEOOPT_RATE * (1.0 - epoch / passes)
            order = rng.permutation(len(pairs))
            for begin in range(0, len(pairs), GEOOPT_BATCH):
                batch = pairs[order[begin : begin + GEOOPT_BATCH]]
                _geoopt_step(ball, points, optimiser, batch, _negatives(batch[:, 0], above, rng))
    compared = passes * len(pairs) * (1 + GEOOPT_NEGATIVES)
    return points.detach().numpy().astype(np.float64), compared


def _geoopt_step(ball: Any, points: Any, optimiser: Any, batch: NDArray[np.int64], negatives: Any) -> None:
    import torch

    candidates = torch.tensor(np.concatenate([batch[:, 1:], negatives], axis=1))
    optimiser.zero_grad()
    score = ball.dist(points[torch.tensor(batch[:, 0])][:, None], points[candidates])
    (score[:, 0] + (-score).logsumexp(1)).mean().backward()
    optimiser.step()


def _negatives(nodes: NDArray[np.int64], above: Bools, rng: np.random.Generator) -> NDArray[np.int64]:
    """For each node others that are not above it, [m, K]; what hits one is drawn once more, and then kept."""
    drawn = rng.integers(0, len(above), (len(nodes), GEOOPT_NEGATIVES))
    wrong = above[nodes[:, None], drawn] | (drawn == nodes[:, None])
    drawn[wrong] = rng.integers(0, len(above), int(wrong.sum()))
    return drawn
