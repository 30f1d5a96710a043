"""How vector instructions are written for the compiler: pieces of LLVM's intermediate code.

Every function here writes code at the place where the builder stands; what it gives back are values of that code.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

from llvmlite import binding, ir
from numba.core import cgutils, types
from numba.extending import intrinsic

# With AVX-512, a block of 4 x 4 vectors of 16 numbers and what is multiplied fill two thirds of its 32 registers; where
# registers are fewer or shorter (AVX2, NEON), a block of 4 x 2 vectors of 8.
_HAS_AVX512 = bool(binding.get_host_cpu_features().get("avx512f", False))
LANES = 16 if _HAS_AVX512 else 8
VECTORS = 4 if _HAS_AVX512 else 2
LINES = 4

WIDTH_MULTIPLE = 16
"""Rows must be as wide as a multiple of this."""

VECTOR = ir.VectorType(ir.FloatType(), LANES)
ZERO = ir.Constant(VECTOR, [0.0] * LANES)
_UNDEFINED = ir.Constant(VECTOR, ir.Undefined)
_INDEX = ir.IntType(64)


def emitted(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function for compiled code from one that gives its types and a writer of its code.

    The writer's first parameter is numba's typing context; compiled code gives the others.
    """
    return cast(Callable[..., Any], intrinsic(function))


def chunks(builder: ir.IRBuilder, width: Any) -> Iterator[tuple[Any, int]]:
    """Loops that cover all columns: as many vectors at a time as fit, then the rest one by one."""
    whole = builder.and_(width, number(-LANES * VECTORS))
    yield each(builder, number(0), whole, LANES * VECTORS), VECTORS
    yield each(builder, whole, width, LANES), 1


def blocks(builder: ir.IRBuilder, height: Any, lines: int) -> Iterator[tuple[Any, int]]:
    """Loops that cover all lines: so many at a time, then the rest one by one."""
    whole = builder.and_(height, number(-lines))
    yield each(builder, number(0), whole, lines), lines
    yield each(builder, whole, height, 1), 1


@contextlib.contextmanager
def each(builder: ir.IRBuilder, begin: Any, end: Any, step: int) -> Iterator[Any]:
    """A loop over begin..end; gives the counter."""
    with cgutils.for_range_slice(builder, begin, end, number(step), _INDEX) as (counter, _):
        yield counter


def number(value: int) -> ir.Constant:
    """An index that is known beforehand."""
    return ir.Constant(_INDEX, value)


def pointers(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> list[Any]:
    """Per argument: where its data begin; None for what is no array."""
    return [
        context.make_array(kind)(context, builder, value).data if isinstance(kind, types.Array) else None
        for kind, value in zip(signature.args, arguments, strict=True)
    ]


def shape_of(context: Any, builder: ir.IRBuilder, kind: Any, table: Any) -> tuple[Any, Any]:
    """How many rows and columns an array has."""
    shape = context.make_array(kind)(context, builder, table).shape
    return builder.extract_value(shape, 0), builder.extract_value(shape, 1)


def addend_at(builder: ir.IRBuilder, arrays: tuple[Any, Any, Any], j: Any, width: Any) -> tuple[Any, Any]:
    """Where row `indices[j]` of the table begins, and `values[j]` in every lane."""
    table, indices, values = arrays
    index = builder.zext(builder.load(builder.gep(indices, [j])), _INDEX)
    return builder.gep(table, [builder.mul(index, width)]), splat(builder, builder.load(builder.gep(values, [j])))


def splat(builder: ir.IRBuilder, value: Any) -> Any:
    """The value in every lane."""
    single = builder.insert_element(_UNDEFINED, value, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(single, _UNDEFINED, ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES))


def _place(builder: ir.IRBuilder, row: Any, column: Any, lane: int) -> Any:
    """Where vector number `lane` behind this column begins."""
    at = builder.add(column, number(lane * LANES))
    return builder.bitcast(builder.gep(row, [at]), VECTOR.as_pointer())


def load(builder: ir.IRBuilder, row: Any, column: Any, lane: int) -> Any:
    """Read vector number `lane` behind the column of a row."""
    return builder.load(_place(builder, row, column, lane), align=4)


def store(builder: ir.IRBuilder, vector: Any, row: Any, column: Any, lane: int) -> None:
    """Write it."""
    builder.store(vector, _place(builder, row, column, lane), align=4)


def multiply_add(builder: ir.IRBuilder, a: Any, b: Any, c: Any) -> Any:
    """The sum a · b + c: one rounding where the machine can, two where it cannot."""
    return builder.call(declare(builder, f"llvm.fmuladd.v{LANES}f32", VECTOR, [VECTOR] * 3), [a, b, c])


def declare(builder: ir.IRBuilder, name: str, returns: ir.Type, takes: Sequence[ir.Type]) -> Any:
    """An instruction of LLVM's that looks like a function."""
    kind = ir.FunctionType(returns, takes)
    return cgutils.get_or_insert_function(builder.module, kind, name)  # type: ignore[no-untyped-call]  # numba's


def sums(builder: ir.IRBuilder, count: int) -> list[Any]:
    """Places for vectors that the compiler will keep in registers."""
    return [cgutils.alloca_once(builder, VECTOR) for _ in range(count)]  # type: ignore[no-untyped-call]  # numba's
