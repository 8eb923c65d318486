"""The force field: what a file must look like, and what is said when it does not."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from dynamics.forcefield import FORBIDDEN, Constants, ForceField, MalformedForceField, load_forcefield

SMALL = """
format = "forcefield.v1"
[bonds]
rows = [
  {{ head = ["ROOT"], dependent = ["V"], side = "right", charge = 0.0, label = "root" }},
  {{ head = ["V"], dependent = ["N"], side = "left", charge = [-1, -2.5], label = "subj" }},
]
[valences]
rows = [{{ head = ["V"], label = "subj", least = 1, most = 1 }}]
[constants]
{constants}
"""


def small(tmp_path: Path, change=lambda text: text) -> ForceField:
    constants = "\n".join(f"{k} = {v}" for k, v in load_forcefield().constants._asdict().items())
    path = tmp_path / "field.toml"
    path.write_text(change(SMALL.format(constants=constants)), encoding="utf-8")
    return load_forcefield(path)


def test_shipped_field_knows_all_universal_parts_of_speech():
    field = load_forcefield()
    upos = "ADJ ADP ADV AUX CCONJ DET INTJ NOUN NUM PART PRON PROPN PUNCT SCONJ SYM VERB X"
    assert " ".join(sorted(field.types)) == upos
    # Every part of speech can stand at the root of a sentence, so that a single word is always a tree.
    assert (field.charges[0, :, 1, 0] > FORBIDDEN).all()


def test_a_file_gives_charges_by_distance_labels_and_valences(tmp_path):
    field = small(tmp_path)
    v, n = field.types.index("V"), field.types.index("N")
    assert field.charges[v + 1, n, 0].tolist() == [-1.0, -2.5]
    assert field.charges[v + 1, n, 1].tolist() == [FORBIDDEN, FORBIDDEN]
    assert field.labels[field.label_of[v + 1, n, 0]] == "subj"
    assert field.least[v + 1, field.labels.index("subj")] == field.most[v + 1, field.labels.index("subj")] == 1.0


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('format = "forcefield.v1"', "format = ", "not valid TOML"),
        ("forcefield.v1", "forcefield.v0", "expected 'forcefield.v1'"),
        ('side = "left"', 'side = "up"', "expected 'left' or 'right'"),
        ("charge = 0.0", 'charge = "much"', "expected a number or a list of numbers"),
        ("charge = 0.0", "charge = nan", "NaN or infinite"),
        ('head = ["V"], dependent', 'head = "V", dependent', "expected a list of types"),
        ("charge = 0.0, ", "", "expected"),
        ('head = ["V"], label', 'head = ["Q"], label', "valence of 'Q'"),
        ("backbone = ", "spine = ", r"lacks \['backbone'\]"),
        ("time_step = 0.3", "time_step = 0", "constant time_step is 0.0, expected a positive number"),
        ("response = 0.4", "response = 1.5", "expected response <= 1"),
        ("least = 1", "least = 2", "least <= most"),
    ],
)
def test_a_malformed_file_is_named_with_the_remedy(tmp_path, old, new, message):
    with pytest.raises(MalformedForceField, match=message):
        small(tmp_path, lambda text: text.replace(old, new))


def test_charges_must_be_finite_and_fit_the_types():
    field = load_forcefield()
    charges = field.charges.copy()
    charges[3, 2, 0, 0] = np.nan
    with pytest.raises(MalformedForceField, match=r"1 of \d+ charges are NaN or infinite"):
        dataclasses.replace(field, charges=charges)
    with pytest.raises(MalformedForceField, match="charges have shape"):
        dataclasses.replace(field, charges=charges[:-1])


def test_changed_keeps_types_and_rejects_unknown_constants():
    field = load_forcefield()
    other = field.changed(candidates=5.0, shadow=0)
    assert type(other.constants.candidates) is int
    assert type(other.constants.shadow) is float
    assert other.constants._replace(candidates=12, shadow=5.0) == field.constants
    with pytest.raises(MalformedForceField, match=r"unknown constants \['gravity'\]"):
        field.changed(gravity=9.81)
    assert set(field.constants._asdict()) == set(Constants._fields)
