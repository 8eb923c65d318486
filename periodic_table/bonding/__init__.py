"""Bond rules: which words may see which, as data and not as something learned by a model.

    from periodic_table.bonding import load_rules
    rules = load_rules("graded")                      # or "counted", or "original", each with its options
    bonds = rules.bonds(["the", "dog", "sleeps"])     # .allow [3, 3], .bias [3, 3]
    bonds.explain(2, 1)                               # why "sleeps" sees "dog"
    load_rules("counted", size=64).tables()           # allow [64, 64] and bias [64, 64] for sparse_attn.ClassRules

`python -m periodic_table.bonding.build` counts and trains the shipped rules anew.
"""

from __future__ import annotations

from typing import Any

from periodic_table.bonding.licensing import Licensing, licensing
from periodic_table.bonding.rules import Bonds, ClassTables, Rules, UnknownBond, UnknownRules

__all__ = ["Bonds", "ClassTables", "Licensing", "Rules", "UnknownBond", "UnknownRules", "licensing", "load_rules"]


def load_rules(name: str = "graded", **options: Any) -> Rules:
    """Bond rules by name.

    Args:
        name: "original", the rules of the original ASA (`periodic_table.bonding.original.OriginalRules`); "counted", a
            table over word classes (`periodic_table.bonding.counted.CountedRules`); "graded", which looks at the pair
            in its text (`periodic_table.bonding.graded.GradedRules`).
        options: of those rules, such as mode="pos_only", size=64, or context="both".

    Raises:
        UnknownRules: there are no such rules, or not with these options.
        periodic_table.shipped.ModelMissing, ModelCorrupt: a shipped file is not there, or not the released one.
        TypeError: an option that those rules do not have.
    """
    match name:
        case "original":
            from periodic_table.bonding.original import OriginalRules

            return OriginalRules(**options)
        case "counted":
            from periodic_table.bonding.counted import CountedRules

            return CountedRules(**options)
        case "graded":
            from periodic_table.bonding.graded import GradedRules

            return GradedRules(**options)
        case _:
            raise UnknownRules(f"no rules {name!r}; there are: original, counted, graded")
