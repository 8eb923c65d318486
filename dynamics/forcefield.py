"""What attracts what, how strongly, and with how many bonds: the parameters of the particle model.

Axes: `T` particle types (parts of speech), `R` distance classes, `L` labels. In tables over heads, row 0 is ROOT and
row t + 1 is type t. Side 0 is a dependent to the left of its head, side 1 to its right.
"""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

FORMAT = "forcefield.v1"
FORBIDDEN = -7.0
SIDES = ("left", "right")
ROOT = "ROOT"


class MalformedForceField(ValueError):
    """A force field that cannot be used; the message says what came, what was expected and what to do."""


class Constants(NamedTuple):
    """The constants of the forces and of the relaxation; forcefield.toml states the meaning and unit of each."""

    attraction: float
    pull: float
    repulsion: float
    diameter: float
    backbone: float
    spacing: float
    hierarchy: float
    rise: float
    shadow: float
    clearance: float
    blur: float
    valence: float
    hot: float
    cold: float
    cooling_steps: int
    time_step: float
    drag: float
    response: float
    force_tolerance: float
    bond_tolerance: float
    candidates: int


_WHOLE = frozenset({"cooling_steps", "candidates"})


@dataclass(frozen=True)
class ForceField:
    """Charges, labels and valences for pairs of particle types, with the constants of the forces.

    Args:
        types: the T particle types, such as universal parts of speech.
        charges: [T + 1, T, 2, R] float64 in nat: how gladly a dependent of a type bonds to a head of a type on a side
            at a distance of 1, 2, ..., R or more words. Greater is firmer; a log-probability is a natural choice.
        labels: the L dependency labels.
        label_of: [T + 1, T, 2] int64, the label of such a bond; -1 where it has none ("dep").
        least: [T + 1, L] float64, bonds of each label that a head of a type needs.
        most: [T + 1, L] float64, bonds of each label that it has room for; inf where it does not matter.
        constants: of the forces and of the relaxation.

    Raises:
        MalformedForceField: shapes that do not fit, charges that are not finite, or constants out of range.
    """

    types: tuple[str, ...]
    charges: NDArray[np.float64]
    labels: tuple[str, ...]
    label_of: NDArray[np.int64]
    least: NDArray[np.float64]
    most: NDArray[np.float64]
    constants: Constants

    def __post_init__(self) -> None:
        T, L = len(self.types), len(self.labels)
        if self.charges.ndim != 4 or self.charges.shape[:3] != (T + 1, T, 2) or self.charges.shape[3] < 1:
            raise MalformedForceField(f"charges have shape {self.charges.shape}, expected [{T + 1}, {T}, 2, R >= 1]")
        if not np.isfinite(self.charges).all():
            bad = int((~np.isfinite(self.charges)).sum())
            raise MalformedForceField(
                f"{bad} of {self.charges.size} charges are NaN or infinite, expected finite numbers; "
                f"use a low one such as {FORBIDDEN} to forbid a bond"
            )
        if self.label_of.shape != (T + 1, T, 2) or not ((self.label_of >= -1) & (self.label_of < L)).all():
            raise MalformedForceField(f"label_of must be [{T + 1}, {T}, 2] with entries from -1 to {L - 1}")
        if self.least.shape != (T + 1, L) or self.most.shape != (T + 1, L) or not (self.least <= self.most).all():
            raise MalformedForceField(f"least and most must be [{T + 1}, {L}] with least <= most everywhere")
        _check_constants(self.constants)

    def changed(self, **constants: float) -> ForceField:
        """The same field with some constants replaced: `field.changed(repulsion=0.0)` switches repulsion off.

        Raises:
            MalformedForceField: there is no such constant, or its value is out of range.
        """
        unknown = sorted(set(constants) - set(Constants._fields))
        if unknown:
            raise MalformedForceField(f"unknown constants {unknown}, expected some of {', '.join(Constants._fields)}")
        return dataclasses.replace(self, constants=_typed({**self.constants._asdict(), **constants}))


def load_forcefield(path: Path | None = None) -> ForceField:
    """Read a force field from a TOML file; without a path, the one that ships with the package.

    Args:
        path: a file of the same shape as the shipped forcefield.toml, where every field is explained.

    Raises:
        MalformedForceField: not TOML, another format, an unknown or missing field, or a value out of range.
        OSError: the file cannot be read.
    """
    name = "forcefield.toml (shipped)" if path is None else str(path)
    text = (path or files(__package__).joinpath("forcefield.toml")).read_text(encoding="utf-8")
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise MalformedForceField(
            f"{name}: not valid TOML ({error}); compare it with the shipped forcefield.toml"
        ) from error
    if table.get("format") != FORMAT:
        raise MalformedForceField(f"{name}: format is {table.get('format')!r}, expected {FORMAT!r}")
    try:
        return _build(table)
    except MalformedForceField as error:
        raise MalformedForceField(f"{name}: {error}") from error


def _build(table: dict[str, Any]) -> ForceField:
    bonds, valences = (table.get(name, {}).get("rows", []) for name in ("bonds", "valences"))
    for bond in bonds:
        _check_row(bond, "bonds", {"head", "dependent", "side", "charge", "label"})
        if bond["side"] not in SIDES:
            raise MalformedForceField(f"side is {bond['side']!r} in {bond}, expected 'left' or 'right'")
    for valence in valences:
        _check_row(valence, "valences", {"head", "label", "least", "most"})
    heads = {head for bond in bonds for head in bond["head"]} - {ROOT}
    types = tuple(sorted(heads | {tag for bond in bonds for tag in bond["dependent"]}))
    labels = tuple(sorted({bond["label"] for bond in bonds} | {valence["label"] for valence in valences}))
    row = {ROOT: 0, **{name: number for number, name in enumerate(types, 1)}}
    reach = max((len(_by_distance(bond)) for bond in bonds), default=1)
    charges = np.full((len(types) + 1, len(types), 2, reach), FORBIDDEN)
    label_of = np.full((len(types) + 1, len(types), 2), -1, np.int64)
    for bond in bonds:
        values = _by_distance(bond)
        for head in bond["head"]:
            for dependent in bond["dependent"]:
                at = row[head], row[dependent] - 1, SIDES.index(bond["side"])
                # The last class stands for all greater distances.
                charges[at] = [values[min(r, len(values) - 1)] for r in range(reach)]
                label_of[at] = labels.index(bond["label"])
    least, most = np.zeros((len(types) + 1, len(labels))), np.full((len(types) + 1, len(labels)), np.inf)
    for valence in valences:
        for head in valence["head"]:
            if head not in row:
                raise MalformedForceField(f"valence of {head!r}, which has no bond; expected one of {', '.join(row)}")
            at_site = row[head], labels.index(valence["label"])
            least[at_site], most[at_site] = valence["least"], valence["most"]
    return ForceField(types, charges, labels, label_of, least, most, _constants(table.get("constants", {})))


def _check_row(row: dict[str, Any], kind: str, fields: set[str]) -> None:
    if set(row) != fields:
        raise MalformedForceField(f"a row of [{kind}] has the fields {sorted(row)}, expected {sorted(fields)}: {row}")
    for field in ("head", "dependent"):
        if field in fields and not (isinstance(row[field], list) and all(isinstance(t, str) for t in row[field])):
            raise MalformedForceField(f"{field} is {row[field]!r} in {row}, expected a list of types")


def _by_distance(bond: dict[str, Any]) -> list[float]:
    """The charges of a bond by distance: one number, or one for each distance class."""
    values = bond["charge"] if isinstance(bond["charge"], list) else [bond["charge"]]
    if not values or not all(isinstance(v, (int, float)) for v in values):
        raise MalformedForceField(f"charge is {bond['charge']!r} in {bond}, expected a number or a list of numbers")
    return [float(v) for v in values]


def _constants(table: dict[str, Any]) -> Constants:
    if set(table) != set(Constants._fields):
        missing, unknown = sorted(set(Constants._fields) - set(table)), sorted(set(table) - set(Constants._fields))
        raise MalformedForceField(
            f"[constants] lacks {missing} and has unknown {unknown}; expected exactly the shipped ones"
        )
    if not all(isinstance(value, (int, float)) for value in table.values()):
        raise MalformedForceField(f"[constants] must be numbers, got {table}")
    return _typed(table)


def _typed(table: Mapping[str, Any]) -> Constants:
    """Constants of the exact types that the compiled functions are compiled for."""
    values: dict[str, Any] = {name: int(value) if name in _WHOLE else float(value) for name, value in table.items()}
    return Constants(**values)


def _check_constants(constants: Constants) -> None:
    positive = {
        "diameter",
        "spacing",
        "rise",
        "blur",
        "hot",
        "cold",
        "time_step",
        "response",
        "force_tolerance",
        "bond_tolerance",
    }
    for name, value in constants._asdict().items():
        if not np.isfinite(value) or value < 0 or (name in positive and value == 0):
            wanted = "a positive number" if name in positive else "0 or a positive number"
            raise MalformedForceField(f"constant {name} is {value}, expected {wanted}")
    if constants.response > 1 or constants.candidates < 1:
        raise MalformedForceField(
            f"expected response <= 1 and candidates >= 1, got {constants.response} and {constants.candidates}"
        )
