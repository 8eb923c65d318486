"""The roadmap's two decisions, as rules over criteria: month 3 (radical go/no-go) and month 6 (final path).

Both take `passed`: roadmap id -> True | False | None, None standing for inconclusive *and* for not measured,
because either could still tip the balance.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

from feasibility.harness import Verdict, verdict_of
from feasibility.roadmap import MONTH_3_GATES, MONTH_6_INCREMENTAL, MONTH_6_RADICAL

Passed = Mapping[str, bool | None]

NEEDED_AT_MONTH_3 = 2


@dataclass(frozen=True)
class Decision:
    """What the rule says, how the work is then shared (incremental, radical) in percent, and why."""

    outcome: str
    allocation: tuple[int, int]
    reason: str


def gate_verdicts(passed: Passed) -> dict[str, Verdict]:
    """The verdict of every month-3 gate; a gate with several criteria is met when all of them are."""
    return {gate: verdict_of(passed.get(name) for name in names) for gate, names in MONTH_3_GATES.items()}


def month_3(passed: Passed) -> Decision:
    """GO with two or more gates met (50/50), NO-GO with fewer (90/10), UNCLEAR while open ones could tip it (70/30)."""
    gates = gate_verdicts(passed)
    met = [gate for gate, verdict in gates.items() if verdict == "GO"]
    open_ = [gate for gate, verdict in gates.items() if verdict == "INCONCLUSIVE"]
    count = f"{len(met)} of {len(gates)} gates met ({', '.join(met) or 'none'}), {NEEDED_AT_MONTH_3} needed"
    if len(met) >= NEEDED_AT_MONTH_3:
        return Decision("GO", (50, 50), f"{count}.")
    if len(met) + len(open_) < NEEDED_AT_MONTH_3:
        return Decision("NO-GO", (90, 10), f"{count}, and too few are open to reach it.")
    return Decision("UNCLEAR", (70, 30), f"{count}; still open: {', '.join(open_)}.")


def month_6(passed: Passed) -> Decision:
    """Commit to one path, run both, or combine; UNCLEAR while open criteria could lead to another answer.

    incremental GO, radical NO-GO: hybrid if hyperbolic geometry (G4) is a GO, else incremental;
    incremental NO-GO, radical GO: radical; both GO: parallel; neither: incremental, for radical is not feasible.
    """
    verdicts = (
        verdict_of(passed.get(name) for name in MONTH_6_INCREMENTAL),
        verdict_of(passed.get(name) for name in MONTH_6_RADICAL),
        verdict_of([passed.get("G4")]),
    )
    # Every way in which the open ones may fall; one answer for all of them is an answer.
    ways = product(*((True, False) if verdict == "INCONCLUSIVE" else (verdict == "GO",) for verdict in verdicts))
    answers = {_path(*way) for way in ways}
    words = ("open" if verdict == "INCONCLUSIVE" else verdict for verdict in verdicts)
    state = "Incremental track {}, radical track {}, hyperbolic geometry {}".format(*words)
    if len(answers) > 1:
        could = ", ".join(sorted(answers))
        return Decision("UNCLEAR", (70, 30), f"{state}: it could still become {could}.")
    answer = answers.pop()
    return Decision(answer.upper(), _MONTH_6_SHARES[answer], f"{state}.")


# The roadmap names three shares only; a commitment to the radical path gets the largest that it gives it.
_MONTH_6_SHARES = {"incremental": (90, 10), "radical": (50, 50), "parallel": (50, 50), "hybrid": (70, 30)}


def _path(incremental: bool, radical: bool, hyperbolic: bool) -> str:
    if radical:
        return "parallel" if incremental else "radical"
    return "hybrid" if incremental and hyperbolic else "incremental"
