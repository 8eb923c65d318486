"""The checks of `benchmarks.sparse_checks`: each yields (case, whether it passed, what to tell).

N tokens.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from benchmarks.sparse_check_cases import CASES, Case, backend_of, dense, ours, problem_of, rules_of, tokens_of
from benchmarks.sparse_gate import relative_error
from sparse_attn import ClassPlan, ClassRules, class_attention, ops, plan_classes
from sparse_attn.rows import cpu_shape

Told = tuple[str, bool, dict[str, Any]]
Check = Callable[[str], Iterator[Told]]


def check_agreement(device: str, of: Callable[[int], bool] = lambda _: True) -> Iterator[Told]:
    """Output and gradients at most 1.5 times as far from float64 as eager attention in the same precision."""
    for number, case in enumerate(CASES):
        if not of(number):
            continue
        problem = problem_of(case, device)
        eager = dense(problem.plan)
        truth = problem.run(eager, torch.float64)
        got, base = problem.run(ours(problem.plan, device)), problem.run(eager)
        dtype = problem.inputs[0].dtype
        slack = (8 if dtype == torch.float32 else 0.25) * torch.finfo(dtype).eps
        errors = [relative_error(x, right) for x, right in zip(got, truth, strict=True)]
        allowed = [1.5 * relative_error(x, right) + slack for x, right in zip(base, truth, strict=True)]
        # A NaN makes its share NaN, which is not at most 1.
        shares = [one / bound for one, bound in zip(errors, allowed, strict=True)]
        passed = all(share <= 1 for share in shares) and all(x.dtype == dtype for x in got)
        yield case.name, passed, {"share_of_error_allowed": round(max(shares), 3), "error": f"{max(errors):.1e}"}


def check_repeats(device: str) -> Iterator[Told]:
    """The same numbers to the last bit when run again."""
    for case in (Case("bf16"), Case("no bound", "no bound"), Case("budget", "budget"), Case("by token", by_token=True)):
        problem = problem_of(case, device)
        first, second = (problem.run(ours(problem.plan, device)) for _ in range(2))
        yield case.name, all(torch.equal(x, y) for x, y in zip(first, second, strict=True)), {}


def check_compiled(device: str) -> Iterator[Told]:
    """torch.compile(fullgraph=True) gives the eager path's numbers, forward and backward, for each kind of rules."""
    backend = backend_of(device)
    compiler = "inductor" if device == "cuda" else "aot_eager"
    for kind in ("window and valence", "budget", "no bound", "bias", "window"):
        torch._dynamo.reset()
        problem = problem_of(Case(kind, kind, key_heads=2), device)
        # Plans made on a GPU hold what the kernels take; others make it at the first call, which no graph can.
        if backend == "triton":
            problem.plan.schedule(True)
        compiled: Any = torch.compile(class_attention, fullgraph=True, backend=compiler)
        plan = problem.plan
        got = problem.run(lambda q, k, v, plan=plan, call=compiled: call(q, k, v, plan, backend=backend))  # type: ignore[misc]
        right = problem.run(ours(plan, device))
        yield kind, all(torch.equal(x, y) for x, y in zip(got, right, strict=True)), {"compiler": compiler}


def check_operators(device: str) -> Iterator[Told]:
    """torch.library.opcheck of the operators that compiled graphs hold."""
    for kind in ("no bound", "bias"):
        problem = problem_of(Case(kind, kind, dtype=torch.float32, key_heads=2), device)
        plan = problem.plan
        leaves = [x.clone().requires_grad_() for x in problem.inputs[:3]]
        if backend_of(device) == "triton":
            keys, queries, *rest, blind, full = plan.schedule(True)
            given: tuple[Any, ...] = (keys + queries, *rest, 0.125, blind, full)
            forward, backward = ops.triton_forward, ops.triton_backward
        else:
            given = (plan.key_lists(cpu_shape(plan.rules)).tensors(), plan.stream.classes, plan.bias, 0.125)
            forward, backward = ops.cpu_forward, ops.cpu_backward
        found = torch.library.opcheck(forward, (*leaves, *given), raise_exception=False)
        detached = [x.detach() for x in leaves]
        out, lse = forward(*detached, *given)
        found |= {
            f"backward {name}": told
            for name, told in torch.library.opcheck(
                backward, (problem.inputs[3], *detached, out, lse, *given), raise_exception=False
            ).items()
        }
        wrong = {name: str(told)[:200] for name, told in found.items() if told != "SUCCESS"}
        yield kind, not wrong, {"tests": len(found), **wrong}


def check_refusals(device: str) -> Iterator[Told]:
    """A second derivative, vmap and forward-mode derivatives are refused, not computed wrongly."""
    problem = problem_of(Case("refusals"), device)
    query, key, value = (x.clone().requires_grad_() for x in problem.inputs[:3])
    attend = ours(problem.plan, device)

    def twice() -> object:
        (first,) = torch.autograd.grad(attend(query, key, value).sum(), query, create_graph=True)
        return torch.autograd.grad(first.sum(), query)

    def mapped() -> object:
        return torch.func.vmap(attend)(*(x.detach()[None] for x in (query, key, value)))

    def forwards() -> object:
        plain = [x.detach() for x in (query, key, value)]
        return torch.func.jvp(lambda q: attend(q, *plain[1:]), (plain[0],), (torch.ones_like(plain[0]),))

    for name, work in (("second derivative", twice), ("vmap", mapped), ("forward mode", forwards)):
        try:
            work()
        except (RuntimeError, NotImplementedError) as error:
            yield name, True, {"says": f"{type(error).__name__}: {str(error).splitlines()[0][:100]}"}
        else:
            yield name, False, {"error": "not refused"}


def check_plans(device: str) -> Iterator[Told]:
    """Plans of a shape that comes again and again equal the definition in torch, launched and replayed alike."""
    tokens, rounds = tokens_of(device), 16 if device == "cuda" else 2
    for kind in ("window and valence", "budget", "no bound", "both directions", "window"):
        for with_gradient in (True, False):
            rules, wrong = rules_of(kind), 0
            for seed in range(rounds):
                # What is recorded in inference mode must serve outside of it, too.
                is_inference = not with_gradient and seed < rounds * 3 // 4
                with torch.inference_mode(is_inference), torch.set_grad_enabled(with_gradient):
                    ids, valid = _ids(rules, tokens, seed, device)
                    got = plan_classes(ids, rules, valid=valid)
                    right = plan_classes(ids.cpu(), rules, valid=valid.cpu())
                    wrong += not same_plan(got, right, with_gradient)
            told = {"plans": rounds, "wrong": wrong}
            if device == "cuda":
                told["recorded"] = _recorded(rules)
            yield (
                f"{kind}, {'with' if with_gradient else 'without'} gradients",
                wrong == 0 and told.get("recorded", 1) > 0,
                told,
            )


def _recorded(rules: ClassRules) -> int:
    """For how many shapes a recording of plans under these rules is kept."""
    from sparse_attn.impl.triton import replay

    return sum(not isinstance(x, int) and rules in place[-1] for place, x in replay._recordings.items())


def _ids(rules: ClassRules, tokens: int, seed: int, device: str) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    # The first texts are the hardest: room that is made for them is enough for the others.
    weights = torch.arange(1, rules.classes + 1) ** (-0.1 * min(seed, 7))
    ids = torch.multinomial(weights, 2 * tokens, replacement=True, generator=generator).view(2, tokens)
    return ids.to(device), (torch.rand(2, tokens, generator=generator) > 0.1).to(device)


def same_plan(one: ClassPlan, other: ClassPlan, with_gradient: bool = True) -> bool:
    """Whether two plans hold the same class ids, stream and lists."""
    pairs = [(one.class_ids, other.class_ids), (one.segments, other.segments)]
    pairs += [(getattr(one.stream, name), getattr(other.stream, name)) for name in ("classes", "order", "last")]
    first, second = one.schedule(with_gradient), other.schedule(with_gradient)
    for mine, theirs in ((first.keys, second.keys), (first.queries, second.queries)):
        if not mine:
            continue
        pairs += [(mine[at], theirs[at]) for at in (0, 2, 4)]
        # Behind entries and words there is room, and the two need not have left the same.
        meta, step = mine[2], mine[2][-1]
        entries = int(step[0] + step[2])
        words = int((meta[:, 3] + (meta[:, 2] - meta[:, 1]) // 32).max())
        pairs += [(mine[1][:entries], theirs[1][:entries]), (mine[3][:words], theirs[3][:words])]
    return all(torch.equal(a.cpu(), b.cpu()) for a, b in pairs)


def check_threads(device: str) -> Iterator[Told]:
    """Threads that plan and attend at once, each on a stream of its own, get what one alone gets."""
    tokens, rounds = tokens_of(device), 30 if device == "cuda" else 2
    for kind in ("window and valence", "budget"):
        rules = rules_of(kind)
        wrong: list[str] = []

        def work(seed: int, kind: str = kind, rules: ClassRules = rules, wrong: list[str] = wrong) -> None:
            context: Any = torch.cuda.stream(torch.cuda.Stream()) if device == "cuda" else torch.no_grad()  # type: ignore[no-untyped-call]
            with context, torch.enable_grad():
                case = Case(kind, kind)
                for number in range(rounds):
                    try:
                        ids, valid = _ids(rules, tokens, 100 * seed + number, device)
                        got = plan_classes(ids, rules, valid=valid)
                        problem = replace(problem_of(case, device, seed), plan=got)
                        out = problem.run(ours(got, device))
                        right = plan_classes(ids.cpu(), rules_of(kind), valid=valid.cpu())
                        if not torch.equal(got.stream.order.cpu(), right.stream.order):
                            wrong.append(f"order {seed} {number}")
                        if number == 0:
                            truth = problem.run(dense(got), torch.float64)
                            errors = [relative_error(x, y) for x, y in zip(out, truth, strict=True)]
                            wrong.extend(f"error {e:.1e}" for e in errors if not e < 0.02)
                    # A thread that dies would look like one that found nothing wrong.
                    except Exception as error:
                        wrong.append(f"{type(error).__name__}: {str(error)[:100]}")
                        return

        threads = [threading.Thread(target=work, args=(seed,)) for seed in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        yield kind, not wrong, {"threads": 3, "rounds": rounds, **({"wrong": wrong[:4]} if wrong else {})}


def check_profiler(device: str) -> Iterator[Told]:
    """A profiler that hooks into Triton's launches is told of each, also of kernels that were launched before."""
    if backend_of(device) != "triton" or device != "cuda":
        return
    from triton import knobs

    problem = problem_of(Case("hooks"), device)
    attend = ours(problem.plan, device)
    problem.run(attend)
    names: list[str] = []

    def note(launch: Any) -> None:
        names.append(launch.get()["name"])

    before = knobs.runtime.launch_enter_hook
    if hasattr(before, "add"):
        before.add(note)
    else:
        knobs.runtime.launch_enter_hook = note
    try:
        problem.run(attend)
    finally:
        if hasattr(before, "add"):
            before.remove(note)
        else:
            knobs.runtime.launch_enter_hook = before
    expected = {f"class_attention_{part}_kernel" for part in ("fwd", "bwd_dq", "bwd_dkv")}
    yield "launches are told", expected <= set(names), {"told": sorted(set(names))}


def _part(number: int, parts: int) -> Check:
    def check(device: str) -> Iterator[Told]:
        return check_agreement(device, lambda case: case % parts == number)

    check.__doc__ = check_agreement.__doc__
    return check


# Agreement in parts: each can run in a process of its own.
CHECKS: dict[str, Check] = {
    **{f"agreement/{number}": _part(number, 6) for number in range(6)},
    "repeats": check_repeats,
    "compiled": check_compiled,
    "operators": check_operators,
    "refusals": check_refusals,
    "plans": check_plans,
    "threads": check_threads,
    "profiler": check_profiler,
}
