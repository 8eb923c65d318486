"""VerbNet: classes of verbs that share roles, restrictions on these, and sentence frames.

    verbnet = load_verbnet()                       # VerbNet 3.3, shipped
    verbnet.classes("give")                        # {"give-13.1-1": ("give.v.03", ...), ...}
    verbnet.verb_class("give-13.1-1").frames       # ("NP V NP PP.recipient", ...)

Kipper, Korhonen, Ryant and Palmer (2008), A Large-scale Classification of English Verbs. What ships is what the classes
say of roles, frames and semantic predicates, and who is in them; the licence lies beside it as VERBNET_LICENSE.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from periodic_table.lexicon.protocol import LexiconCorrupt, LexiconMissing, normal

SCHEMA = "verbnet.v1"
SHIPPED = Path(__file__).parent / "data" / "verbnet-3.3-extract.json"


@dataclass(frozen=True, slots=True)
class VerbClass:
    """One class or subclass. A subclass has its parents' roles, frames and predicates too; here they are included.

    Args:
        name: such as "give-13.1-1".
        roles: thematic role -> restrictions on its filler, such as ("+animate", "+organization"), in VerbNet's order.
        frames: sentence frames, such as "NP V NP PP.recipient", each once.
        predicates: names of the semantic predicates of all frames, such as "transfer", sorted.
        members: verbs of this class itself -> names of the WordNet synsets that it is meant in, maybe none.
    """

    name: str
    roles: Mapping[str, tuple[str, ...]]
    frames: tuple[str, ...]
    predicates: tuple[str, ...]
    members: Mapping[str, tuple[str, ...]]


class VerbNet:
    """All classes, by name and by verb.

    Args:
        version: of the content, "3.3".
        classes: all classes.
    """

    def __init__(self, version: str, classes: tuple[VerbClass, ...]) -> None:
        self.version = version
        self._classes = {verb_class.name: verb_class for verb_class in classes}
        self._verbs: dict[str, dict[str, tuple[str, ...]]] = {}
        for verb_class in classes:
            for verb, synsets in verb_class.members.items():
                self._verbs.setdefault(verb, {})[verb_class.name] = synsets

    def __len__(self) -> int:
        return len(self._classes)

    def names(self) -> tuple[str, ...]:
        """Names of all classes, sorted."""
        return tuple(self._classes)

    def verbs(self) -> tuple[str, ...]:
        """All verbs that are in some class, with underscores for spaces."""
        return tuple(self._verbs)

    def classes(self, verb: str) -> Mapping[str, tuple[str, ...]]:
        """The classes that a verb is in, each with the synsets it is meant in there; an unknown verb is in none."""
        return self._verbs.get(normal(verb), {})

    def verb_class(self, name: str) -> VerbClass:
        """A class by its name.

        Raises:
            KeyError: there is none of that name.
        """
        if name not in self._classes:
            raise KeyError(f"no class {name!r} in VerbNet {self.version}; expected a name such as 'give-13.1'")
        return self._classes[name]


@functools.cache
def load_verbnet(path: Path = SHIPPED) -> VerbNet:
    """Read VerbNet from the shipped extract, or from another file of its kind.

    Raises:
        LexiconMissing: there is no such file.
        LexiconCorrupt: it is not an extract of this schema.
    """
    remedy = "build it with: python -m periodic_table.lexicon.verbnet_build"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["schema"] != SCHEMA:
            raise LexiconCorrupt(f"{path} has schema {content['schema']!r}, expected {SCHEMA!r}; {remedy}")
        return VerbNet(content["version"], tuple(_frozen(record) for record in content["classes"]))
    except FileNotFoundError as error:
        raise LexiconMissing(f"{path} is not there; {remedy}") from error
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, AttributeError) as error:
        raise LexiconCorrupt(f"{path} is not a VerbNet extract ({error!r}); {remedy}") from error


def as_json(version: str, source: str, classes: tuple[VerbClass, ...]) -> str:
    """Classes as the text of an extract, one class a line."""
    head = {"schema": SCHEMA, "version": version, "source": source}
    lines = ",\n".join(json.dumps(asdict(verb_class), ensure_ascii=False) for verb_class in classes)
    return f'{json.dumps(head)[:-1]}, "classes": [\n{lines}\n]}}\n'


def _frozen(record: dict[str, Any]) -> VerbClass:
    if set(record) != {field.name for field in fields(VerbClass)}:
        raise KeyError(f"a class has the fields {sorted(record)}")
    return VerbClass(
        record["name"],
        {role: tuple(restrictions) for role, restrictions in record["roles"].items()},
        tuple(record["frames"]),
        tuple(record["predicates"]),
        {verb: tuple(synsets) for verb, synsets in record["members"].items()},
    )
