from __future__ import annotations

import pytest

from feasibility.decision import month_3, month_6
from feasibility.roadmap import BY_ID, ITEMS, MONTH_3_GATES, MONTH_6_INCREMENTAL, MONTH_6_RADICAL

G3 = {"G3a": True, "G3b": True, "G3c": True}


@pytest.mark.parametrize(
    ("passed", "outcome", "allocation"),
    [
        ({"G1": True, "G4": True}, "GO", (50, 50)),
        ({**G3, "G4": True, "G1": False, "G2": False}, "GO", (50, 50)),
        ({"G1": False, "G2": False, "G3a": False}, "NO-GO", (90, 10)),
        ({**G3, "G1": False, "G2": False, "G4": False}, "NO-GO", (90, 10)),
        ({**G3}, "UNCLEAR", (70, 30)),
        ({**G3, "G1": False, "G2": False, "G4": None}, "UNCLEAR", (70, 30)),
        ({}, "UNCLEAR", (70, 30)),
        # One failed criterion of three closes the parser's gate.
        ({**G3, "G3c": False, "G1": True, "G2": False, "G4": False}, "NO-GO", (90, 10)),
    ],
)
def test_month_3(passed, outcome, allocation) -> None:
    decision = month_3(passed)
    assert (decision.outcome, decision.allocation) == (outcome, allocation)


def test_month_3_names_what_is_met_and_what_is_open() -> None:
    reason = month_3({**G3}).reason
    assert "1 of 4 gates met (G3 molecular-dynamics parser), 2 needed" in reason
    assert "still open: G1 periodic table, G2 predetermined embeddings, G4 hyperbolic geometry" in reason


def everything(incremental: bool | None, radical: bool | None, g4: bool | None) -> dict[str, bool | None]:
    return {
        **dict.fromkeys(MONTH_6_INCREMENTAL, incremental),
        **dict.fromkeys(MONTH_6_RADICAL, radical),
        "G4": g4,
    }


@pytest.mark.parametrize(
    ("state", "outcome", "allocation"),
    [
        ((True, False, False), "INCREMENTAL", (90, 10)),
        ((True, False, True), "HYBRID", (70, 30)),
        ((False, True, False), "RADICAL", (50, 50)),
        ((True, True, True), "PARALLEL", (50, 50)),
        ((False, False, True), "INCREMENTAL", (90, 10)),
        # Open ones that cannot change the answer do not hold it up.
        ((True, True, None), "PARALLEL", (50, 50)),
        ((False, False, None), "INCREMENTAL", (90, 10)),
        ((True, False, None), "UNCLEAR", (70, 30)),
        ((None, None, None), "UNCLEAR", (70, 30)),
    ],
)
def test_month_6(state, outcome, allocation) -> None:
    decision = month_6(everything(*state))
    assert (decision.outcome, decision.allocation) == (outcome, allocation)


def test_month_6_says_what_it_could_become() -> None:
    assert "it could still become hybrid, incremental" in month_6(everything(True, False, None)).reason


def test_the_rules_speak_of_criteria_that_exist_once() -> None:
    assert len(BY_ID) == len(ITEMS)
    named = {name for names in MONTH_3_GATES.values() for name in names} | {*MONTH_6_INCREMENTAL, *MONTH_6_RADICAL}
    assert named <= BY_ID.keys()
