"""Build the shipped VerbNet extract from NLTK's copy of VerbNet 3.3.

    python -m periodic_table.lexicon.verbnet_build [--source FILE.zip] [--out FILE]

Takes two seconds and gives the same bytes every time.
"""

from __future__ import annotations

import os
import sys
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from periodic_table.lexicon.protocol import LexiconMissing
from periodic_table.lexicon.verbnet import SHIPPED, VerbClass, as_json
from periodic_table.lexicon.wordnet_files import sense_keys
from periodic_table.storage import write_atomic

VERSION = "3.3"
SOURCE = "VerbNet 3.3 as distributed by NLTK (corpora/verbnet3), without examples, syntax and argument structure"


@dataclass(frozen=True)
class Options:
    """Where to read VerbNet, and where to write the extract."""

    source: Path | None = None
    """NLTK data folder with corpora/verbnet3.zip and corpora/wordnet.zip in it; by default $ASA_DATA/nltk_data."""
    out: Path = SHIPPED
    """File to write."""


def corpora(source: Path | None) -> Path:
    """The folder of corpora in an NLTK data folder.

    Raises:
        LexiconMissing: none is named, or there is none.
    """
    if source is None and not os.environ.get("ASA_DATA"):
        raise LexiconMissing("no source: name an NLTK data folder with --source, or set ASA_DATA to the data folder")
    folder = (source or Path(os.environ["ASA_DATA"]) / "nltk_data") / "corpora"
    if not folder.is_dir():
        raise LexiconMissing(f"{folder} is not there; get it with: python -m nltk.downloader verbnet3 wordnet")
    return folder


def read_classes(archive: zipfile.ZipFile, named: Callable[[str], str | None]) -> Iterator[VerbClass]:
    """All classes and subclasses of a VerbNet archive.

    Args:
        archive: holds one XML file for each class.
        named: WordNet sense key -> name of the synset, None where WordNet has no such key.
    """
    for member in sorted(name for name in archive.namelist() if name.endswith(".xml")):
        with archive.open(member) as file:
            # Not from outside: the archive's checksum is in the data registry.
            yield from _descend(ElementTree.parse(file).getroot(), None, named)


def build(source: Path | None, out: Path) -> int:
    """Read, convert and write; returns the number of classes.

    Raises:
        LexiconMissing: the archives are not there.
        OSError: the file cannot be written.
    """
    folder = corpora(source)
    keys = sense_keys(folder / "wordnet.zip")
    try:
        with zipfile.ZipFile(folder / "verbnet3.zip") as archive:
            classes = tuple(sorted(read_classes(archive, keys.get), key=lambda verb_class: verb_class.name))
    except FileNotFoundError as error:
        raise LexiconMissing(f"{error.filename} is not there; python -m nltk.downloader verbnet3") from error
    write_atomic(out, as_json(VERSION, SOURCE, classes).encode())
    return len(classes)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; exit status 0, or 2 with one line on stderr where the source or the disk does not allow it."""
    import tyro

    options = tyro.cli(Options, prog="python -m periodic_table.lexicon.verbnet_build", description=__doc__, args=argv)
    try:
        size = build(options.source, options.out)
    except (LexiconMissing, OSError) as error:
        print(f"error: {type(error).__name__}: {error}", file=sys.stderr)
        return 2
    print(f"{options.out}: {size} classes, {options.out.stat().st_size:,} bytes")
    return 0


def _descend(
    node: ElementTree.Element, parent: VerbClass | None, named: Callable[[str], str | None]
) -> Iterator[VerbClass]:
    own = VerbClass(
        name=node.attrib["ID"],
        roles={**(parent.roles if parent else {}), **_roles(node)},
        frames=_once(parent.frames if parent else (), (d.attrib["primary"] for d in node.iterfind(_DESCRIPTION))),
        predicates=tuple(
            sorted({*(parent.predicates if parent else ()), *(p.attrib["value"] for p in node.iterfind(_PREDICATE))})
        ),
        members={
            member.attrib["name"].lower().replace("-", "_"): _synsets(member.attrib.get("wn", ""), named)
            for member in node.iterfind("MEMBERS/MEMBER")
        },
    )
    yield own
    for child in node.iterfind("SUBCLASSES/VNSUBCLASS"):
        yield from _descend(child, own, named)


_DESCRIPTION = "FRAMES/FRAME/DESCRIPTION"
_PREDICATE = "FRAMES/FRAME/SEMANTICS/PRED"


def _once(*parts: Sequence[str] | Iterator[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(" ".join(text.split()) for part in parts for text in part))


def _roles(node: ElementTree.Element) -> dict[str, tuple[str, ...]]:
    return {
        role.attrib["type"]: tuple(r.attrib["Value"] + r.attrib["type"] for r in role.iter("SELRESTR"))
        for role in node.iterfind("THEMROLES/THEMROLE")
    }


def _synsets(keys: str, named: Callable[[str], str | None]) -> tuple[str, ...]:
    # A question mark before a key is VerbNet's own doubt.
    found = (named(key.lstrip("?")) for key in keys.split())
    return tuple(dict.fromkeys(name for name in found if name is not None))


if __name__ == "__main__":
    sys.exit(main())
