"""The inner loops of a network, written as vector instructions.

The compiler's own vectoriser goes through memory for every addend; here running sums stay in registers. With rows that
fit the first cache that is two to three times as fast, and as fast as a BLAS, or faster with few rows.
"""

# ruff: noqa: ARG001  # an emitted function's parameters are its types; its writer finds the values by place

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types

from agents.ppo.fast.emitting import (
    LINES,
    ZERO,
    addend_at,
    blocks,
    chunks,
    declare,
    each,
    emitted,
    load,
    multiply_add,
    number,
    pointers,
    shape_of,
    splat,
    store,
    sums,
)

_DEPTH = 64  # rows of 64 numbers that fit the first cache


@emitted
def sum_rows(typing: Any, start: Any, rows: Any, indices: Any, values: Any, begin: Any, end: Any, out: Any) -> Any:
    """`out = start + Σ_j values[j] · rows[indices[j]]` over j in begin..end.

    All arrays are C-contiguous, all numbers float32, rows as wide as a multiple of `WIDTH_MULTIPLE`.
    """

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        first, table, index, value, _, _, result = pointers(context, builder, signature, arguments)
        width = shape_of(context, builder, signature.args[1], arguments[1])[1]
        for columns, vectors in chunks(builder, width):
            with columns as column:
                totals = sums(builder, vectors)
                for lane, place in enumerate(totals):
                    builder.store(load(builder, first, column, lane), place)
                with each(builder, arguments[4], arguments[5], 1) as j:
                    row, factor = addend_at(builder, (table, index, value), j, width)
                    for lane, place in enumerate(totals):
                        addend = load(builder, row, column, lane)
                        builder.store(multiply_add(builder, factor, addend, builder.load(place)), place)
                for lane, place in enumerate(totals):
                    store(builder, builder.load(place), result, column, lane)
        return context.get_dummy_value()

    return types.void(start, rows, indices, values, types.intp, types.intp, out), generate


@emitted
def add_to_rows(typing: Any, addend: Any, rows: Any, indices: Any, values: Any, begin: Any, end: Any) -> Any:
    """`rows[indices[j]] += values[j] · addend` for j in begin..end; as in `sum_rows`."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        summand, table, index, value, _, _ = pointers(context, builder, signature, arguments)
        width = shape_of(context, builder, signature.args[1], arguments[1])[1]
        for columns, vectors in chunks(builder, width):
            with columns as column:
                kept = [load(builder, summand, column, lane) for lane in range(vectors)]
                with each(builder, arguments[4], arguments[5], 1) as j:
                    row, factor = addend_at(builder, (table, index, value), j, width)
                    for lane, vector in enumerate(kept):
                        total = multiply_add(builder, factor, vector, load(builder, row, column, lane))
                        store(builder, total, row, column, lane)
        return context.get_dummy_value()

    return types.void(addend, rows, indices, values, types.intp, types.intp), generate


@emitted
def add_product(typing: Any, left: Any, row_step: Any, depth_step: Any, right: Any, total: Any) -> Any:
    """`total[i] += Σ_k left[i · row_step + k · depth_step] · right[k]`, a matrix product with a left side of any order.

    What is added to a block of `total` stays in registers while the depth is gone through, `_DEPTH` rows of `right` at
    a time, which fit the first cache; sums of sums also round less than one long sum would. All arrays are
    C-contiguous, all numbers float32, `right` and `total` as wide as a multiple of `WIDTH_MULTIPLE`; `left` is flat.
    """

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        a, _, _, b, out = pointers(context, builder, signature, arguments)
        _, row_step, depth_step, _, _ = arguments
        depth, width = shape_of(context, builder, signature.args[3], arguments[3])
        height, _ = shape_of(context, builder, signature.args[4], arguments[4])
        for columns, vectors in chunks(builder, width):
            with columns as column, each(builder, number(0), depth, _DEPTH) as begin:
                limit = builder.add(begin, number(_DEPTH))
                end = builder.select(builder.icmp_signed("<", limit, depth), limit, depth)
                for rows, lines in blocks(builder, height, LINES if vectors > 1 else 2 * LINES):
                    with rows as row:
                        at, steps = (row, column, begin, end), (row_step, depth_step, width)
                        _add_block(builder, (a, b, out), at, steps, (lines, vectors))
        return context.get_dummy_value()

    return types.void(left, types.intp, types.intp, right, total), generate


def _add_block(builder: ir.IRBuilder, pointers: Any, at: Any, steps: Any, size: tuple[int, int]) -> None:
    """Add to one block of `total`, `size` being its lines and its vectors per line."""
    (a, b, out), (row, column, begin, end), (row_step, depth_step, width), (lines, vectors) = pointers, at, steps, size
    heads = [builder.gep(out, [builder.mul(builder.add(row, number(line)), width)]) for line in range(lines)]
    lefts = [builder.gep(a, [builder.mul(builder.add(row, number(line)), row_step)]) for line in range(lines)]
    block = [sums(builder, vectors) for _ in range(lines)]
    for place in (place for places in block for place in places):
        builder.store(ZERO, place)
    with each(builder, begin, end, 1) as k:
        source = builder.gep(b, [builder.mul(k, width)])
        rights = [load(builder, source, column, lane) for lane in range(vectors)]
        offset = builder.mul(k, depth_step)
        for left, places in zip(lefts, block, strict=True):
            factor = splat(builder, builder.load(builder.gep(left, [offset])))
            for right, place in zip(rights, places, strict=True):
                builder.store(multiply_add(builder, factor, right, builder.load(place)), place)
    for head, places in zip(heads, block, strict=True):
        for lane, place in enumerate(places):
            store(builder, builder.fadd(builder.load(place), load(builder, head, column, lane)), head, column, lane)


@emitted
def prefetch(typing: Any, array: Any, index: Any) -> Any:
    """Ask for the cache line of `array[index]`, which need not exist; `array` is flat and contiguous."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        begin = pointers(context, builder, signature, arguments)[0]
        byte = ir.IntType(8).as_pointer()
        flag = ir.IntType(32)
        function = declare(builder, "llvm.prefetch.p0", ir.VoidType(), [byte, flag, flag, flag])
        place = builder.bitcast(builder.gep(begin, [arguments[1]]), byte)
        builder.call(function, [place, flag(0), flag(3), flag(1)])  # to read, into all levels, data
        return context.get_dummy_value()

    return types.void(array, types.intp), generate


@emitted
def float_of_bits(typing: Any, bits: Any) -> Any:
    """The float32 that these 32 bits are."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.int32), generate
