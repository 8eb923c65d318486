from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from sparse_attn import ClassRules
from sparse_attn.errors import DtypeError, NonFiniteError, RulesError, UnsupportedError

ALLOW = torch.eye(3, dtype=torch.bool)


def test_defaults_are_causal_and_unbounded() -> None:
    rules = ClassRules(ALLOW)
    assert (rules.classes, rules.causal, rules.is_bounded, rules.window, rules.global_classes) == (
        3,
        True,
        False,
        0,
        (),
    )


def test_rules_are_frozen_and_keep_their_own_copy() -> None:
    allow, bias = ALLOW.clone(), torch.zeros(3, 3)
    rules = ClassRules(allow, bias=bias)
    allow[0, 1], bias[0, 0] = True, 5.0
    assert not rules.allow[0, 1]
    assert rules.bias is not None
    assert rules.bias[0, 0] == 0
    with pytest.raises(dataclasses.FrozenInstanceError):
        rules.window = 3  # type: ignore[misc]


def test_global_classes_are_sorted_and_unique() -> None:
    assert ClassRules(ALLOW, global_classes=[2, 0, 2]).global_classes == (0, 2)


def test_integers_of_numpy_are_integers() -> None:
    assert ClassRules(ALLOW, budget=np.int64(3), window=np.int32(2)).budget == 3


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"allow": torch.ones(2, 3, dtype=torch.bool)}, RulesError, r"\[C, C\].*\(2, 3\)"),
        ({"allow": torch.ones(0, 0, dtype=torch.bool)}, RulesError, "C >= 1"),
        ({"allow": torch.ones(3, 3)}, DtypeError, "must be bool, got torch.float32"),
        ({"allow": None}, DtypeError, r"allow must be a \[C, C\] tensor, got NoneType"),
        ({"causal": "no"}, RulesError, "causal must be True or False, got 'no'"),
        ({"budget": 4, "valence": 2}, RulesError, "exclude each other"),
        ({"budget": 0}, RulesError, "budget must be an integer >= 1, got 0"),
        ({"valence": 1.5}, RulesError, "valence must be an integer >= 1, got 1.5"),
        ({"window": -1}, RulesError, "window must be an integer >= 0, got -1"),
        ({"budget": True}, RulesError, "budget must be an integer"),
        ({"global_classes": (3,)}, RulesError, r"in \[0, 3\), got \[3\]"),
        ({"global_classes": (1.5,)}, RulesError, "must be integers"),
        ({"global_classes": 1}, RulesError, r"integers such as \(0, 3\), got 1"),
        ({"bias": torch.zeros(2, 2)}, RulesError, r"bias must be \[3, 3\]"),
        ({"bias": torch.zeros(3, 3, dtype=torch.long)}, DtypeError, "bias must be floating"),
        ({"bias": torch.full((3, 3), float("nan"))}, NonFiniteError, "bias holds NaN"),
        ({"bias": torch.zeros(3, 3, requires_grad=True)}, UnsupportedError, "bias requires a gradient"),
    ],
)
def test_bad_rules_say_what_is_wrong(options: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        ClassRules(**{"allow": ALLOW, **options})
