"""Sentences as particles: forces between words, their relaxation, and the dependency tree that the bonds form.

    from dynamics import Parser
    Parser.load().parse(["She", "reads", "books"], ["PRON", "VERB", "NOUN"]).heads   # 2, 0, 2: reactive, learned
    Parser().parse(["She", "reads", "books"], ["PRON", "VERB", "NOUN"]).heads        # 2, 0, 2: spatial, no training

The reactive mode is in `dynamics.reactive`, treebanks in `dynamics.conllu`. Of the spatial mode, charges and constants
live in `dynamics.forcefield`, the forces in `dynamics.forces` and `dynamics.competition`, the integrator in
`dynamics.integrate`. Exact decoders are in `dynamics.decoders`, pictures in `dynamics.animate`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dynamics.conllu import MalformedTreebank, Report, parse_conllu, read_conllu
    from dynamics.decoders import MalformedScores, chu_liu_edmonds, eisner, greedy, is_tree
    from dynamics.forcefield import ForceField, MalformedForceField, load_forcefield
    from dynamics.parser import MalformedSentence, Parse, Parser
    from dynamics.scoring import Attachment, attachment

_HOMES = {
    "Attachment": "scoring",
    "ForceField": "forcefield",
    "MalformedForceField": "forcefield",
    "MalformedSentence": "parser",
    "MalformedTreebank": "conllu",
    "MalformedScores": "decoders",
    "Parse": "parser",
    "Parser": "parser",
    "Report": "conllu",
    "attachment": "scoring",
    "chu_liu_edmonds": "decoders",
    "eisner": "decoders",
    "greedy": "decoders",
    "is_tree": "decoders",
    "load_forcefield": "forcefield",
    "parse_conllu": "conllu",
    "read_conllu": "conllu",
}

__all__ = [
    "Attachment",
    "ForceField",
    "MalformedForceField",
    "MalformedScores",
    "MalformedSentence",
    "MalformedTreebank",
    "Parse",
    "Parser",
    "Report",
    "attachment",
    "chu_liu_edmonds",
    "eisner",
    "greedy",
    "is_tree",
    "load_forcefield",
    "parse_conllu",
    "read_conllu",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `import dynamics` is quick."""
    if name not in _HOMES:
        raise AttributeError(f"module 'dynamics' has no attribute {name!r}")
    return getattr(importlib.import_module(f"dynamics.{_HOMES[name]}"), name)
