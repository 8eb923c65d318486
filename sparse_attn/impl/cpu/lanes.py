"""Products and softmax of sixteen rows at a time, one row a lane of a vector, written as LLVM instructions.

Compilers keep no block of sums in registers across gathered keys, so that is spelled out; LLVM fits the vectors to the
machine. In the formulas e is an entry of a list, d one of the D columns of a head, r one of the 16 rows; arrays are
flat. Every sum runs over the entries in their order, and what a row does not see adds exactly nothing to it: a row's
result depends on what it sees and in which order, never on the rows or entries beside it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

from llvmlite import binding, ir  # type: ignore[import-untyped]
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic


def _has_wide_registers() -> bool:
    """Whether numba compiles for a machine with thirty-two registers of sixteen numbers each."""
    asked = getattr(config, "CPU_FEATURES", None)
    if asked is not None:
        return "+avx512f" in asked
    try:
        return bool(binding.get_host_cpu_features().get("avx512f"))
    except RuntimeError:  # LLVM does not know this machine.
        return False


LANES = 16
# Entries and columns handled together: their sums stay in registers, of which other machines need several a vector.
BLOCK, COLUMNS = (8, 16) if _has_wide_registers() else (4, 4)
# The logit of what is not seen; a row's largest logit starts halfway there, so that the difference still vanishes.
HIDDEN = -1e30
# Columns of a turn of the loop over them.
_STEPS = 4
_WORD, _INDEX = ir.IntType(32), ir.IntType(64)


class _Lanes:
    """Writes LLVM instructions on vectors of sixteen numbers of one type."""

    def __init__(self, builder: Any, dtype: Any) -> None:
        self.builder = builder
        single = dtype == types.float32
        self.vector = ir.VectorType(ir.FloatType() if single else ir.DoubleType(), LANES)
        self.suffix = f"v{LANES}f32" if single else f"v{LANES}f64"
        self.integers = ir.VectorType(_WORD if single else _INDEX, LANES)
        # Bias and place of the exponent in the number format; terms of the exponential series down to its last digit.
        self.exponent_bias, self.exponent_place, self.terms = (127, 23, 7) if single else (1023, 52, 13)

    def constant(self, value: float) -> Any:
        return ir.Constant(self.vector, [float(value)] * LANES)

    def index(self, value: int) -> Any:
        return ir.Constant(_INDEX, value)

    def at(self, pointer: Any, index: Any) -> Any:
        return self.builder.gep(pointer, [self.index(index) if isinstance(index, int) else index])

    def by_lanes(self, pointer: Any, index: Any) -> Any:
        return self.at(pointer, self.builder.mul(index, self.index(LANES)))

    def load(self, pointer: Any, vector: Any = None) -> Any:
        return self.builder.load(self.builder.bitcast(pointer, (vector or self.vector).as_pointer()), align=4)

    def store(self, value: Any, pointer: Any) -> None:
        self.builder.store(value, self.builder.bitcast(pointer, value.type.as_pointer()), align=4)

    def number(self, pointer: Any, index: Any) -> Any:
        return self.builder.load(self.at(pointer, index))

    def shuffle(self, one: Any, other: Any, order: Sequence[int]) -> Any:
        return self.builder.shuffle_vector(one, other, ir.Constant(ir.VectorType(_WORD, LANES), list(order)))

    def splat(self, value: Any) -> Any:
        nothing = ir.Constant(ir.VectorType(value.type, LANES), ir.Undefined)
        return self.shuffle(self.builder.insert_element(nothing, value, ir.Constant(_WORD, 0)), nothing, [0] * LANES)

    def call(self, name: str, *values: Any) -> Any:
        kind = ir.FunctionType(self.vector, [self.vector] * len(values))
        function = cgutils.get_or_insert_function(self.builder.module, kind, f"llvm.{name}.{self.suffix}")  # type: ignore[no-untyped-call]
        return self.builder.call(function, values)

    def variables(self, begin: Sequence[Any]) -> list[Any]:
        """Vectors that change in a loop; LLVM keeps them in registers."""
        return [cgutils.alloca_once_value(self.builder, value) for value in begin]  # type: ignore[no-untyped-call]

    def add_product(self, total: Any, scalar: Any, vector: Any) -> None:
        self.builder.store(self.call("fmuladd", self.splat(scalar), vector, self.builder.load(total)), total)

    def power_of_two(self, x: Any, shift: Any = None) -> Any:
        """2 ** (x - shift), shift whole and 0 by default, for results up to about 1; 0 for those below normal numbers.

        Another shift changes the exponent of the result and no digit of it.
        """
        builder = self.builder
        whole = self.call("rint", x)
        rest, series = builder.fsub(x, whole), self.constant(0)
        for n in reversed(range(self.terms + 1)):
            series = self.call("fmuladd", series, rest, self.constant(math.log(2) ** n / math.factorial(n)))
        exponent = whole if shift is None else builder.fsub(whole, shift)
        least = self.constant(2 - self.exponent_bias)
        # Neither comparison holds for NaN, which so reaches the result.
        tiny, normal = builder.fcmp_ordered("<", exponent, least), builder.fcmp_ordered(">=", exponent, least)
        exponent = builder.fptosi(builder.select(normal, exponent, self.constant(0)), self.integers)
        bias = ir.Constant(self.integers, [self.exponent_bias] * LANES)
        place = ir.Constant(self.integers, [self.exponent_place] * LANES)
        power = builder.bitcast(builder.shl(builder.add(exponent, bias), place), self.vector)
        return builder.select(tiny, self.constant(0), builder.fmul(series, power))

    def transpose(self, vectors: list[Any]) -> list[Any]:
        """Sixteen vectors as a matrix, turned: four rounds, each interleaves the first half with the second."""
        low = [i // 2 + LANES * (i % 2) for i in range(LANES)]
        high = [i + LANES // 2 for i in low]
        for _ in range(4):
            pairs = zip(vectors[: LANES // 2], vectors[LANES // 2 :], strict=True)
            vectors = [self.shuffle(*pair, order) for pair in pairs for order in (low, high)]
        return vectors


def _operation(emit: Callable[..., None]) -> Any:
    """Let numba call a function that writes instructions.

    Arrays reach it as pointers to their first number, integers with 64 bits, other numbers in the arrays' precision.
    """

    @wraps(emit)
    def typed(_: Any, *given: Any) -> tuple[Any, Callable[..., Any]]:
        dtype = next(t.dtype for t in given if isinstance(t, types.Array) and isinstance(t.dtype, types.Float))
        scalars = [dtype if isinstance(t, types.Float) else types.int64 for t in given]
        wanted = [t if isinstance(t, types.Array) else scalar for t, scalar in zip(given, scalars, strict=True)]

        def generate(context: Any, builder: Any, signature: Any, values: Sequence[Any]) -> Any:
            arguments = [
                context.make_array(t)(context, builder, value=x).data if isinstance(t, types.Array) else x
                for t, x in zip(signature.args, values, strict=True)
            ]
            emit(_Lanes(builder, dtype), *arguments)
            return context.get_dummy_value()

        return types.void(*wanted), generate

    return intrinsic(typed)


@_operation
def dots(x: _Lanes, rows: Any, starts: Any, at: Any, columns: Any, depth: Any, out: Any) -> None:
    """out[e, r] = sum_d rows[starts[e] + d] columns[d, r] for BLOCK entries from `at`."""
    builder, starts, out = x.builder, x.at(starts, at), x.by_lanes(out, at)
    begins = [x.at(rows, x.number(starts, e)) for e in range(BLOCK)]
    totals = x.variables([x.constant(0)] * BLOCK)
    with cgutils.for_range_slice(builder, x.index(0), depth, x.index(_STEPS)) as (d, _):
        column = x.by_lanes(columns, d)
        vectors = [x.load(x.at(column, LANES * step)) for step in range(_STEPS)]
        for begin, total in zip(begins, totals, strict=True):
            row = x.at(begin, d)
            for step, vector in enumerate(vectors):
                x.add_product(total, x.number(row, step), vector)
    for e, total in enumerate(totals):
        x.store(builder.load(total), x.at(out, LANES * e))


@_operation
def mask(
    x: _Lanes, logits: Any, at: Any, scale: Any, bias: Any, bias_at: Any, words: Any, word: Any, bit: Any, peak: Any
) -> None:
    """logits[e, r] = scale logits[e, r] + bias[bias_at[e] + r], or HIDDEN where row r's bit is not set.

    For BLOCK entries from `at`, whose bits begin at `bit` of words[word + r]; peak[r] = the largest so far.
    """
    builder, logits, bias_at = x.builder, x.by_lanes(logits, at), x.at(bias_at, at)
    integers = ir.VectorType(_WORD, LANES)
    bits = builder.lshr(x.load(x.at(words, word), integers), x.splat(builder.trunc(bit, _WORD)))
    factor, largest = x.splat(scale), x.load(peak)
    for e in range(BLOCK):
        here = x.at(logits, LANES * e)
        logit = x.call("fmuladd", x.load(here), factor, x.load(x.at(bias, x.number(bias_at, e))))
        asked = builder.and_(bits, ir.Constant(integers, [1 << e] * LANES))
        seen = builder.icmp_unsigned("!=", asked, ir.Constant(integers, [0] * LANES))
        logit = builder.select(seen, logit, x.constant(HIDDEN))
        largest = builder.select(builder.fcmp_ordered(">", logit, largest), logit, largest)
        x.store(logit, here)
    x.store(largest, peak)


@_operation
def exponentiate(x: _Lanes, logits: Any, count: Any, peak: Any, shift: Any, total: Any, factor: Any) -> None:
    """logits[e, r] = 2 ** (logits[e, r] - shift[r]) for `count` entries; total[r] += their sum.

    shift[r] becomes the whole number next to peak[r], and factor[r] what earlier sums are to be multiplied with, as
    total[r] is. That is a power of two and changes no digit, so that it does not show where a list was cut.
    """
    builder, whole = x.builder, x.call("rint", x.load(peak))
    change = x.power_of_two(builder.fsub(x.load(shift), whole))
    (running,) = x.variables([builder.fmul(x.load(total), change)])
    with cgutils.for_range(builder, count) as loop:
        here = x.by_lanes(logits, loop.index)
        weight = x.power_of_two(x.load(here), whole)
        x.store(weight, here)
        builder.store(builder.fadd(builder.load(running), weight), running)
    x.store(builder.load(running), total)
    x.store(whole, shift)
    x.store(change, factor)


@_operation
def weigh(x: _Lanes, logits: Any, count: Any, lse: Any) -> None:
    """logits[e, r] = 2 ** (logits[e, r] - lse[r]) for `count` entries."""
    builder, subtrahend = x.builder, x.load(lse)
    with cgutils.for_range(builder, count) as loop:
        here = x.by_lanes(logits, loop.index)
        x.store(x.power_of_two(builder.fsub(x.load(here), subtrahend)), here)


@_operation
def differentiate(x: _Lanes, slopes: Any, weights: Any, count: Any, scale: Any, mean: Any) -> None:
    """slopes[e, r] = scale weights[e, r] (slopes[e, r] - mean[r]): gradients by dot products from those by weights."""
    builder, subtrahend, factor = x.builder, x.load(mean), x.splat(scale)
    with cgutils.for_range(builder, count) as loop:
        here, weight = x.by_lanes(slopes, loop.index), x.load(x.by_lanes(weights, loop.index))
        x.store(builder.fmul(builder.fmul(weight, factor), builder.fsub(x.load(here), subtrahend)), here)


@_operation
def pull(x: _Lanes, rows: Any, starts: Any, count: Any, weights: Any, column: Any, factor: Any, sums: Any) -> None:
    """sums[d, r] = factor[r] sums[d, r] + sum_e rows[starts[e] + d] weights[e, r] for `count` e, COLUMNS d."""
    builder, rows, sums, change = x.builder, x.at(rows, column), x.by_lanes(sums, column), x.load(factor)
    totals = x.variables([builder.fmul(x.load(x.at(sums, LANES * d)), change) for d in range(COLUMNS)])
    with cgutils.for_range(builder, count) as loop:
        row = x.at(rows, x.number(starts, loop.index))
        weight = x.load(x.by_lanes(weights, loop.index))
        for d, total in enumerate(totals):
            x.add_product(total, x.number(row, d), weight)
    for d, total in enumerate(totals):
        x.store(builder.load(total), x.at(sums, LANES * d))


@_operation
def push(x: _Lanes, rows: Any, row_starts: Any, weights: Any, at: Any, column: Any, starts: Any, out: Any) -> None:
    """out[starts[e] + d] += sum_r rows[row_starts[r] + d] weights[e, r] for BLOCK entries from `at`, LANES d."""
    rows, out, starts, weights = x.at(rows, column), x.at(out, column), x.at(starts, at), x.by_lanes(weights, at)
    totals = [x.constant(0)] * BLOCK
    for r in range(LANES):
        row = x.load(x.at(rows, x.number(row_starts, r)))
        for e in range(BLOCK):
            totals[e] = x.call("fmuladd", x.splat(x.number(weights, LANES * e + r)), row, totals[e])
    # One after the other: where a list is padded it may name a token twice.
    for e, total in enumerate(totals):
        there = x.at(out, x.number(starts, e))
        x.store(x.builder.fadd(x.load(there), total), there)


@_operation
def inner(x: _Lanes, one: Any, other: Any, depth: Any, out: Any) -> None:
    """out[r] = sum_d one[d, r] other[d, r]."""
    (total,) = x.variables([x.constant(0)])
    with cgutils.for_range(x.builder, depth) as loop:
        pair = (x.load(x.by_lanes(one, loop.index)), x.load(x.by_lanes(other, loop.index)))
        x.builder.store(x.call("fmuladd", *pair, x.builder.load(total)), total)
    x.store(x.builder.load(total), out)


@_operation
def into_lanes(x: _Lanes, rows: Any, row_starts: Any, depth: Any, out: Any) -> None:
    """out[d, r] = rows[row_starts[r] + d]."""
    begins = [x.at(rows, x.number(row_starts, r)) for r in range(LANES)]
    with cgutils.for_range_slice(x.builder, x.index(0), depth, x.index(LANES)) as (d, _):
        columns = x.transpose([x.load(x.at(begin, d)) for begin in begins])
        for i, column in enumerate(columns):
            x.store(column, x.at(x.by_lanes(out, d), LANES * i))


@_operation
def out_of_lanes(x: _Lanes, columns: Any, factor: Any, depth: Any, out: Any) -> None:
    """out[r * depth + d] = columns[d, r] factor[r]."""
    factor = x.load(factor)
    with cgutils.for_range_slice(x.builder, x.index(0), depth, x.index(LANES)) as (d, _):
        here = x.by_lanes(columns, d)
        scaled = [x.builder.fmul(x.load(x.at(here, LANES * i)), factor) for i in range(LANES)]
        for r, row in enumerate(x.transpose(scaled)):
            x.store(row, x.at(x.at(out, d), x.builder.mul(depth, x.index(r))))
