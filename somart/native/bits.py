"""Bits and number theory on integers of any size (core §6)."""

from __future__ import annotations

import math

from ..errors import type_error
from ..std.bits import modular_power


def band(a: int, b: int) -> int:
    return a & b


def bor(a: int, b: int) -> int:
    return a | b


def bxor(a: int, b: int) -> int:
    return a ^ b


def bnot(a: int) -> int:
    return ~a


def shl(a: int, n: int) -> int:
    """Shift left without loss; a negative count shifts right."""
    return a << n if n >= 0 else a >> -n


def shr(a: int, n: int) -> int:
    """Arithmetic shift right; a negative count shifts left."""
    return a >> n if n >= 0 else a << -n


def bit_test(a: int, n: int) -> int:
    return a >> n & 1


def bit_set(a: int, n: int) -> int:
    return a | 1 << n


def bit_clr(a: int, n: int) -> int:
    return a & ~(1 << n)


def bit_next(a: int, n: int) -> int:
    """The index of the lowest set bit from n on, or -1."""
    rest = a >> n
    return n + (rest & -rest).bit_length() - 1 if rest else -1


def bit_len(a: int) -> int:
    return a.bit_length()


def gcd(a: int, b: int) -> int:
    return math.gcd(a, b)


def sqrt_int(n: int) -> int:
    """The truncated square root."""
    if n < 0:
        raise type_error("sqrt_int: negative argument")
    return math.isqrt(n)


def pow_mod(b: int, e: int, m: int) -> int:
    return modular_power(b, e, m)
