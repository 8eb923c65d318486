"""Build the shipped tree of classes anew.

    python -m periodic_table.word_classes.build [--data DIR] [--out FILE]

Start with the 17 parts of speech. Again and again, make the split that adds most to the entropy of the classes over the
words of UD English EWT (train part), until there are 256:

    gain = n * H(yes share),   n tokens in the leaf

A leaf is split at the first step at which its words differ, between two neighbours in the order of the inventory (of
the words themselves: by frequency), where the two halves are the most even. So a class is always a run of like things,
and counts decide only where to cut.
"""

from __future__ import annotations

import itertools
import json
import math
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from periodic_table.shipped import DATA
from periodic_table.storage import write_atomic
from periodic_table.tagging.tagger import TAGS
from periodic_table.treebank_files import LICENCE, SOURCE, TreebankMissing, sentences
from periodic_table.word_classes.paths import Path as WordPath
from periodic_table.word_classes.paths import paths_of, rank
from periodic_table.word_classes.tree import SCHEMA, Split

MOST = 256

Leaf = dict[WordPath, int]


@dataclass(frozen=True)
class Options:
    """Where the treebank is, and where the file goes."""

    data: Path | None = None
    """Folder that has ud/en_ewt-ud-train.conllu, plain or .xz; by default $ASA_DATA."""
    out: Path = DATA / "classes-tree.toml"
    """File to write."""


def grow(words: Counter[tuple[str, str]], most: int = MOST) -> list[Split]:
    """The splits of the tree, the first ones first.

    Args:
        words: how often each (form, tag) occurs.
        most: how many classes.

    Cost: O(most * words).
    """
    leaves: list[tuple[str, Leaf]] = [(tag, {}) for tag in TAGS]
    paths = paths_of([form for form, _ in words], [tag for _, tag in words])
    for ((_, tag), count), path in zip(words.items(), paths, strict=True):
        leaf = leaves[TAGS.index(tag)][1]
        leaf[path] = leaf.get(path, 0) + count
    best = [best_split(*leaf) for leaf in leaves]
    splits: list[Split] = []
    while len(leaves) < most:
        number = max(range(len(leaves)), key=lambda leaf: best[leaf][0])
        gain, step, names = best[number]
        if gain <= 0:
            break
        tag, members = leaves[number]
        splits.append(Split(number, step, names))
        halves = [{path: n for path, n in members.items() if (path[step] in names) is yes} for yes in (True, False)]
        leaves[number] = (tag, halves[0])
        leaves.append((tag, halves[1]))
        best[number] = best_split(*leaves[number])
        best.append(best_split(*leaves[-1]))
    return splits


def best_split(tag: str, members: Leaf) -> tuple[float, int, frozenset[str]]:
    """How much a leaf would gain by its best split, at which step, and the names of the first half; gain 0 for none."""
    if len(members) < 2:
        return 0.0, 0, frozenset()
    depth = len(next(iter(members)))
    step = next(step for step in range(depth) if len({path[step] for path in members}) > 1)
    sums: Counter[str] = Counter()
    for path, count in members.items():
        sums[path[step]] += count
    is_word = step == depth - 1
    names = sorted(sums, key=lambda name: (-sums[name], name) if is_word else rank(tag, step, name))
    total = sum(sums.values())
    before = list(itertools.accumulate(sums[name] for name in names))[:-1]
    cut = min(range(len(before)), key=lambda place: abs(before[place] - total / 2))
    return total * _entropy(before[cut] / total), step, frozenset(names[: cut + 1])


def _entropy(share: float) -> float:
    return -sum(p * math.log2(p) for p in (share, 1 - share) if p > 0)


def as_toml(splits: list[Split]) -> str:
    """The splits as the text of the shipped file."""
    head: dict[str, object] = {"schema": SCHEMA, "source": f"made with the counts of {SOURCE}", "licence": LICENCE}
    rows: list[dict[str, object]] = [
        {"leaf": split.leaf, "step": split.step, "names": sorted(split.names)} for split in splits
    ]
    return "\n[[split]]\n".join(_table(row) for row in [head, *rows])


def _table(row: dict[str, object]) -> str:
    # JSON strings, integers and lists are TOML too; the standard library writes no TOML.
    return "".join(f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in row.items())


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; exit status 0, or 2 with one line on stderr where the source or the disk does not allow it."""
    import tyro

    options = tyro.cli(Options, prog="python -m periodic_table.word_classes.build", description=__doc__, args=argv)
    try:
        words = Counter((token.form, token.upos) for sentence in sentences("train", options.data) for token in sentence)
        write_atomic(options.out, as_toml(grow(words)).encode())
    except (TreebankMissing, ValueError, OSError) as error:
        print(f"error: {type(error).__name__}: {error}", file=sys.stderr)
        return 2
    print(options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
