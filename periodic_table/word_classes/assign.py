"""From words to class ids, for texts and for vocabularies, and what the classes are."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from periodic_table.tagging import load_tagger
from periodic_table.tagging.tagger import check_one_tag_each, check_tokens
from periodic_table.word_classes.paths import load_inventory, paths_of, rank
from periodic_table.word_classes.tree import Split, load_tree
from periodic_table.word_classes.vocabulary import words_of


@dataclass(frozen=True)
class WordClass:
    """What one class holds.

    Args:
        id: from 0; the classes of one part of speech stand together, these in alphabetical order.
        upos: part of speech.
        name: readable, such as "NOUN person" or "VERB motion 9..50".
        tokens: how many words of the text that was counted were of the class.
        members: the most frequent words of the class there.
    """

    id: int
    upos: str
    name: str
    tokens: int
    members: tuple[str, ...]


def classes(tokens: Iterable[str], upos: Iterable[str] | None = None, size: int = 64) -> NDArray[np.int64]:
    """The class of each word.

    Args:
        tokens: words, of any iterable; a word never seen, an empty one or an emoji has a class too.
        upos: their parts of speech. Without them each word gets the likeliest one of its form, whatever stands around
            it, so that the class of a word depends on that word alone and cannot leak. With tags from elsewhere, the
            classes are as causal as these tags are.
        size: 17 (parts of speech in alphabetical order), 64, 256, or any other number from 17 to 256.

    Returns:
        int64[N], ids from 0 to size - 1.

    Raises:
        TypeError: `tokens` is one text, has no order, or holds something that is not text; `upos` is one text.
        ValueError: another number of tags than of words.
        periodic_table.element.UnknownTag: a tag is not one of the 17.
        periodic_table.word_classes.ClassSizeError: the shipped tree has no such size.
        periodic_table.shipped.ModelMissing, ModelCorrupt: a shipped file is not there, or not the released one.

    Cost: O(N); 0.1 ms for each pair of word and tag that is new to the process.
    """
    words = check_tokens(tokens)
    tags = load_tagger().tag(words) if upos is None else check_one_tag_each(words, upos)
    tree = load_tree(size)
    ids = [tree.class_of(tag, path) for tag, path in zip(tags, paths_of(words, tags), strict=True)]
    return np.array(ids, dtype=np.int64)


def class_table(vocab: Iterable[str], size: int = 64) -> NDArray[np.int64]:
    """The class of each entry of a tokeniser's vocabulary, so that a language model needs no tagger.

    An entry that begins a word is classed as that word by its form alone. An entry that goes on with a word has no
    class of its own and gets that of X: what it belongs to depends on the entries before it, and `periodic_table.align`
    has the rule that follows a word through its pieces.

    Args:
        vocab: entries as the tokeniser writes them, in the order of their ids (of a mapping from entries to ids,
            `sorted(vocab, key=vocab.get)`): see `periodic_table.word_classes.vocabulary.words_of`.
        size: as in `classes`.

    Returns:
        int64[len(vocab)]: `class_table(vocab)[token_ids]` are the classes of a text.

    Raises:
        As `classes`.

    Cost: 0.1 ms an entry; 5 s for 50,000.
    """
    words = words_of(check_tokens(vocab))
    ids = classes([word or "" for word in words], size=size)
    ids[[word is None for word in words]] = classes([""], ["X"], size)[0]
    return ids


def describe(size: int = 64, tokens: Iterable[str] = (), upos: Iterable[str] | None = None) -> list[WordClass]:
    """All classes, with their names, and what of a text is in them.

    Args:
        size: as in `classes`.
        tokens: a text to count in.
        upos: its tags, as in `classes`.
    """
    words = check_tokens(tokens)
    ids = classes(words, upos, size).tolist()
    members: dict[int, Counter[str]] = {number: Counter() for number in range(size)}
    for token, number in zip(words, ids, strict=True):
        members[number][token.lower()] += 1
    return [
        WordClass(
            number,
            load_tree(size).ways[number][0],
            name,
            sum(found.values()),
            tuple(w for w, _ in found.most_common(8)),
        )
        for (number, found), name in zip(members.items(), names(size), strict=True)
    ]


@functools.cache
def names(size: int = 64) -> tuple[str, ...]:
    """A readable name for each class id: the tag, the names that it takes in, and "other" for whatever is left.

    Raises:
        ClassSizeError: see `classes`.
    """
    return tuple(_name(upos, asked) for upos, asked in load_tree(size).ways)


def _name(upos: str, asked: tuple[tuple[Split, bool], ...]) -> str:
    parts = []
    for step in sorted({split.step for split, _ in asked}):
        yes = [split.names for split, answer in asked if split.step == step and answer]
        no = frozenset[str]().union(*(split.names for split, answer in asked if split.step == step and not answer))
        listed = load_inventory().order.get(upos, ()) if step == 0 else ()
        within = frozenset.intersection(*yes) - no if yes else frozenset(listed) - no
        ordered = sorted(within, key=lambda name: rank(upos, step, name))
        if not ordered:
            parts.append("other")
        elif len(ordered) <= 3 or not (listed or ordered[0].isdigit()):
            parts.append("+".join(ordered[:3]) + ("+.." if len(ordered) > 3 else ""))
        else:
            parts.append(f"{ordered[0]}..{ordered[-1]}")
    return " ".join([upos, *parts])
