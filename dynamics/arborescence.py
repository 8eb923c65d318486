"""From bond scores to a dependency tree: greedy choice, best tree, and best tree without crossing bonds.

Axes: `P` particles, that is ROOT (0) and the N words (1..N). Everywhere score[h, d] is how good head h is for
word d; column 0 and the diagonal are never read. Universal Dependencies demand exactly one child of ROOT.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dynamics.compile import compiled


@compiled
def greedy(score: NDArray[np.float64]) -> NDArray[np.int64]:
    """Each word takes its best head, whatever the others do: fast, and not always a tree.

    heads[d] = argmax_h score[h, d]

    Args:
        score: [P, P] float64, finite.

    Returns:
        [N] int64, heads in 0..N.

    Cost: O(N^2).
    """
    size = score.shape[0]
    heads = np.zeros(size - 1, np.int64)
    for d in range(1, size):
        best = -np.inf
        for h in range(size):
            if h != d and score[h, d] > best:
                best = score[h, d]
                heads[d - 1] = h
    return heads


@compiled
def is_tree(heads: NDArray[np.int64]) -> bool:
    """Whether the heads form one tree: exactly one child of ROOT, and every word's chain of heads ends there.

    Args:
        heads: [N] int64 in 0..N.

    Cost: O(N).
    """
    size = heads.size + 1
    roots = 0
    seen = np.zeros(size, np.int64)
    seen[0] = -1
    for d in range(1, size):
        roots += heads[d - 1] == 0
        # Walk up until a word that some walk has seen; meeting the walk's own mark closes a cycle.
        word = d
        while seen[word] == 0:
            seen[word] = d
            word = heads[word - 1]
        if seen[word] == d:
            return False
        word = d
        while seen[word] == d:
            seen[word] = -1
            word = heads[word - 1]
    return roots == 1


@compiled
def chu_liu_edmonds(score: NDArray[np.float64]) -> NDArray[np.int64]:
    """The best tree with one child of ROOT; its bonds may cross.

    argmax over trees of sum_d score[head(d), d]

    Args:
        score: [P, P] float64, finite.

    Returns:
        [N] int64, heads in 0..N.

    Cost: O(N^2) a contraction, at most N of them.

    Source: Chu and Liu 1965; Edmonds 1967. One child of ROOT by a penalty on its bonds that outweighs all else.
    """
    size = score.shape[0]
    weight = score.copy()
    low, high = np.inf, -np.inf
    for h in range(size):
        for d in range(1, size):
            if h != d:
                low, high = min(low, score[h, d]), max(high, score[h, d])
    for d in range(1, size):
        weight[0, d] -= size * (high - low) + 1.0
    alive = np.ones(size, np.bool_)
    heads = np.zeros(size, np.int64)
    # What each contraction needs to be undone: its cycle, and which member each bond from or to outside belongs to.
    in_cycle = np.zeros((size, size), np.bool_)
    kept = np.zeros((size, size), np.int64)
    enters = np.zeros((size, size), np.int64)
    leaves = np.zeros((size, size), np.int64)
    joint = np.zeros(size, np.int64)
    count = 0
    while True:
        for d in range(1, size):
            if alive[d]:
                heads[d] = kept[count, d] = _best_head(weight, alive, d)
        joint[count] = _find_cycle(heads, alive, in_cycle[count])
        if joint[count] < 0:
            break
        _contract(weight, alive, heads, in_cycle[count], joint[count], enters[count], leaves[count])
        count += 1
    for level in range(count - 1, -1, -1):
        members, whole = in_cycle[level], joint[level]
        outside = heads[whole]
        entry = enters[level, outside]
        for d in range(1, size):
            if members[d]:
                heads[d] = kept[level, d]
                alive[d] = True
            elif alive[d] and heads[d] == whole:
                heads[d] = leaves[level, d]
        heads[entry] = outside
    return heads[1:].copy()


@compiled
def _best_head(weight: NDArray[np.float64], alive: NDArray[np.bool_], d: int) -> int:
    best, choice = -np.inf, 0
    for h in range(weight.shape[0]):
        if alive[h] and h != d and weight[h, d] > best:
            best, choice = weight[h, d], h
    return choice


@compiled
def _find_cycle(heads: NDArray[np.int64], alive: NDArray[np.bool_], members: NDArray[np.bool_]) -> int:
    """Mark the members of one cycle and return one of them, or -1 if there is none."""
    seen = np.zeros(heads.size, np.int64)
    for start in range(1, heads.size):
        word = start
        while word != 0 and alive[word] and seen[word] == 0:
            seen[word] = start
            word = heads[word]
        if word != 0 and alive[word] and seen[word] == start:
            first = word
            while not members[word]:
                members[word] = True
                word = heads[word]
            return first
    return -1


@compiled
def _contract(
    weight: NDArray[np.float64],
    alive: NDArray[np.bool_],
    heads: NDArray[np.int64],
    members: NDArray[np.bool_],
    whole: int,
    enters: NDArray[np.int64],
    leaves: NDArray[np.int64],
) -> None:
    """Join a cycle into its member `whole`; a bond into the cycle is worth what it gains over the bond it breaks."""
    size = weight.shape[0]
    for v in range(size):
        if not alive[v] or members[v]:
            continue
        into, out = -np.inf, -np.inf
        for c in range(1, size):
            if not members[c]:
                continue
            gain = weight[v, c] - weight[heads[c], c]
            if gain > into:
                into, enters[v] = gain, c
            if weight[c, v] > out:
                out, leaves[v] = weight[c, v], c
        # Stored only now: the loop above still reads the row and column of `whole`.
        weight[v, whole], weight[whole, v] = into, out
    for c in range(1, size):
        if members[c] and c != whole:
            alive[c] = False


@compiled
def eisner(score: NDArray[np.float64]) -> NDArray[np.int64]:
    """The best tree with one child of ROOT and no crossing bonds.

    argmax over projective trees of sum_d score[head(d), d]

    Args:
        score: [P, P] float64, finite.

    Returns:
        [N] int64, heads in 0..N.

    Cost: O(N^3).

    Source: Eisner 1996; one child of ROOT by joining the two halves of the sentence at that child alone.
    """
    n = score.shape[0] - 1
    # span[i, j]: complete[.., 0] headed by i, complete[.., 1] headed by j; incomplete likewise, with the bond i-j.
    complete = np.full((n + 1, n + 1, 2), -np.inf)
    incomplete = np.full((n + 1, n + 1, 2), -np.inf)
    split_complete = np.zeros((n + 1, n + 1, 2), np.int64)
    split_incomplete = np.zeros((n + 1, n + 1), np.int64)
    for i in range(1, n + 1):
        complete[i, i] = 0.0
    for width in range(1, n):
        for i in range(1, n - width + 1):
            j = i + width
            best = -np.inf
            for k in range(i, j):
                value = complete[i, k, 0] + complete[k + 1, j, 1]
                if value > best:
                    best, split_incomplete[i, j] = value, k
            incomplete[i, j, 0] = best + score[i, j]
            incomplete[i, j, 1] = best + score[j, i]
            for k in range(i + 1, j + 1):
                value = incomplete[i, k, 0] + complete[k, j, 0]
                if value > complete[i, j, 0]:
                    complete[i, j, 0], split_complete[i, j, 0] = value, k
            for k in range(i, j):
                value = complete[i, k, 1] + incomplete[k, j, 1]
                if value > complete[i, j, 1]:
                    complete[i, j, 1], split_complete[i, j, 1] = value, k
    # Not from 1: numba would compile what follows once more for this one number.
    root, best = n, -np.inf
    for r in range(1, n + 1):
        value = complete[1, r, 1] + complete[r, n, 0] + score[0, r]
        if value > best:
            root, best = r, value
    return _backtrack(n, root, split_complete, split_incomplete)


@compiled
def _backtrack(
    n: int, root: int, split_complete: NDArray[np.int64], split_incomplete: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Read the heads off the split points; a stack of (i, j, side, whether the span is complete)."""
    heads = np.zeros(n, np.int64)
    stack = np.empty((4 * n + 4, 4), np.int64)
    stack[0, 0], stack[0, 1], stack[0, 2], stack[0, 3] = 1, root, 1, 1
    stack[1, 0], stack[1, 1], stack[1, 2], stack[1, 3] = root, n, 0, 1
    top = 2
    while top > 0:
        top -= 1
        i, j, side, finished = stack[top, 0], stack[top, 1], stack[top, 2], stack[top, 3]
        if i == j:
            continue
        # Two spans that meet at the split. In a complete one, that on the side of the head is incomplete.
        if finished:
            k = split_complete[i, j, side]
            begin, sides, ready = k, (side, side), (side, 1 - side)
        else:
            k = split_incomplete[i, j]
            begin, sides, ready = k + 1, (0, 1), (1, 1)
            heads[(j if side == 0 else i) - 1] = i if side == 0 else j
        stack[top, 0], stack[top, 1], stack[top, 2], stack[top, 3] = i, k, sides[0], ready[0]
        stack[top + 1, 0], stack[top + 1, 1], stack[top + 1, 2], stack[top + 1, 3] = begin, j, sides[1], ready[1]
        top += 2
    return heads
