"""The entries of a subword tokeniser's vocabulary as words, or beginnings of words, where they are such."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence

# Byte-level BPE writes a space in front as the first of these, SentencePiece as the second.
BYTE_SPACE, SPACE = "\u0120", "\u2581"
_INSIDE = "##"
_SPECIAL = re.compile(r"<[^<>\s]+>|\[[A-Z]+\]")


def words_of(vocab: Sequence[str]) -> list[str | None]:
    """The word that each entry begins; None for what is none: pieces inside a word, special entries, broken characters.

    Args:
        vocab: entries as the tokeniser writes them. Where some begin with a mark for a space, one that begins with a
            small letter goes on with a word; one in capitals is taken for a word after a quotation mark or a new line.
            "##ing" always goes on with a word.
    """
    byte_level = any(entry.startswith(BYTE_SPACE) for entry in vocab)
    marked = byte_level or any(entry.startswith(SPACE) for entry in vocab)
    return [_word(entry, byte_level, marked) for entry in vocab]


def _word(entry: str, byte_level: bool, marked: bool) -> str | None:
    if _SPECIAL.fullmatch(entry) or (entry.startswith(_INSIDE) and len(entry) > len(_INSIDE)):
        return None
    text = _decoded(entry) if byte_level else entry.replace(SPACE, " ")
    if text is None or (marked and text[:1].isalpha() and not text[:1].isupper()):
        return None
    return text.strip()


def _decoded(entry: str) -> str | None:
    """An entry of byte-level BPE as text; None where it holds only a part of a character."""
    try:
        return bytes(_byte_of()[character] for character in entry).decode("utf-8")
    except (KeyError, UnicodeDecodeError):
        return None


@functools.cache
def _byte_of() -> dict[str, int]:
    # As GPT-2 has it: bytes that print stand for themselves, the others for the characters from 256 on.
    printing = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printing]
    return {chr(byte): byte for byte in printing} | {chr(256 + place): byte for place, byte in enumerate(others)}
