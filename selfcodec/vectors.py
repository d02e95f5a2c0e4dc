"""Vectors for compiled loops, which Numba has not: instructions of LLVM, which compiles them for any processor.

`builder` is an `llvmlite.ir.IRBuilder`, which writes instructions one after another.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.extending import intrinsic as _intrinsic

Value = Any
"""LLVM's: what an instruction gives, in the machine code and not yet here."""
Kind = Any
"""A type of such values."""
Body = Callable[[Value, list[Value]], list[Value]]
"""Writes what comes of a step's number and of the values of the step before."""
I16, I32, I64, F32, F64 = ir.IntType(16), ir.IntType(32), ir.IntType(64), ir.FloatType(), ir.DoubleType()

intrinsic: Callable[[Callable[..., Any]], Any] = _intrinsic
"""Decorates a function from types to a signature and to what writes the code; compiled loops call it with values."""


def vector(kind: Kind, lanes: int) -> Kind:
    """So many numbers of a kind in a register."""
    return ir.VectorType(kind, lanes)


def undefined(kind: Kind) -> Value:
    """Any value, where it does not matter."""
    return kind(ir.Undefined)


def _pointer(builder: Any, kind: Kind, address: Value, offset: int) -> Value:
    return builder.inttoptr(builder.add(address, I64(offset)), kind.as_pointer())


def load(builder: Any, kind: Kind, address: Value, offset: int = 0) -> Value:
    """What lies so many bytes after an address, of numbers that need not be aligned more than to 2 bytes."""
    return builder.load(_pointer(builder, kind, address, offset), align=2)


def store(builder: Any, value: Value, address: Value, offset: int = 0) -> None:
    """Puts a value there."""
    builder.store(value, _pointer(builder, value.type, address, offset), align=2)


def moved(builder: Any, address: Value, count: Value, size: int) -> Value:
    """An address plus so many times a size in bytes."""
    return builder.add(address, builder.mul(count, I64(size)))


def spread(builder: Any, number: Value, lanes: int) -> Value:
    """A number in all lanes of a vector."""
    unused, all_first = undefined(vector(number.type, lanes)), vector(I32, lanes)([0] * lanes)
    return builder.shuffle_vector(builder.insert_element(unused, number, I32(0)), unused, all_first)


def looped(builder: Any, count: Value, first: list[Value], body: Body) -> list[Value]:
    """A loop whose step makes the next values of those before; what they are in the end.

    Args:
        count: steps, at least 1.
        first: the first values.
        body: writes a step.
    """
    before, loop, after = builder.block, builder.append_basic_block(), builder.append_basic_block()
    builder.branch(loop)
    builder.position_at_end(loop)
    index, values = builder.phi(I64), [builder.phi(value.type) for value in first]
    made = body(index, values)
    following = builder.add(index, I64(1))
    builder.cbranch(builder.icmp_signed("<", following, count), loop, after)
    for phi, begin, result in zip([index, *values], [I64(0), *first], [following, *made], strict=True):
        phi.add_incoming(begin, before)
        phi.add_incoming(result, loop)
    builder.position_at_end(after)
    return made
