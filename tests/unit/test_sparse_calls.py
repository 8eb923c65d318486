"""A call that was found to be right is not checked again, and every other one is."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from sparse_attn import ClassRules, api, class_attention, plan_classes

RULES = ClassRules(torch.ones(3, 3, dtype=torch.bool), valence=2)
IDS = torch.tensor([[0, 1, 2, 1, 0, 0]])
X = torch.ones(1, 2, 6, 8)


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Who was asked, where a GPU would run the kernels: inputs are not searched for NaN."""
    seen: list[str] = []
    check = api.check_tensors

    def checked(*args: Any, **named: Any) -> None:
        seen.append("checked")
        check(*args, **named)

    def attended(query: torch.Tensor, *rest: Any) -> torch.Tensor:
        seen.append(f"scale {rest[-1]}")
        return query

    monkeypatch.setattr(api, "check_tensors", checked)
    monkeypatch.setattr(api, "_run_triton", attended)
    monkeypatch.setattr(api, "_is_searched", lambda _: False)
    monkeypatch.setattr(api, "_resolve", lambda backend, _: "triton" if backend == "auto" else backend)
    return seen


def test_layers_of_one_model_are_checked_once(looked: list[str]) -> None:
    plan = plan_classes(IDS, RULES)
    for _ in range(3):
        class_attention(X, X, X, plan, scale=0.5)
    assert looked == ["checked", "scale 0.5", "scale 0.5", "scale 0.5"]
    class_attention(X, X, X, plan_classes(IDS, RULES), scale=0.5)
    assert looked[4:] == ["checked", "scale 0.5"]


@pytest.mark.parametrize(
    "change",
    [
        {"query": X.half(), "key": X.half(), "value": X.half()},
        {"query": torch.ones(1, 4, 6, 8)},
        {"key": X[:, :1], "value": X[:, :1]},
        {"scale": 0.25},
        {"scale": None},
        {"scale": 1},
        {"backend": "triton"},
    ],
)
def test_whatever_differs_is_checked(change: dict[str, Any], looked: list[str]) -> None:
    plan = plan_classes(IDS, RULES)
    given = {"query": X, "key": X, "value": X, "plan": plan, "scale": 0.5}
    class_attention(**given)
    class_attention(**given | change)
    assert looked.count("checked") == 2


def test_bad_calls_are_refused_however_often_they_come(looked: list[str]) -> None:
    plan = plan_classes(IDS, RULES)
    class_attention(X, X, X, plan)
    for _ in range(2):
        with pytest.raises(ValueError, match="the plan is for"):
            class_attention(X[:, :, :5], X[:, :, :5], X[:, :, :5], plan)
        with pytest.raises(TypeError, match="got float64"):
            class_attention(X.double(), X.double(), X.double(), plan)
        with pytest.raises(ValueError, match="scale must be"):
            class_attention(X, X, X, plan, scale=-1.0)


def test_where_inputs_are_searched_or_changed_every_call_is_looked_at(
    looked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = api._name_of_call
    plan = plan_classes(IDS, RULES)
    assert name(X, X, X, plan, None, "auto") is not None
    assert name(X, X, X, RULES, None, "auto") is None  # type: ignore[arg-type]
    assert name([X], X, X, plan, None, "auto") is None  # type: ignore[arg-type]
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    assert name(X, X, X, plan, None, "auto") is None
    monkeypatch.undo()
    # On a CPU NaN is looked for at every call.
    assert name(X, X, X, plan, None, "auto") is None
