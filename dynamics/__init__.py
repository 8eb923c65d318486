"""Sentences as particles: forces between words, their relaxation, and the dependency tree that the bonds form.

    from dynamics import Parser
    Parser().parse(["She", "reads", "books"], ["PRON", "VERB", "NOUN"]).heads   # 2, 0, 2

Charges and constants live in `dynamics.forcefield`, the forces in `dynamics.forces` and `dynamics.competition`, the
integrator in `dynamics.integrate`, exact decoders in `dynamics.decoders`, pictures in `dynamics.animate`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dynamics.decoders import MalformedScores, chu_liu_edmonds, eisner, greedy, is_tree
    from dynamics.forcefield import ForceField, MalformedForceField, load_forcefield
    from dynamics.parser import Parse, Parser
    from dynamics.scoring import Attachment, attachment

_HOMES = {
    "Attachment": "scoring",
    "ForceField": "forcefield",
    "MalformedForceField": "forcefield",
    "MalformedScores": "decoders",
    "Parse": "parser",
    "Parser": "parser",
    "attachment": "scoring",
    "chu_liu_edmonds": "decoders",
    "eisner": "decoders",
    "greedy": "decoders",
    "is_tree": "decoders",
    "load_forcefield": "forcefield",
}

__all__ = [
    "Attachment",
    "ForceField",
    "MalformedForceField",
    "MalformedScores",
    "Parse",
    "Parser",
    "attachment",
    "chu_liu_edmonds",
    "eisner",
    "greedy",
    "is_tree",
    "load_forcefield",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `import dynamics` is quick."""
    if name not in _HOMES:
        raise AttributeError(f"module 'dynamics' has no attribute {name!r}")
    return getattr(importlib.import_module(f"dynamics.{_HOMES[name]}"), name)
