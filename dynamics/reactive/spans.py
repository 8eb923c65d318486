"""What stands between two words, looked up in constant time: the tags, and how many verbs and marks.

Axes: `P` particles, ROOT (0) and the N words; `J` powers of two up to P.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dynamics.compile import compiled

_VERB, _MARK = 1, 2


@compiled
def span_tables(
    tags: NDArray[np.int64], kinds: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Tables of a sentence for `tags_between` and for counts.

    Args:
        tags: [P] int64 in 0..62.
        kinds: [P] int64, 1 for verbs, 2 for punctuation, else 0.

    Returns:
        masks: [J, P] int64, the bits of the tags of the 2^j words from each one on, as far as there are so many.
        verbs, marks: [P + 1] int64, how many stand before each place.

    Cost: O(P log P).
    """
    size, levels = tags.size, 1
    while 1 << levels <= size:
        levels += 1
    masks = np.empty((levels, size), np.int64)
    verbs, marks = np.zeros(size + 1, np.int64), np.zeros(size + 1, np.int64)
    for i in range(size):
        masks[0, i] = 1 << tags[i]
        verbs[i + 1] = verbs[i] + (kinds[i] == _VERB)
        marks[i + 1] = marks[i] + (kinds[i] == _MARK)
    for j in range(1, levels):
        half = 1 << (j - 1)
        for i in range(size - 2 * half + 1):
            masks[j, i] = masks[j - 1, i] | masks[j - 1, i + half]
    return masks, verbs, marks


@compiled
def tags_between(masks: NDArray[np.int64], low: int, high: int) -> int:
    """The bits of the tags of the words low, ..., high - 1; 0 for none."""
    if low >= high:
        return 0
    j = 0
    while 2 << j <= high - low:
        j += 1
    return int(masks[j, low] | masks[j, high - (1 << j)])
