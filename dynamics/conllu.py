"""Treebanks in the CoNLL-U format, one sentence at a time: read gold trees, or write a parser's trees into a file.

    python -m dynamics.conllu IN.conllu OUT.conllu [--skip-bad]

Files may be plain, .gz or .xz. The library `conllu` reads the fields; lines are carried over as they came, because its
own sentences would put comments and features into another form.
"""

from __future__ import annotations

import argparse
import gzip
import lzma
import os
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from dynamics.parser import Parser

COLUMNS = 10
HEAD, DEPREL = 6, 7
UNKNOWN = "or _ in every HEAD that is to be found"


class MalformedTreebank(ValueError):
    """A file that is not CoNLL-U, or a sentence in it whose heads are no tree; says where and what was expected."""


class Sentence(NamedTuple):
    """One sentence of a treebank without its multiword tokens and empty nodes.

    Args:
        tokens: [N] forms.
        upos: [N] universal parts of speech.
        xpos: [N] the treebank's own parts of speech; "_" where there is none.
        heads: [N], counted from 1; 0 is ROOT; -1 where the file has none.
        labels: [N] relations with their subtypes; "_" where the file has none.
    """

    tokens: tuple[str, ...]
    upos: tuple[str, ...]
    xpos: tuple[str, ...]
    heads: tuple[int, ...]
    labels: tuple[str, ...]


class Skipped(NamedTuple):
    """A sentence that was left out: the line that is wrong, counted from 1, and what is wrong with it."""

    line: int
    why: str


@dataclass(frozen=True)
class Report:
    """What became of a file.

    Args:
        sentences: parsed.
        words: parsed.
        skipped: sentences that were left out.
    """

    sentences: int
    words: int
    skipped: tuple[Skipped, ...]


class _Block(NamedTuple):
    """The lines of one sentence, as bytes with their ends, and the number of the first; `end` is the empty line."""

    line: int
    lines: list[bytes]
    end: bytes


class _Wrong(Exception):
    """What is wrong in which line; becomes a MalformedTreebank once the file is known."""

    def __init__(self, line: int, why: str) -> None:
        super().__init__(why)
        self.line, self.why = line, why


def read_conllu(path: str | Path, skip_bad: bool = False, skipped: list[Skipped] | None = None) -> Iterator[Sentence]:
    """Read gold trees.

    Args:
        path: plain, .gz or .xz.
        skip_bad: leave sentences that are not well-formed out instead of stopping at the first.
        skipped: if given, what was left out is appended to it.

    Returns:
        One sentence after the other; the file is read as they are asked for.

    Raises:
        MalformedTreebank: not UTF-8; not ten columns; numbers of words that do not count 1, 2, 3; a head or a label
            missing, a head out of range, a cycle, not exactly one root; no sentence at all; a damaged archive.
        OSError: the file cannot be read.

    Cost: constant memory.
    """
    path, number = Path(path), 0
    with _opened(path) as (file, _):
        for block in _blocks(file, path):
            if block.lines:
                number += 1
                try:
                    yield _sentence_of(block, gold=True)[0]
                except _Wrong as wrong:
                    _skip(path, wrong, skip_bad, skipped)
    if number == 0 and not skip_bad:
        raise MalformedTreebank(_empty(path))


def parse_conllu(path: str | Path, out: str | Path, parser: Parser | None = None, skip_bad: bool = False) -> Report:
    """Parse a file and write it again with the parser's HEAD and DEPREL; every other byte stays as it is.

    Comments, multiword tokens, empty nodes and the other columns are carried over unchanged, DEPS too: it is another
    annotation, and empty nodes have no other place in the sentence. Heads that the file has already must be a tree,
    for a file with broken ones is damaged; "_" where there are none.

    Args:
        path: plain, .gz or .xz.
        out: plain, .gz or .xz; appears when it is complete, and may be `path` itself.
        parser: the default English one if None.
        skip_bad: leave sentences that are not well-formed out of `out` instead of stopping at the first.

    Raises:
        MalformedTreebank: see `read_conllu`; also a sentence that the parser refuses.
        OSError: a file cannot be read or written; nothing half-written is left.

    Cost: constant memory; a progress bar on stderr where that is a terminal.
    """
    from dynamics.parser import Parser

    path, out = Path(path), Path(out)
    parser = Parser.load() if parser is None else parser
    skipped: list[Skipped] = []
    sentences = words = 0
    with _opened(path) as (file, where), _replacing(out) as target, _progress(path) as moved:
        for block in _blocks(file, path):
            if not block.lines:
                target.write(block.end)
                continue
            try:
                sentence, places = _sentence_of(block, gold=False)
                target.writelines(_with_tree(block.lines, places, *_tree(parser, sentence, block.line)))
                target.write(block.end)
            except _Wrong as wrong:
                _skip(path, wrong, skip_bad, skipped)
                continue
            sentences += 1
            words += len(sentence.tokens)
            moved(where())
        if sentences == 0 and not skip_bad:
            raise MalformedTreebank(_empty(path))
    return Report(sentences, words, tuple(skipped))


def _empty(path: Path) -> str:
    return f"{path}:1: no sentence in the file; expected lines of {COLUMNS} columns parted by tabs"


def _skip(path: Path, wrong: _Wrong, skip_bad: bool, skipped: list[Skipped] | None) -> None:
    if not skip_bad:
        raise MalformedTreebank(f"{path}:{wrong.line}: {wrong.why}") from wrong
    if skipped is not None:
        skipped.append(Skipped(wrong.line, wrong.why))


def _tree(parser: Parser, sentence: Sentence, line: int) -> tuple[list[int], Sequence[str]]:
    try:
        parse = parser.parse(sentence.tokens, sentence.upos, xpos=sentence.xpos)
    except (ValueError, LookupError) as error:
        raise _Wrong(line, f"{type(error).__name__}: {error}") from error
    return parse.heads.tolist(), parse.labels


def _with_tree(
    lines: Sequence[bytes], places: Sequence[int], heads: Sequence[int], labels: Sequence[str]
) -> list[bytes]:
    """The lines of a sentence with other heads and labels in the lines of its words."""
    changed = list(lines)
    for place, head, label in zip(places, heads, labels, strict=True):
        columns = changed[place].split(b"\t")
        columns[HEAD], columns[DEPREL] = str(head).encode(), label.encode()
        changed[place] = b"\t".join(columns)
    return changed


def _sentence_of(block: _Block, gold: bool) -> tuple[Sentence, list[int]]:
    """A sentence and the places of its words among the lines of the block."""
    from conllu.exceptions import ParseException
    from conllu.parser import parse_id_value, parse_int_value

    rows: list[list[str]] = []
    places: list[int] = []
    heads: list[int] = []
    # Line and last word of the last multiword token.
    joined = (0, 0)
    for place, raw in enumerate(block.lines):
        line = block.line + place
        try:
            # Some editors put a mark at the beginning of a file; it is no part of the first column.
            text = raw.decode("utf-8-sig" if line == 1 else "utf-8").rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise _Wrong(line, f"byte {error.start + 1} is {raw[error.start]:#04x}; expected UTF-8 text") from error
        if text.startswith("#"):
            continue
        columns = text.split("\t")
        if len(columns) != COLUMNS:
            raise _Wrong(line, f"{len(columns)} columns; expected {COLUMNS}, parted by tabs")
        try:
            name, head = parse_id_value(columns[0]), parse_int_value(columns[HEAD])
        except (ParseException, ValueError) as error:
            # Of a number with thousands of digits Python itself says that it is none.
            raise _Wrong(line, f"{str(error)[:200]} Expected ID 3, 3-4 or 3.1, and HEAD a number or _") from error
        _check_name(line, columns[0], name, len(rows), joined[1])
        if isinstance(name, tuple) and name[1] == "-":
            joined = line, name[2]
        if isinstance(name, int):
            rows.append(columns)
            places.append(place)
            heads.append(-1 if head is None else head)
            if head is not None and head < 0:
                raise _Wrong(line, f"HEAD is {head}; expected 0 for ROOT or the number of a word")
    if rows and joined[1] > len(rows):
        raise _Wrong(joined[0], f"a multiword token ends at word {joined[1]}; expected at most {len(rows)}")
    if not rows:
        raise _Wrong(block.line, "no words in the sentence; expected at least one line whose ID is 1")
    _check_heads(block.line, places, heads, gold)
    labels = tuple(row[DEPREL] for row in rows)
    if gold and "_" in labels:
        raise _Wrong(block.line + places[labels.index("_")], "DEPREL is _; expected a relation in a gold tree")
    return Sentence(
        tokens=tuple(row[1] for row in rows),
        upos=tuple(row[3] for row in rows),
        xpos=tuple(row[4] for row in rows),
        heads=tuple(heads),
        labels=labels,
    ), places


def _check_name(line: int, text: str, name: object, before: int, joined: int) -> None:
    """Words count 1, 2, 3; a multiword token stands before its first word, an empty node after the word it names.

    Words up to `joined` have a multiword token already, and cannot have another.
    """
    match name:
        case int() if name == before + 1:
            return
        case (int() as first, "-", int() as final) if first == before + 1 and final >= first > joined:
            return
        case (int() as word, ".", int()) if word == before:
            return
    raise _Wrong(line, f"ID is {text} after {before} words; expected {before + 1}, a range from there, or {before}.1")


def _check_heads(line: int, places: Sequence[int], heads: Sequence[int], gold: bool) -> None:
    """Heads are one tree with one root; those of a sentence that is to be parsed may be missing."""
    for place, head in zip(places, heads, strict=True):
        if head > len(heads):
            raise _Wrong(line + place, f"HEAD is {head}; expected at most {len(heads)}, the number of words")
        if gold and head < 0:
            raise _Wrong(line + place, "HEAD is _; expected a head for every word of a gold tree")
    if min(heads) < 0:
        return
    roots = [place for place, head in zip(places, heads, strict=True) if head == 0]
    if len(roots) != 1:
        raise _Wrong(
            line + roots[1] if roots else line,
            f"{len(roots)} words have HEAD 0; expected exactly one root, {UNKNOWN}",
        )
    for start in range(1, len(heads) + 1):
        word, steps = start, 0
        while word != 0 and steps <= len(heads):
            word, steps = heads[word - 1], steps + 1
        if word != 0:
            raise _Wrong(
                line + places[start - 1],
                f"the heads of word {start} go in a circle; expected a tree, {UNKNOWN}",
            )


def _blocks(file: IO[bytes], path: Path) -> Iterator[_Block]:
    """Cut a file at its empty lines; empty lines without a sentence come as blocks without lines."""
    first, number, lines = 1, 0, list[bytes]()
    try:
        for number, line in enumerate(file, 1):
            if line.strip():
                lines.append(line)
                continue
            yield _Block(first, lines, line)
            first, lines = number + 1, []
    except (EOFError, lzma.LZMAError, gzip.BadGzipFile, zlib.error) as error:
        raise MalformedTreebank(f"{path}:{number + 1}: the archive is damaged ({error}); fetch it again") from error
    if lines:
        yield _Block(first, lines, b"")


@contextmanager
def _opened(path: Path) -> Iterator[tuple[IO[bytes], Callable[[], int]]]:
    """A file unpacked as it is read, and how far the packed file has been read."""
    with path.open("rb") as raw:
        unpack = {".xz": lzma.LZMAFile, ".gz": gzip.GzipFile}.get(path.suffix)
        if unpack is None:
            yield raw, raw.tell
            return
        with unpack(fileobj=raw) if unpack is gzip.GzipFile else lzma.LZMAFile(raw) as file:
            yield file, raw.tell  # type: ignore[misc]


@contextmanager
def _replacing(out: Path) -> Iterator[IO[bytes]]:
    """A new file, packed as its name says, that takes its place only when all went well."""
    scratch = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    try:
        with scratch.open("wb") as raw:
            if out.suffix == ".xz":
                with lzma.LZMAFile(raw, "wb") as packed:
                    yield packed
            elif out.suffix == ".gz":
                # Without name and time of its own: equal content, equal bytes.
                with gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as packed:
                    yield packed  # type: ignore[misc]
            else:
                yield raw
            raw.flush()
            os.fsync(raw.fileno())
        scratch.replace(out)
    finally:
        scratch.unlink(missing_ok=True)


@contextmanager
def _progress(path: Path) -> Iterator[Callable[[int], None]]:
    """A bar on stderr that shows how much of a file has been read; nothing where stderr is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        task = bars.add_task(f"parsing {path.name}", total=path.stat().st_size)
        yield lambda position: bars.update(task, completed=position)


def main(argv: Sequence[str] | None = None) -> int:
    """Parse a file from the command line; exit status 2 with one line on stderr where that cannot be done."""
    arguments = argparse.ArgumentParser(
        prog="python -m dynamics.conllu",
        description="Parse a CoNLL-U file (plain, .gz or .xz) and write it again with heads and relations.",
    )
    arguments.add_argument("path", type=Path, help="file to parse")
    arguments.add_argument("out", type=Path, help="file to write")
    arguments.add_argument("--skip-bad", action="store_true", help="leave malformed sentences out, and count them")
    given = arguments.parse_args(argv)
    try:
        report = parse_conllu(given.path, given.out, skip_bad=given.skip_bad)
    except (MalformedTreebank, OSError) as error:
        print(f"error: {type(error).__name__}: {error}", file=sys.stderr)
        return 2
    for line, why in report.skipped:
        print(f"skipped {given.path}:{line}: {why}", file=sys.stderr)
    print(f"{report.sentences} sentences, {report.words} words, {len(report.skipped)} skipped: {given.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
