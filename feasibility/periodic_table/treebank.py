"""UD English EWT without its comments, features and empty nodes: what the experiment trains and tests on.

    python -m feasibility.periodic_table.treebank     # build the shipped file anew from the three CoNLL-U files

The arrays of the file; N words of all parts, one after the other:
    forms, entries, relations   uint8 text, one a line; an entry is lemma TAB part of speech
    form, entry                 uint16[N], indices into these
    relation                    uint8[N], index into relations
    offset                      int16[N], place of the head minus the word's own; 0 at a root
    length                      uint8[S], words of each sentence
    sentences                   uint16[3], sentences of train, dev and test

Source: Silveira et al. (2014), A gold standard dependency corpus for English; CC BY-SA 4.0, as the shipped file is.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from feasibility import datasets
from feasibility.datasets import locate
from periodic_table.lexicon.storage import pack_arrays
from periodic_table.treebank import Token, base, read_conllu

Split = Literal["train", "dev", "test"]
SPLITS: tuple[Split, ...] = ("train", "dev", "test")
SHIPPED = "ud-english-ewt-words"

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Treebank:
    """Some sentences, word by word.

    Args:
        entries: (lemma, part of speech) of each row; lemmas in lower case except for names.
        relations: labels.
        form: [N], the words as written.
        entry: int[N], index into entries.
        relation: int[N], index into relations.
        head: int[N], place of the head among the N words; -1 at a root.
        sentence: int[N], number of the sentence.
    """

    entries: tuple[tuple[str, str], ...]
    relations: tuple[str, ...]
    form: tuple[str, ...]
    entry: Ints
    relation: Ints
    head: Ints
    sentence: Ints

    def __len__(self) -> int:
        return len(self.form)

    def first(self, sentences: int) -> Treebank:
        """The first so many sentences; all where there are not so many."""
        stop = int(np.searchsorted(self.sentence, sentences))
        return Treebank(
            self.entries,
            self.relations,
            self.form[:stop],
            self.entry[:stop],
            self.relation[:stop],
            self.head[:stop],
            self.sentence[:stop],
        )

    def upos(self) -> list[str]:
        """The part of speech of each word."""
        tags = [tag for _, tag in self.entries]
        return [tags[place] for place in self.entry]

    def sentences(self) -> list[list[Token]]:
        """The same as lists of tokens, whose heads count from 1 in their sentence."""
        out: list[list[Token]] = [[] for _ in range(int(self.sentence[-1]) + 1 if len(self) else 0)]
        begins = np.searchsorted(self.sentence, np.arange(len(out)))
        for place in range(len(self)):
            number = int(self.sentence[place])
            head = int(self.head[place])
            lemma, tag = self.entries[self.entry[place]]
            label = self.relations[self.relation[place]]
            own = 0 if head < 0 else head - int(begins[number]) + 1
            out[number].append(Token(self.form[place], lemma, tag, own, label))
        return out


def read_split(split: Split) -> Treebank:
    """One part of EWT, from the shipped file.

    Raises:
        DatasetCorrupt: the file is not the one that was released.

    Cost: 0.1 s the first time.
    """
    arrays = _arrays()
    sizes = arrays["sentences"].astype(np.int64)
    first = int(sizes[: SPLITS.index(split)].sum())
    length = arrays["length"].astype(np.int64)
    start = np.concatenate([[0], np.cumsum(length)])
    rows = slice(int(start[first]), int(start[first + sizes[SPLITS.index(split)]]))
    offset = arrays["offset"][rows].astype(np.int64)
    forms, entries, relations = _vocabularies()
    return Treebank(
        entries,
        relations,
        tuple(forms[place] for place in arrays["form"][rows].tolist()),
        arrays["entry"][rows].astype(np.int64),
        arrays["relation"][rows].astype(np.int64),
        np.where(offset == 0, -1, np.arange(len(offset)) + offset),
        np.repeat(np.arange(sizes[SPLITS.index(split)]), length[first : first + sizes[SPLITS.index(split)]]),
    )


def from_sentences(sentences: Iterable[list[Token]]) -> Treebank:
    """Sentences as a treebank: for one that the project does not ship."""
    kept = [sentence for sentence in sentences if sentence]
    tokens = [token for sentence in kept for token in sentence]
    keys = [(base(token.lemma, token.upos), token.upos) for token in tokens]
    entries, labels = sorted(set(keys)), sorted({token.relation for token in tokens})
    begins = np.cumsum([0, *map(len, kept)])
    sentence = np.repeat(np.arange(len(kept)), [len(one) for one in kept])
    heads = np.array([token.head for token in tokens], dtype=np.int64)
    row, column = {key: place for place, key in enumerate(entries)}, {name: place for place, name in enumerate(labels)}
    return Treebank(
        tuple(entries),
        tuple(labels),
        tuple(token.form for token in tokens),
        np.array([row[key] for key in keys], dtype=np.int64),
        np.array([column[token.relation] for token in tokens], dtype=np.int64),
        np.where(heads == 0, -1, heads - 1 + begins[sentence]),
        sentence,
    )


@functools.cache
def _arrays() -> dict[str, NDArray[np.generic]]:
    with np.load(locate(SHIPPED), allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


@functools.cache
def _vocabularies() -> tuple[tuple[str, ...], tuple[tuple[str, str], ...], tuple[str, ...]]:
    arrays = _arrays()
    forms, entries, relations = (
        arrays[name].tobytes().decode("utf-8").split("\n") for name in ("forms", "entries", "relations")
    )
    pairs = [entry.split("\t") for entry in entries]
    return tuple(forms), tuple((lemma, tag) for lemma, tag in pairs), tuple(relations)


def pack(splits: Iterable[Iterable[list[Token]]]) -> bytes:
    """The three parts as the bytes of the shipped file; equal sentences give equal bytes."""
    parts = [list(split) for split in splits]
    sentences = [sentence for part in parts for sentence in part]
    tokens = [token for sentence in sentences for token in sentence]
    keys = [f"{base(token.lemma, token.upos)}\t{token.upos}" for token in tokens]
    columns = {"form": [token.form for token in tokens], "entry": keys, "relation": [t.relation for t in tokens]}
    vocabularies = {name: sorted(set(column)) for name, column in columns.items()}
    places = {name: {word: place for place, word in enumerate(words)} for name, words in vocabularies.items()}
    heads = [token.head - number for sentence in sentences for number, token in enumerate(sentence, 1)]
    return pack_arrays(
        {
            "forms": _text(vocabularies["form"]),
            "entries": _text(vocabularies["entry"]),
            "relations": _text(vocabularies["relation"]),
            "form": np.array([places["form"][word] for word in columns["form"]], dtype="<u2"),
            "entry": np.array([places["entry"][word] for word in columns["entry"]], dtype="<u2"),
            "relation": np.array([places["relation"][word] for word in columns["relation"]], dtype="u1"),
            "offset": np.array(
                [head if token.head else 0 for token, head in zip(tokens, heads, strict=True)], dtype="<i2"
            ),
            "length": np.array([len(sentence) for sentence in sentences], dtype="u1"),
            "sentences": np.array([len(part) for part in parts], dtype="<u2"),
        }
    )


def _text(lines: list[str]) -> NDArray[np.uint8]:
    return np.frombuffer("\n".join(lines).encode("utf-8"), dtype=np.uint8)


def main() -> int:
    """Write the shipped file anew and print what datasets.toml is to say of it."""
    import hashlib

    from feasibility.store import write_atomic

    content = pack(read_conllu(locate(f"ud-english-ewt-{split}")) for split in SPLITS)
    path = Path(datasets.__file__).parent / "data" / f"{SHIPPED}.npz"
    write_atomic(path, content)
    print(f'{path.name}\nsha256 = "{hashlib.sha256(content).hexdigest()}"\nsize = {len(content):_}')
    return 0


if __name__ == "__main__":
    from feasibility.cli import guarded

    sys.exit(guarded(main))
