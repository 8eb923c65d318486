"""The original's mask over the pieces of a chunk, and the seven controls that a finding about it has to survive.

A control is a matrix of probabilities: how often each pair is allowed over all, or over many, draws of a random mask.
The attention inside a mask is linear in the mask, so the attention inside that matrix is the mean over the draws.

    row             as many keys for each query, any                             all draws, in closed form
    row_distance    as many for each query and at each distance, nearly          all draws, fitted
    permuted_tags   the words of the chunk exchange their types                  so many draws
    permuted_table  the table of tags rewired; every tag keeps its number of     so many draws
                    partners, and the text its share of allowed pairs
    other_text      the mask of another chunk                                    all others
    window          as many keys for each query, the nearest                     one mask
    frequency       types dealt out by how frequent a piece is, in equal shares  so many draws

All speak of the *population*: pairs of different words, the key earlier and not the first piece of the chunk, where
attention goes that has nowhere to go. N pieces, T types, R draws.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import one_hot

from feasibility.h6.text import Bools, Texts
from periodic_table.tagging.tagger import PUNCT

CONTROLS = ("row", "row_distance", "permuted_tags", "permuted_table", "other_text", "window", "frequency")
UNMARKED = ("row_distance", "window")
DRAWS = 200
# First distances of the strata, in pieces.
STRATA = (1, 2, 3, 4, 5, 7, 10, 15, 25, 50, 100, 200)
# Distances that the control `row_distance` tells apart: each one up to 15, then steps of a sixth.
_FINE = (*range(1, 17), *(round(16 * 1.1665**step) for step in range(1, 25)))
_NEWTON_STEPS = 20
# Two tables allow equally much of a text if their shares differ by no more than this.
_SAME_SHARE = 0.005
# Attempts; there are about twenty pairs of partners.
_SWITCHES = 100


@dataclass(frozen=True, eq=False)
class Draws:
    """What is drawn once for all chunks.

    Args:
        table: bool [T, T], the original's rules.
        tables: bool [R, T, T], rewired.
        of_entry: int64 [R, V], types dealt out by frequency.
    """

    table: Tensor
    tables: Tensor
    of_entry: Tensor


@dataclass(frozen=True, eq=False)
class Masks:
    """One chunk's pairs, [N, N] each; the row is the query.

    Args:
        population: bool, the pairs that are asked about.
        unmarked: bool, those of them without punctuation on either side.
        allowed: bool, the original's mask, whatever the pair.
        controls: float32 [7, N, N], in the order of `CONTROLS`; 0 outside the population, and within it as many pairs
            as the mask allows.
        unmarked_controls: float32 [2, N, N], `UNMARKED` made anew for the pairs without punctuation.
        raw: bool, all pairs of words, the key not later: what the original looked at, whose text had no line ends.
        raw_row: float32, those of them with an earlier key, allowed at random with as many keys for each query.
        stratum: int64, which stratum of distance the pair is in.
    """

    population: Tensor
    unmarked: Tensor
    allowed: Tensor
    controls: Tensor
    unmarked_controls: Tensor
    raw: Tensor
    raw_row: Tensor
    stratum: Tensor


def draw(texts: Texts, seed: int, draws: int = DRAWS, device: str = "cpu") -> Draws:
    """Random tables, and random types by frequency; the same for the same seed on every device."""
    generator = np.random.default_rng(seed)
    is_word = texts.words > 0
    share = np.bincount(texts.types[is_word], minlength=len(texts.tags)) / is_word.sum()
    counts = texts.counts.copy()
    counts[np.unique(texts.ids[:, :-1][~is_word])] = 0
    tables = [rewired(texts, share, generator) for _ in range(draws)]
    of_entry = [by_frequency(counts, share, texts.table(), generator) for _ in range(draws)]
    arrays = texts.table(), np.array(tables), np.array(of_entry)
    return Draws(*(torch.from_numpy(array).to(device) for array in arrays))


def rewired(texts: Texts, share: NDArray[np.float64], generator: np.random.Generator) -> Bools:
    """Other rules: each tag keeps its number of partners, and text its share of allowed pairs, within 0.5 points.

    Punctuation goes with everything, and every tag with itself, as before; pronouns ask for what they asked for.

    Args:
        texts: with the original's rules.
        share: [T], of the pieces that belong to words.
        generator: of the switches: partners a-b and c-d become a-d and c-b.

    Returns: bool [T, T].

    Source: Maslov and Sneppen (2002), Specificity and stability in topology of protein networks.
    """
    table = texts.compatible.copy()
    pairs = np.argwhere(np.triu(table, 1))
    edges = [(int(a), int(b)) for a, b in pairs if PUNCT not in (a, b)]
    target = share @ texts.table() @ share
    switched = 0
    while switched < _SWITCHES or abs(share @ texts.table(table) @ share - target) > _SAME_SHARE:
        for one, other, turned in generator.integers([len(edges), len(edges), 2], size=(_SWITCHES // 5, 3)).tolist():
            (a, b), (c, d) = edges[one], edges[other][:: -1 if turned else 1]
            if len({a, b, c, d}) == 4 and not table[a, d] and not table[c, b]:
                table[[a, b, c, d], [b, a, d, c]] = False
                table[[a, d, c, b], [d, a, b, c]] = True
                edges[one], edges[other] = (a, d), (c, b)
        switched += _SWITCHES // 5
    return texts.table(table)


def by_frequency(
    counts: NDArray[np.int64], share: NDArray[np.float64], table: Bools, generator: np.random.Generator
) -> NDArray[np.int64]:
    """Types for entries of the vocabulary: neighbours in frequency have one type, and each about its share of the text.

    Args:
        counts: [V].
        share: [T], of each type.
        table: [T, T]; the share of pairs that it allows must be as before, within 0.5 points.
        generator: of the order in which the types follow one another.

    Returns: int64 [V].
    """
    ranks = np.argsort(-counts, kind="stable")
    passed = (np.cumsum(counts[ranks]) - counts[ranks] / 2) / counts.sum()
    while True:
        order = generator.permutation(len(share))
        places = np.searchsorted(np.cumsum(share[order]), passed, side="right")
        types = np.empty(len(counts), dtype=np.int64)
        types[ranks] = order[np.minimum(places, len(share) - 1)]
        found = np.bincount(types, counts, minlength=len(share)) / counts.sum()
        if abs(found @ table @ found - share @ table @ share) <= _SAME_SHARE:
            return types


def make_masks(texts: Texts, chunk: int, draws: Draws, seed: int) -> Masks:
    """The mask of one chunk, and its controls.

    Args:
        texts: where the chunk is from.
        chunk: its number.
        draws: of `draw`, which also says on which device everything is.
        seed: of the permutations of its words.

    Cost: O(R T N^2), nearly all of it three matrix products.
    """
    device = draws.table.device
    words = torch.from_numpy(texts.words[chunk].astype(np.int64)).to(device)
    types = torch.from_numpy(texts.types[chunk].astype(np.int64)).to(device)
    ids = torch.from_numpy(texts.ids[chunk, :-1].astype(np.int64)).to(device)
    population = population_of(words)
    allowed = draws.table[types[:, None], types]
    inside = allowed & population
    mean_table = draws.tables.float().mean(0)
    shuffled = exchanged(types, words, len(draws.tables), np.random.default_rng([seed, chunk]))
    controls = {
        "row": _by_row(inside, population),
        "row_distance": fit_row_distance(inside, population),
        "permuted_tags": mean_mask(shuffled, draws.table),
        "permuted_table": mean_table[types[:, None], types],
        "other_text": mean_mask(from_others(texts, chunk).to(device), draws.table),
        "window": nearest(inside.sum(1), population),
        "frequency": mean_mask(draws.of_entry[:, ids], draws.table),
    }
    stacked = torch.stack([controls[name] * population for name in CONTROLS])
    # Draws allow as much as the mask does on average; of this chunk, exactly.
    stacked *= (inside.sum() / stacked.sum((1, 2)).clamp_min(1))[:, None, None]
    is_mark = torch.from_numpy(texts.tags.astype(np.int64)).to(device)[types] == PUNCT
    unmarked = population & ~is_mark[:, None] & ~is_mark
    raw = ((words[:, None] > 0) & (words > 0)).tril()
    return Masks(
        population,
        unmarked,
        allowed,
        stacked,
        torch.stack([fit_row_distance(inside & unmarked, unmarked), nearest((inside & unmarked).sum(1), unmarked)]),
        raw,
        _by_row(allowed & raw.tril(-1), raw.tril(-1)),
        banded(len(words), STRATA, device),
    )


def population_of(words: Tensor) -> Tensor:
    """Pairs of different words, the key earlier and not the first piece. int64 [N], 0 for no word -> bool [N, N]."""
    pairs = (words[:, None] != words) & (words[:, None] > 0) & (words > 0)
    pairs = pairs.tril(-1)
    pairs[:, 0] = False
    return pairs


def banded(count: int, firsts: tuple[int, ...], device: torch.device) -> Tensor:
    """In which band of distances each pair is. int64 [N, N]; 0 also where the key is not earlier."""
    place = torch.arange(count, device=device)
    edges = torch.tensor(firsts, device=device)
    return (torch.bucketize(place[:, None] - place, edges, right=True) - 1).clamp_min(0)


def exchanged(types: Tensor, words: Tensor, draws: int, generator: np.random.Generator) -> Tensor:
    """Words of as many pieces exchange their types, so that each type keeps its share of the pieces.

    Args:
        types, words: int64 [N].
        draws: R.
        generator: of the permutations.

    Returns: int64 [R, N]; what belongs to no word stays what it is.
    """
    number, first, place, pieces = np.unique(
        words.cpu().numpy(), return_index=True, return_inverse=True, return_counts=True
    )
    own = types.cpu().numpy()[first]
    rows = np.tile(own, (draws, 1))
    for size in np.unique(pieces):
        alike = np.flatnonzero((pieces == size) & (number > 0))
        rows[:, alike] = generator.permuted(rows[:, alike], axis=1)
    return torch.from_numpy(rows[:, place]).to(types.device)


def from_others(texts: Texts, chunk: int) -> Tensor:
    """The types of other chunks, piece by piece, laid over the words of this one. int64 [up to 200, N].

    What belongs to no word is left out there and stays what it is here; a chunk that is too short begins again.
    """
    here = texts.words[chunk] > 0
    rows = np.tile(texts.types[chunk].astype(np.int64), (len(texts.types), 1))
    for row, types, words in zip(rows, texts.types, texts.words, strict=True):
        row[here] = np.resize(types[words > 0], here.sum())
    return torch.from_numpy(np.delete(rows, chunk, axis=0)[:DRAWS])


def mean_mask(types: Tensor, table: Tensor) -> Tensor:
    """The mean of the masks of several rows of types. int64 [R, N], bool [T, T] -> float32 [N, N]."""
    has = one_hot(types, len(table)).float()
    sees = table.float()[types]
    wide = types.shape[1], -1
    return sees.transpose(0, 1).reshape(wide) @ has.transpose(0, 1).reshape(wide).T / len(types)


def nearest(count: Tensor, population: Tensor) -> Tensor:
    """So many keys for each query, the nearest of the population. [N], [N, N] -> float32 [N, N]."""
    rank = population.float().flip(1).cumsum(1).flip(1)
    return (population & (rank <= count[:, None])).float()


def _by_row(inside: Tensor, population: Tensor) -> Tensor:
    """How likely each pair is if a query's keys are drawn at random, as many as it has. -> float32 [N, N]."""
    return population * (inside.sum(1) / population.sum(1).clamp_min(1))[:, None]


def fit_row_distance(inside: Tensor, population: Tensor) -> Tensor:
    """How likely each pair is in a random mask with as many keys for each query, and as many pairs at each distance.

        p[i, j] = sigmoid(a_i + b_distance), fitted so that the sums of p over each row and each distance are the mask's

    which is the distribution of largest entropy with these sums. Distances above 15 are told apart in steps of a sixth.

    Args:
        inside: bool [N, N], the mask within the population.
        population: bool [N, N].

    Returns: float32 [N, N], 0 outside the population.

    Cost: O(20 N^2).
    """
    band = banded(len(inside), _FINE, inside.device)
    row = torch.zeros(len(inside), device=inside.device)
    distance = torch.zeros(len(_FINE), device=inside.device)

    def sums(x: Tensor) -> Tensor:
        return torch.bincount(band.flatten(), x.flatten().double(), minlength=len(_FINE)).float()

    by_row, by_distance = inside.sum(1).float(), sums(inside.float())
    for _ in range(_NEWTON_STEPS):
        p = torch.sigmoid(row[:, None] + distance[band]) * population
        row = (row + _step(by_row - p.sum(1), (p * (1 - p)).sum(1))).clamp(-15, 15)
        p = torch.sigmoid(row[:, None] + distance[band]) * population
        distance = (distance + _step(by_distance - sums(p), sums(p * (1 - p)))).clamp(-15, 15)
    return torch.sigmoid(row[:, None] + distance[band]) * population


def _step(gap: Tensor, slope: Tensor) -> Tensor:
    return (gap / slope.clamp_min(1e-3)).clamp(-1, 1)
