"""One model's attention against the mask and its controls, as sums over each chunk: all that statistics need later.

N pieces of a chunk, M heads of all layers together, S strata of distance, F features of the regression.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from feasibility.h6.attention import attention_weights, masked_losses
from feasibility.h6.masks import CONTROLS, STRATA, UNMARKED, Draws, Masks, draw, exchanged, from_others, make_masks
from feasibility.h6.text import Texts
from feasibility.harness import Track, silent
from feasibility.lm.model import LanguageModel
from periodic_table.tagging.tagger import PUNCT

# Draws of each random mask that is cut at: a forward pass each.
CUTS = 4
# Bins of attention in which AUC is counted: eighths of a power of two.
_BINS, _PER_OCTAVE = 192, 8
_FLOOR = 1e-8
# Sums that heads keep for themselves, per chunk.
_OF_HEADS = ("population", "asa", "row_distance", "window")


@dataclass(frozen=True, eq=False)
class Prepared:
    """A chunk ready to be measured with any number of models.

    Args:
        tokens, targets: int64 [N].
        masks: of the chunk.
        design: float64 [N (N + 1) / 2, F], what log attention is regressed on, less the mean of each query; the last
            column is the mask.
        cuts: name -> bool [1 or 4, N, N], what is still visible.
    """

    tokens: Tensor
    targets: Tensor
    masks: Masks
    design: Tensor
    cuts: dict[str, Tensor]


def prepare(texts: Texts, seed: int, device: str = "cpu", track: Track = silent) -> list[Prepared]:
    """Masks, controls, features and cuts of all chunks; the same for every model.

    Cost: O(200 N^2) a chunk, and about 150 N^2 bytes of memory.
    """
    draws = draw(texts, seed, device=device)
    return [_prepare(texts, chunk, draws, seed) for chunk in track(range(len(texts.ids)), "drawing controls")]


def _prepare(texts: Texts, chunk: int, draws: Draws, seed: int) -> Prepared:
    device = draws.table.device
    masks = make_masks(texts, chunk, draws, seed)
    ids = torch.from_numpy(texts.ids[chunk].astype(np.int64)).to(device)
    return Prepared(ids[:-1], ids[1:], masks, _design(texts, chunk, masks), _cuts(texts, chunk, masks, draws, seed))


def _cuts(texts: Texts, chunk: int, masks: Masks, draws: Draws, seed: int) -> dict[str, Tensor]:
    """Pairs of the population that a mask does not allow are cut; all others stay, under every mask."""
    device = masks.population.device
    generator = torch.Generator().manual_seed((seed << 20) + chunk)
    words = torch.from_numpy(texts.words[chunk].astype(np.int64))
    types = torch.from_numpy(texts.types[chunk].astype(np.int64))
    shuffled = exchanged(types, words, CUTS, np.random.default_rng([seed, chunk])).to(device)
    others = from_others(texts, chunk).to(device)
    by_entry = draws.of_entry[:CUTS, torch.from_numpy(texts.ids[chunk, :-1].astype(np.int64)).to(device)]
    control = dict(zip(CONTROLS, masks.controls, strict=True))
    noise = torch.rand(2, CUTS, *masks.population.shape, generator=generator).to(device)
    # The smallest noise of each row, as many as the mask has there.
    rank = noise[0].masked_fill(~masks.population, 2.0).argsort(-1).argsort(-1)
    count = (masks.allowed & masks.population).sum(1)[:, None]
    on_device = types.to(device)
    kept = {
        "dense": torch.ones_like(masks.allowed)[None],
        "asa": masks.allowed[None],
        "row": rank < count,
        "row_distance": noise[1] < control["row_distance"],
        "permuted_tags": draws.table[shuffled[:, :, None], shuffled[:, None]],
        "permuted_table": draws.tables[:CUTS, on_device[:, None], on_device],
        "other_text": draws.table[others[:CUTS, :, None], others[:CUTS, None]],
        "window": control["window"][None] > 0,
        "frequency": draws.table[by_entry[:, :, None], by_entry[:, None]],
    }
    earlier = torch.ones_like(masks.population).tril()
    return {name: (keep | ~masks.population) & earlier for name, keep in kept.items()}


def _design(texts: Texts, chunk: int, masks: Masks) -> Tensor:
    """Strata of distance but one, log frequency of the key, first key, punctuation, same word, self; then the mask."""
    device = masks.population.device
    count = len(masks.population)
    ids = texts.ids[chunk, :-1].astype(np.int64)
    words = torch.from_numpy(texts.words[chunk].astype(np.int64)).to(device)
    is_mark = torch.from_numpy(texts.tags[texts.types[chunk]] == PUNCT).to(device)
    frequency = torch.from_numpy(np.log(texts.counts[ids] + 1.0)).to(device)
    itself = torch.eye(count, dtype=torch.bool, device=device)
    key_is_first = torch.zeros_like(itself)
    key_is_first[:, 0] = True
    columns = [(masks.stratum == stratum) & ~itself for stratum in range(1, len(STRATA))]
    columns += [frequency.expand(count, count), key_is_first, is_mark.expand(count, count)]
    columns += [(words[:, None] == words) & (words > 0) & ~itself, (words == 0).expand(count, count), itself]
    columns += [masks.allowed & masks.population, masks.population]
    pairs = torch.stack([column.double() for column in columns[:-2] + columns[-1:] + columns[-2:-1]], dim=-1)
    earlier = torch.ones_like(itself).tril()
    mean = (pairs * earlier[..., None]).sum(1) / earlier.sum(1)[:, None]
    return (pairs - mean[:, None])[earlier]


@torch.no_grad()
def measure(model: LanguageModel, prepared: list[Prepared], track: Track = silent) -> dict[str, Any]:
    """All sums of one model, as JSON knows them.

    Args:
        model: trained with dense attention, on the device of what was prepared.
        prepared: of `prepare`.
        track: progress.

    Returns: "chunks": name -> one number (or S) a chunk, means over the heads; "heads": for each of the M heads its
        lifts with standard errors and AUC; "shape": layers and heads; "pieces": N.

    Cost: O(M N^2) time and memory a chunk, and about 27 forward passes.
    """
    model.eval()
    found: dict[str, list[NDArray[np.float64]]] = {}
    for chunk in track(prepared, "measuring attention"):
        sums = _chunk_sums(model, chunk)
        for name, value in sums.items():
            found.setdefault(name, []).append(value.double().cpu().numpy())
    stacked = {name: np.stack(values) for name, values in found.items()}
    heads = _of_heads(stacked)
    chunks = {name: _rounded(_over_heads(name, values)) for name, values in stacked.items() if name != "xx"}
    chunks["beta"] = _rounded(_pseudo_values(stacked["xy"].mean(1, keepdims=True), stacked["xx"])[:, 0])
    chunks.pop("xy")
    return {
        "chunks": chunks,
        "heads": heads,
        "shape": [model.config.layers, model.config.heads],
        "pieces": len(prepared[0].tokens),
    }


def _chunk_sums(model: LanguageModel, chunk: Prepared) -> dict[str, Tensor]:
    layers = list(attention_weights(model, chunk.tokens))
    weights = torch.cat([one for one, _ in layers])
    carried = torch.cat([size for _, size in layers])
    by_norm = weights * carried[:, None]
    by_norm /= by_norm.sum(-1, keepdim=True).clamp_min(_FLOOR)
    masks = chunk.masks
    own = masks.population & masks.allowed
    stack = torch.stack([masks.population.float(), own.float(), *masks.controls])
    sums: dict[str, Tensor] = {}
    for kind, attention in (("", weights), ("norm ", by_norm)):
        for name, value in zip(("population", "asa", *CONTROLS), _inside(attention, stack), strict=True):
            sums[kind + name] = value
    bare = torch.stack([masks.unmarked.float(), (own & masks.unmarked).float(), *masks.unmarked_controls])
    for name, value in zip(("population", "asa", *UNMARKED), _inside(weights, bare), strict=True):
        sums["unmarked " + name] = value
    pairs = stack.sum((1, 2))
    for name, value in zip(("population", "asa", *CONTROLS), pairs, strict=True):
        sums["pairs " + name] = value
    sums |= _raw(weights, masks) | _auc(weights, masks) | _by_distance(weights, stack, masks)
    sums |= _regression(weights, chunk.design)
    for name, visible in chunk.cuts.items():
        sums["nats " + name] = masked_losses(model, chunk.tokens, chunk.targets, visible).mean()
    return sums


def _inside(attention: Tensor, stack: Tensor) -> Tensor:
    """[M, N, N], [K, N, N] -> [K, M]: the attention inside each mask, in queries (a query's whole attention is 1)."""
    return stack.flatten(1) @ attention.flatten(1).T


def _raw(weights: Tensor, masks: Masks) -> dict[str, Tensor]:
    """The original's figure: attention on the mask or on itself; on its random mask; and on one that matches."""
    earlier, itself = masks.raw.tril(-1), masks.raw & torch.eye(len(masks.raw), dtype=torch.bool, device=weights.device)
    own = (masks.allowed & earlier) | itself
    # The original measured density after the mask had lost its upper half, and then took that half from the random
    # mask as well.
    density = own.sum() / (masks.raw | masks.raw.T).sum()
    stack = torch.stack([masks.raw.float(), own.float(), earlier * density + itself.float(), masks.raw_row + itself])
    return dict(zip(("raw whole", "raw asa", "raw published", "raw row"), _inside(weights, stack), strict=True))


def _auc(weights: Tensor, masks: Masks) -> dict[str, Tensor]:
    """Pairs (allowed, not allowed) of which the allowed one has more attention, and how many such pairs there are.

    "raw": all pairs of the population together. By stratum: a weight counts relative to the mean of its query's weights
    in the population, so that a query with much attention to give does not speak for its keys.
    """
    heads, strata, count = len(weights), len(STRATA), len(masks.population)
    at = masks.population.flatten().nonzero()[:, 0]
    weight = weights.flatten(1)[:, at].clamp_min(_FLOOR)
    inside, stratum = masks.allowed.flatten()[at].long(), masks.stratum.flatten()[at]
    mean = (weights * masks.population).sum(-1) / masks.population.sum(-1).clamp_min(1)
    relative = weight / mean.clamp_min(_FLOOR)[:, at // count]

    def won(value: Tensor, cell: Tensor, cells: int) -> tuple[Tensor, Tensor]:
        bins = (value.log2() * _PER_OCTAVE + _BINS * 3 // 4).long().clamp(0, _BINS - 1)
        code = torch.arange(heads, device=at.device)[:, None] * cells * 2 + cell * 2 + inside
        counts = torch.bincount((code * _BINS + bins).flatten(), minlength=heads * cells * 2 * _BINS)
        no, yes = counts.view(heads, cells, 2, _BINS).double().unbind(2)
        return (yes * (no.cumsum(-1) - no / 2)).sum(-1), yes.sum(-1) * no.sum(-1)

    raw, of_raw = won(weight, torch.zeros_like(stratum), 1)
    each, of_each = won(relative, stratum, strata)
    return {"auc won": raw[:, 0], "auc of": of_raw[:, 0], "strata won": each, "strata of": of_each}


def _by_distance(weights: Tensor, stack: Tensor, masks: Masks) -> dict[str, Tensor]:
    """Attention of all heads together in each stratum: in the population, on the mask, on the matched control. [S]"""
    mean = weights.mean(0)
    band = masks.stratum.flatten()
    found = {}
    for name, place in (("population", 0), ("asa", 1), ("row_distance", 2 + CONTROLS.index("row_distance"))):
        inside = (mean * stack[place]).flatten().double()
        found["distance " + name] = torch.zeros(len(STRATA), dtype=torch.float64, device=band.device).index_add_(
            0, band, inside
        )
    return found


def _regression(weights: Tensor, design: Tensor) -> dict[str, Tensor]:
    """X'X [F, F] and X'y [M, F] of log attention on the features, each query by itself."""
    earlier = torch.ones(weights.shape[1:], dtype=torch.bool, device=weights.device).tril()
    log = weights[:, earlier].clamp_min(_FLOOR).log().double()
    return {"xx": design.T @ design, "xy": log @ design}


def _over_heads(name: str, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """[chunks, M, ...] -> [chunks, ...], the mean of the heads; what has no heads stays as it is."""
    if name.startswith(("nats", "distance", "pairs")):
        return values
    return np.asarray(values.mean(1))


def _of_heads(found: dict[str, NDArray[np.float64]]) -> list[dict[str, float]]:
    """Each head by itself: lifts over the two controls that decide, AUC within strata, coefficient of the mask."""
    population, asa, *controls = (found[name] for name in _OF_HEADS)
    columns = {"population": population.mean(0)}
    for name, control in zip(_OF_HEADS[2:], controls, strict=True):
        columns[f"lift {name}"], columns[f"se {name}"] = _jackknife_lift(population, asa, control)
    columns["auc"] = found["strata won"].sum((0, 2)) / found["strata of"].sum((0, 2))
    pseudo = _pseudo_values(found["xy"], found["xx"])
    columns["beta"], columns["se beta"] = pseudo.mean(0), pseudo.std(0, ddof=1) / len(pseudo) ** 0.5
    return [{name: float(f"{values[head]:.5g}") for name, values in columns.items()} for head in range(asa.shape[1])]


def _jackknife_lift(
    population: NDArray[np.float64], asa: NDArray[np.float64], control: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lift of each head with its standard error over chunks. Three of [chunks, M] -> two of [M]."""

    def lift(*sums: NDArray[np.float64]) -> NDArray[np.float64]:
        whole, own, other = sums
        return np.asarray((own - other) / (whole - other))

    value = lift(*(x.sum(0) for x in (population, asa, control)))
    without = lift(*(x.sum(0) - x for x in (population, asa, control)))
    chunks = len(without)
    return value, ((chunks - 1) / chunks * ((without - without.mean(0)) ** 2).sum(0)) ** 0.5


def _pseudo_values(xy: NDArray[np.float64], xx: NDArray[np.float64]) -> NDArray[np.float64]:
    """Jackknife pseudo-values of the mask's coefficient. [chunks, M, F], [chunks, F, F] -> [chunks, M].

    Features that are constant in all chunks have no coefficient: least squares of smallest norm leaves them at 0.
    """
    chunks = len(xy)

    def last(product: NDArray[np.float64], moments: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray((np.linalg.pinv(moments, hermitian=True) @ product.T)[-1])

    whole = last(xy.sum(0), xx.sum(0))
    without = np.stack([last(xy.sum(0) - xy[chunk], xx.sum(0) - xx[chunk]) for chunk in range(chunks)])
    return np.asarray(chunks * whole - (chunks - 1) * without)


def _rounded(values: NDArray[np.float64]) -> Any:
    """Numbers of six digits, which is what one chunk can tell."""
    return np.vectorize(lambda x: float(f"{x:.6g}"))(values).tolist()
