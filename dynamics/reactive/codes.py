"""A sentence as the numbers that features are hashed from.

Axes: `P` particles, ROOT (0) and the N words (1..N); one more place closes the sentence.
"""

from __future__ import annotations

import functools
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

# Words as integers: columns of the array that `encode` makes.
WORD, ENDING, SHAPE, UPOS, FINE = range(5)
COLUMNS = 5


@functools.lru_cache(maxsize=1 << 17)
def word_codes(form: str) -> bytes:
    """A word, its ending and its shape as 32-bit numbers that are the same on every machine.

    Args:
        form: as written. Case counts for the shape only; digits are all alike.

    Returns:
        The bytes of three uint64: those of a whole sentence are joined faster than arrays are filled.
    """
    lower = "".join("0" if letter.isdigit() else letter for letter in form.lower())
    shape = (form[:1].isupper(), form.isupper() and len(form) > 1, lower != form.lower(), "-" in form, len(form) > 3)
    ending = lower[-3:] if len(lower) > 3 else "=" + lower
    return np.array([text_code(lower), text_code(ending), text_code(repr(shape))], np.uint64).tobytes()


def text_code(text: str) -> int:
    """A 32-bit number of a text, the same on every machine; never 0."""
    return zlib.crc32(text.encode("utf-8", "surrogatepass")) + 1


def encode(tokens: Sequence[str], upos: NDArray[np.int64]) -> NDArray[np.uint64]:
    """The codes of a sentence; the fine tags are its universal ones.

    Args:
        tokens: [N].
        upos: [N] int64, indices of the tags; 0 is a tag that nobody knows.

    Returns:
        [N + 2, 5] uint64: ROOT, the words, the end; columns as named above.
    """
    codes = np.empty((len(tokens) + 2, COLUMNS), np.uint64)
    codes[1:-1, WORD : SHAPE + 1] = np.frombuffer(b"".join(map(word_codes, tokens)), np.uint64).reshape(-1, 3)
    codes[1:-1, UPOS] = codes[1:-1, FINE] = upos + 3
    codes[0], codes[-1] = 1, 2
    return codes
