"""A rival of `md_parser`: the greedy arc-hybrid transition parser, trained with a dynamic oracle.

It reads the words from left to right and decides once for each step: SHIFT the next word onto the stack, LEFT (the next
word heads the top of the stack), RIGHT (the second of the stack heads the top). ROOT stands behind the last word.

Source: Kuhlmann, Gómez-Rodríguez and Satta 2011 (arc-hybrid); Goldberg and Nivre 2013 (dynamic oracle, training with
exploration); Ballesteros and Nivre 2013 (ROOT at the end); features after Zhang and Nivre 2011.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dynamics.compile import compiled
from feasibility.md_parser.rivals_hash import (
    SIZE,
    Bank,
    Ints,
    Weights,
    averaged,
    framed,
    template_hashes,
    templates_of,
)

EPOCHS = 8
# From the second pass on, this share of the steps follows the parser instead of the oracle.
EXPLORE = 0.9
SHIFT, LEFT, RIGHT = range(3)
MOVES = 3
_ROWS = SIZE // 2

# s stack, b buffer; w word, x fine and u universal part of speech; l and r the outermost children on either side;
# c how many children there are on a side; n how far the top of the stack is from the next word.
_NAMES = (
    "s0w s0x s1w s1x s2w s2x b0w b0x b1w b1x b2w b2x s0lx s0rx s1lx s1rx b0lx s0lw s0rw s0lc s0rc s1rc b0lc n"
    " s0u s1u b0u b1u"
)
_TEMPLATES = templates_of(
    _NAMES,
    "s0w, s0x, s0w s0x, s1w, s1x, s1w s1x, b0w, b0x, b0w b0x, b1w, b1x, b1w b1x, b2x, b2w, s2x,"
    "s0w s0x b0w b0x, s0w b0w, s0x b0x, s0w s0x b0x, s0x b0w b0x, s0w b0x, s0x b0w, b0x b1x, b0w b1x, b0x b1w,"
    "s1w s1x s0w s0x, s1w s0w, s1x s0x, s1x s0w, s1w s0x, s1x b0x, s1w b0x, s1x b0w, s1w b0w,"
    "b0x b1x b2x, s0x b0x b1x, s1x s0x b0x, s2x s1x s0x, s0x s0lx b0x, s0x s0rx b0x, s0x b0x b0lx, s1x s1rx s0x,"
    "s1x s1lx s0x, s1x s0x s0lx, s1x s0x s0rx, s0w s0x b0x b1x, s0x b0w b0x b1x, s1x s0w b0x, s1w s0x b0x, s1x s0x b0w,"
    "s1x s0x b0x b1x, s0u b0u b1u, s1u s0u b0u, s1u s0u b0u b1u,"
    "s0x n, s0w n, b0x n, b0w n, s0x b0x n, s0w b0w n, s0x s0lc, s0x s0rc, s0w s0lc, s0w s0rc, s1x s1rc, s1w s1rc,"
    "b0x b0lc, b0w b0lc, s0w s0lx, s0x s0lw, s0x s0rw, s0x s0lx s0rx, s0rx b0x, s0rc s0x b0x,"
    "s1rc s1x s0x, s0lc s0x b0x",
)


def train_transition(bank: Bank, seed: int, epochs: int = EPOCHS) -> Weights:
    """Train on gold trees, those with crossing arcs included: the oracle knows the best that is left.

    Args:
        bank: with heads.
        seed: of the order of the sentences and of the exploration.
        epochs: passes over the bank.

    Returns:
        [2^21, 3] float32, averaged weights of each feature for each move.

    Cost: O(epochs * N).
    """
    rng = np.random.default_rng(seed)
    sentences = len(bank.start) - 1
    order = np.stack([rng.permutation(sentences) for _ in range(epochs)])
    weights, drift = np.zeros((_ROWS, MOVES), np.float32), np.zeros((_ROWS, MOVES))
    explored = rng.random((epochs, 2 * len(bank.word) + 1)) < EXPLORE
    explored[0] = False
    time = 0
    for row, free in zip(order, explored, strict=True):
        time = _train(bank.word, bank.upos, bank.xpos, bank.head, bank.start, row, free, weights, drift, time)
    return averaged(weights, drift, time)


def parse_transition(weights: Weights, bank: Bank) -> Ints:
    """[N] int64, heads of all sentences; each a projective tree with one child of ROOT.

    Cost: O(N).
    """
    return _parse(bank.word, bank.upos, bank.xpos, bank.start, weights)


@compiled
def allowed(stack: int, front: int, words: int) -> NDArray[np.bool_]:
    """[3] bool, the moves that keep a tree with one child of ROOT possible.

    Args:
        stack: how many words it holds.
        front: the next word, counted from 1; words + 1 is ROOT.
        words: of the sentence.
    """
    # ROOT takes its only child when nothing else is left on the stack.
    return np.array([front <= words, stack >= 1 and (front <= words or stack == 1), stack >= 2])


@compiled
def costs(stack: Ints, top: int, front: int, gold: Ints) -> Ints:
    """[3] int64, how many gold arcs each move makes impossible.

    Args:
        stack: [at least top], words counted from 1.
        top: how many it holds.
        front: the next word; N + 1 is ROOT.
        gold: [N + 2], head of each word; ROOT is N + 1 here; place 0 and the last mean nothing.
    """
    size = gold.size - 1
    lost = np.zeros(MOVES, np.int64)
    for place in range(top):
        word = stack[place]
        # After SHIFT the next word cannot head anything on the stack, nor hang on what lies below the top.
        lost[SHIFT] += gold[word] == front
        lost[SHIFT] += front < size and gold[front] == word and place < top - 1
    if top > 0:
        word = stack[top - 1]
        children = 0
        for other in range(front, size):
            children += gold[other] == word
        below = top > 1 and gold[word] == stack[top - 2]
        lost[LEFT] = children + (gold[word] > front) + below
        lost[RIGHT] = children + (gold[word] >= front)
    return lost


@compiled
def _features(
    words: Ints, tags: Ints, fine: Ints, stack: Ints, top: int, front: int, left: Ints, right: Ints, counts: Ints,
    out: Ints,
) -> None:  # fmt: skip
    """Hashes of the features of one configuration.

    Args:
        words: [N + 4] framed; a word d stands at d + 1. So are tags and fine.
        tags: universal parts of speech.
        fine: fine parts of speech.
        stack: words counted from 1.
        top: how many it holds.
        front: the next word.
        left: [N + 2], outermost child on the left so far, -1 for none.
        right: [N + 2], outermost child on the right.
        counts: [N + 2, 2], children on the left and on the right.
        out: [T], written to.
    """
    s0 = stack[top - 1] if top > 0 else -1
    s1 = stack[top - 2] if top > 1 else -1
    s2 = stack[top - 3] if top > 2 else -1
    # Place 0 of a frame is outside the sentence, as are all places behind ROOT.
    end = words.size - 1
    b1, b2 = min(front + 1, end - 1), min(front + 2, end - 1)
    s0l, s0r = (left[s0], right[s0]) if s0 > 0 else (-1, -1)
    s1l, s1r = (left[s1], right[s1]) if s1 > 0 else (-1, -1)
    b0l = left[front]
    apart = min(front - s0, 6) if s0 > 0 else 0
    atoms = np.array([
        words[s0 + 1], fine[s0 + 1], words[s1 + 1], fine[s1 + 1], words[s2 + 1], fine[s2 + 1],
        words[front + 1], fine[front + 1], words[b1 + 1], fine[b1 + 1], words[b2 + 1], fine[b2 + 1],
        fine[s0l + 1], fine[s0r + 1], fine[s1l + 1], fine[s1r + 1], fine[b0l + 1], words[s0l + 1], words[s0r + 1],
        counts[s0, 0] if s0 > 0 else 0, counts[s0, 1] if s0 > 0 else 0, counts[s1, 1] if s1 > 0 else 0,
        counts[front, 0], apart, tags[s0 + 1], tags[s1 + 1], tags[front + 1], tags[b1 + 1],
    ])  # fmt: skip
    template_hashes(atoms, _TEMPLATES, 5, out, 0)


@compiled
def _best_move(found: Ints, weights: Weights, may: NDArray[np.bool_]) -> int:
    scores = np.zeros(MOVES)
    for feature in found:
        scores += weights[feature & (_ROWS - 1)]
    best = -1
    for move in range(MOVES):
        if may[move] and (best < 0 or scores[move] > scores[best]):
            best = move
    return best


@compiled
def _do(move: int, stack: Ints, top: int, front: int, heads: Ints, left: Ints, right: Ints, counts: Ints) -> int:
    """Carry a move out in place; returns the new height of the stack. SHIFT leaves the front to the caller."""
    if move == SHIFT:
        stack[top] = front
        return top + 1
    word = stack[top - 1]
    if move == LEFT:
        heads[word], left[front] = front, word
        counts[front, 0] += 1
    else:
        head = stack[top - 2]
        heads[word], right[head] = head, word
        counts[head, 1] += 1
    return top - 1


@compiled
def _with_root_last(values: Ints) -> Ints:
    """[N + 4], framed values of a sentence whose ROOT stands behind its last word: place 0 outside, word d at d + 1."""
    out = framed(np.append(values, 0))
    out[1], out[-2] = out[0], 1
    return out


@compiled
def _run(
    word: Ints, upos: Ints, xpos: Ints, gold: Ints, train: bool, free: NDArray[np.bool_], weights: Weights,
    drift: NDArray[np.float64], time: int,
) -> tuple[Ints, int]:  # fmt: skip
    """Parse one sentence and, in training, learn from every step; returns heads and the time of averaging."""
    size = word.size
    words, tags, fine = _with_root_last(word), _with_root_last(upos), _with_root_last(xpos)
    stack, top, front = np.zeros(size + 1, np.int64), 0, 1
    heads = np.zeros(size + 2, np.int64)
    left, right = np.full(size + 2, -1), np.full(size + 2, -1)
    counts = np.zeros((size + 2, 2), np.int64)
    found = np.empty(_TEMPLATES.shape[0], np.int64)
    for step in range(2 * size):
        may = allowed(top, front, size)
        _features(words, tags, fine, stack, top, front, left, right, counts, found)
        move = _best_move(found, weights, may)
        if train:
            lost = costs(stack, top, front, gold)
            least = np.min(lost[may])
            good = _best_move(found, weights, may & (lost == least))
            if lost[move] > least:
                for feature in found:
                    row = feature & (_ROWS - 1)
                    weights[row, good] += 1.0
                    weights[row, move] -= 1.0
                    drift[row, good] += time
                    drift[row, move] -= time
                if not free[step]:
                    move = good
            time += 1
        top = _do(move, stack, top, front, heads, left, right, counts)
        front += move == SHIFT
    for d in range(1, size + 1):
        heads[d] = 0 if heads[d] == size + 1 else heads[d]
    return heads[1:-1], time


@compiled
def gold_frame(head: Ints) -> Ints:
    """[N + 2], heads as the oracle wants them: words counted from 1, ROOT as N + 1."""
    gold = np.zeros(head.size + 2, np.int64)
    for d in range(1, head.size + 1):
        gold[d] = head[d - 1] if head[d - 1] > 0 else head.size + 1
    return gold


@compiled
def _train(
    word: Ints, upos: Ints, xpos: Ints, head: Ints, start: Ints, order: Ints, free: NDArray[np.bool_],
    weights: Weights, drift: NDArray[np.float64], time: int,
) -> int:  # fmt: skip
    for s in order:
        a, b = start[s], start[s + 1]
        gold = gold_frame(head[a:b])
        _, time = _run(word[a:b], upos[a:b], xpos[a:b], gold, True, free[2 * a : 2 * b], weights, drift, time)
    return time


@compiled
def _parse(word: Ints, upos: Ints, xpos: Ints, start: Ints, weights: Weights) -> Ints:
    heads = np.zeros(word.size, np.int64)
    none, nothing = np.zeros(0, np.bool_), np.zeros((0, MOVES))
    untold = np.zeros(0, np.int64)
    for s in range(start.size - 1):
        a, b = start[s], start[s + 1]
        heads[a:b] = _run(word[a:b], upos[a:b], xpos[a:b], untold, False, none, weights, nothing, 0)[0]
    return heads
