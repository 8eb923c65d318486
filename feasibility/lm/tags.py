"""Parts of speech that taggers give to each piece of a corpus: NOT causal, to measure what the future is worth.

    python -m feasibility.lm.tags --data .lab/lm.npz --out .lab/tags.npz      # seven minutes, 15 million pieces

The original ASA masked a causal model by tags of a tagger that reads whole sentences, and let every piece of a word
have the word's tag. Both tell a piece something of what comes after it. Here are such tags, by the shipped
full-context tagger, so that a model that is given them can be compared with one whose classes follow from the piece
alone; what lies between is the leak.

T pieces of a part.
"""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from feasibility.lm.data import END_OF_TEXT, PARTS, Corpus, CorpusCorrupt, Part
from feasibility.store import write_atomic

SCHEMA = "asa.lm-tags.v1"
Tags = dict[Part, NDArray[np.uint8]]

# Words of the taggers: letters with their marks, numbers, the clitics of English, or one other sign.
WORD = re.compile(r"\w+?(?=n['’]t\b)|n['’]t\b|['’](?:s|re|ve|ll|d|m)\b|\d+(?:[.,:]\d+)*|\w+|[^\w\s]", re.IGNORECASE)
# Pieces that are tagged in one go; a tag depends on two words on either side.
_STRETCH = 200_000


def piece_tags(corpus: Corpus, part: Part) -> NDArray[np.uint8]:
    """The tag of the word that each piece belongs to, from the whole text. uint8 [T], in alphabetical order.

    Pieces without a word (line ends, the end of a text) are X.

    Args:
        corpus: whose pieces.
        part: of it.

    Cost: half a minute a million pieces.
    """
    from periodic_table.tagging import load_tagger
    from periodic_table.tagging.tagger import TAGS

    tag = load_tagger("full-context").tag
    number = {name: place for place, name in enumerate(TAGS)}
    lengths = piece_bytes(corpus.vocab)
    ids = corpus.ids[part]
    stretches = [ids[start : start + _STRETCH] for start in range(0, len(ids), _STRETCH)]
    return np.concatenate([_tagged(corpus, some, lengths, tag, number) for some in stretches])


def piece_bytes(vocab: Sequence[str]) -> list[bytes]:
    """The bytes that each entry of a byte-level vocabulary stands for; none for the end of a text."""
    # As GPT-2 has it: bytes that print stand for themselves, the others for the signs from 256 on.
    printing = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printing]
    byte_of = {chr(byte): byte for byte in printing} | {chr(256 + place): byte for place, byte in enumerate(others)}
    return [b"" if entry == END_OF_TEXT else bytes(byte_of[sign] for sign in entry) for entry in vocab]


def _tagged(
    corpus: Corpus, ids: NDArray[np.uint16], content: list[bytes], tag: Callable[[list[str]], list[str]],
    number: dict[str, int],
) -> NDArray[np.uint8]:  # fmt: skip
    pieces = [content[place] for place in ids.tolist()]
    raw = b"".join(pieces)
    text = raw.decode("utf-8", errors="replace")
    words = list(WORD.finditer(text))
    tags = np.array([number[name] for name in tag([word.group() for word in words])], dtype=np.uint8)
    # The word at each byte, -1 for none.
    widths = np.array([len(sign.encode()) for sign in text]) if not text.isascii() else np.ones(len(text), dtype=int)
    at_byte = np.concatenate([[0], np.cumsum(widths)])
    of_byte = np.full(at_byte[-1], -1)
    for place, word in enumerate(words):
        of_byte[at_byte[word.start()] : at_byte[word.end()]] = place
    ends = np.cumsum([len(piece) for piece in pieces])
    # A piece belongs to the word that its last byte is in: what comes before it is the space in front.
    word_of = np.where(ends > np.concatenate([[0], ends[:-1]]), of_byte[np.minimum(ends, len(of_byte)) - 1], -1)
    found = np.full(len(ids), number["X"], dtype=np.uint8)
    found[word_of >= 0] = tags[word_of[word_of >= 0]]
    return found


def told_of_next(ids: NDArray[np.uint16], tags: NDArray[np.uint8], seed: int = 0) -> tuple[float, float]:
    """How much the tag of a piece tells of the next piece, beside what the piece itself tells; in nats.

    I(next; tag | piece), by counting. Counts of so many cells find something where there is nothing, so the same is
    counted with tags dealt out anew among the occurrences of each piece.

    Args:
        ids: [T] pieces.
        tags: [T] theirs.
        seed: of the dealing out.

    Returns: with the tags, and with those dealt out anew; the difference is what they tell. A causal model may know a
        part of it from what came before, so it is the most that a model can gain by them from one piece to the next.

    Cost: O(T log T).
    """
    piece, following = ids[:-1].astype(np.int64), ids[1:].astype(np.int64)
    generator = np.random.default_rng(seed)
    dealt = np.empty(len(piece), dtype=np.int64)
    dealt[np.argsort(piece, kind="stable")] = tags[:-1][np.lexsort((generator.random(len(piece)), piece))]
    alone = _entropy(piece * 2**16 + following) - _entropy(piece)
    told = []
    for some in (tags[:-1].astype(np.int64), dealt):
        known = piece * 2**8 + some
        told.append(alone - (_entropy(known * 2**16 + following) - _entropy(known)))
    return told[0], told[1]


def _entropy(cells: NDArray[np.int64]) -> float:
    """Of the cells that were counted, in nats."""
    share = np.unique(cells, return_counts=True)[1] / len(cells)
    return float(-(share * np.log(share)).sum())


def save_tags(path: Path, tags: Tags) -> None:
    """Write one .npz: part -> uint8 [T]."""
    content = io.BytesIO()
    np.savez_compressed(content, schema=np.array(json.dumps(SCHEMA)), **tags)  # type: ignore[arg-type]
    write_atomic(path, content.getvalue())


def load_tags(path: Path, corpus: Corpus) -> Tags:
    """Read what `save_tags` wrote.

    Raises:
        FileNotFoundError: there is no such file.
        CorpusCorrupt: it is something else, or it belongs to another corpus.
    """
    make = f"make it: python -m feasibility.lm.tags --out {path}"
    try:
        with np.load(path, allow_pickle=False) as file:
            tags = {part: file[part] for part in PARTS}
            is_right = json.loads(str(file["schema"])) == SCHEMA
        is_right &= all(len(tags[part]) == len(corpus.ids[part]) for part in PARTS)
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} is not here; {make}") from None
    except (KeyError, ValueError, OSError) as error:
        raise CorpusCorrupt(f"{path} does not hold tags ({error}); {make}") from error
    if not is_right:
        raise CorpusCorrupt(f"{path} holds tags of another corpus or schema than {SCHEMA}; {make}")
    return tags


@dataclass(frozen=True)
class Options:
    """What to tag."""

    data: Path = Path(".lab/lm.npz")
    """Corpus of `feasibility.lm.data`."""
    out: Path = Path(".lab/tags.npz")
    """File to write."""


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    import tyro

    options = tyro.cli(Options, prog="python -m feasibility.lm.tags", description=__doc__, args=argv)
    corpus = Corpus.load(options.data)
    tags = {part: piece_tags(corpus, part) for part in PARTS}
    save_tags(options.out, tags)
    print(f"{options.out}: {sum(map(len, tags.values()))} tags, {options.out.stat().st_size / 1e6:.1f} MB")
    told, dealt = told_of_next(corpus.ids["train"], tags["train"])
    print(
        f"a tag tells {told - dealt:.3f} nats of the next piece: {told:.3f} less {dealt:.3f} that counting finds anyway"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
