"""Bits and number theory on 64-bit integers (builtins §3.2).

Arguments go through *int*, so big integers count as 0. The same functions on integers of any size,
for `[native]` handlers, are in `somart.native`.
"""

from __future__ import annotations

import math

from ..errors import type_error
from ..values.kinds import Value
from ..values.numbers import I64_MAX, I64_MIN, as_int, wrap
from ..values.text import int_text

_MASK = 2**64 - 1
_DIGITS_TO_BITS = 3.3219280948873626  # log2(10), as the reference gives it


def band(a: Value, b: Value, *_: Value) -> int:
    return as_int(a) & as_int(b)


def bor(a: Value, b: Value, *_: Value) -> int:
    return as_int(a) | as_int(b)


def bxor(a: Value, b: Value, *_: Value) -> int:
    return as_int(a) ^ as_int(b)


def bnot(a: Value, *_: Value) -> int:
    return ~as_int(a)


def shl(a: Value, n: Value, *_: Value) -> int:
    """Shift left within 64 bits; the count is taken modulo 64."""
    return wrap(as_int(a) << (as_int(n) & 63))


def shr(a: Value, n: Value, *_: Value) -> int:
    """Arithmetic shift right; the count is taken modulo 64."""
    return as_int(a) >> (as_int(n) & 63)


def bit_test(a: Value, n: Value, *_: Value) -> int:
    return as_int(a) >> (as_int(n) & 63) & 1


def bit_set(a: Value, n: Value, *_: Value) -> int:
    return wrap(as_int(a) | 1 << (as_int(n) & 63))


def bit_clr(a: Value, n: Value, *_: Value) -> int:
    return wrap(as_int(a) & ~(1 << (as_int(n) & 63)))


def bit_next(a: Value, n: Value, *_: Value) -> int:
    """The index of the lowest set bit from n on, or -1."""
    start = as_int(n) & 63
    rest = (as_int(a) & _MASK) >> start
    return start + (rest & -rest).bit_length() - 1 if rest else -1


def bit_len(a: Value, *_: Value) -> int:
    """Bits of the absolute value; for big integers the estimate from their decimal digits."""
    if type(a) is not int:
        return 0
    if I64_MIN <= a <= I64_MAX:
        return a.bit_length()
    return int(len(int_text(abs(a))) * _DIGITS_TO_BITS) + 1


def gcd(a: Value, b: Value, *_: Value) -> int:
    return math.gcd(as_int(a), as_int(b))


def sqrt_int(n: Value, *_: Value) -> int:
    """The truncated square root."""
    value = as_int(n)
    if value < 0:
        raise type_error("sqrt_int: negative argument")
    return math.isqrt(value)


def pow_mod(b: Value, e: Value, m: Value, *_: Value) -> int:
    """b^e mod m; 1 for exponents up to 0."""
    return modular_power(as_int(b), as_int(e), as_int(m))


def modular_power(base: int, exponent: int, modulus: int) -> int:
    if modulus == 0:
        raise type_error("pow_mod: modulus is zero")
    return pow(base, exponent, abs(modulus)) if exponent > 0 else 1
