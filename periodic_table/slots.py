"""The slots of valence: each universal dependency relation from either end.

A *slot* is a relation and a role: ("obj", "head") is the object that a verb takes, ("obj", "dependent") is being one.
"""

from __future__ import annotations

from periodic_table.element import Role

# Subtypes that change what may fill the slot are kept; all others are counted under their relation.
RELATIONS = (
    "nsubj", "nsubj:pass", "obj", "iobj", "obl", "obl:agent", "xcomp", "ccomp", "csubj", "advcl", "advmod",
    "compound:prt", "aux", "aux:pass", "cop", "mark", "expl",
    "nmod", "nmod:poss", "amod", "nummod", "det", "case", "compound", "flat", "appos", "acl", "acl:relcl",
    "conj", "cc", "fixed", "list", "parataxis", "discourse", "vocative", "punct", "root",
)  # fmt: skip
ROLES: tuple[Role, Role] = ("head", "dependent")

# A word is no head of "root": the root hangs on nothing. Left out: dep, dislocated, goeswith, orphan and reparandum,
# which mark what annotators could not or would not analyse (200 of 204,577 arcs of EWT train).
SLOTS: tuple[tuple[str, Role], ...] = tuple(
    (relation, role) for role in ROLES for relation in RELATIONS if (relation, role) != ("root", "head")
)
SLOT = {slot: place for place, slot in enumerate(SLOTS)}

# Bonds that any word may have, whatever it is: coordination, apposition of clauses, marks and remarks around a clause.
# They are counted, and they are no bonding sites.
_UNTYPED_HEADS = {"punct", "parataxis", "list", "discourse", "vocative", "conj", "cc"}
_UNTYPED_DEPENDENTS = {"root", "parataxis", "list", "conj"}
TYPED = tuple(
    place
    for place, (relation, role) in enumerate(SLOTS)
    if relation not in (_UNTYPED_HEADS if role == "head" else _UNTYPED_DEPENDENTS)
)
"""Places in SLOTS of the bonding sites."""


def relation(label: str) -> str | None:
    """The relation of the table that a treebank's label counts under; None for those left out."""
    if label in RELATIONS:
        return label
    universal = label.partition(":")[0]
    return universal if universal in RELATIONS else None
