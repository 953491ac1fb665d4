"""Numbers: the 64-bit boundary, conversions between Int and Float, and reading them from text.

`as_int`, `as_float` and `as_number` are the coercions *int*, *flt* and *num* of builtins §1.2.
"""

from __future__ import annotations

import math
import re

from .kinds import Value

I64_MIN = -(2**63)
I64_MAX = 2**63 - 1

_INT = re.compile(r"[+-]?[0-9]+", re.ASCII)
_FLOAT = re.compile(
    r"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?|inf|infinity|nan)",
    re.ASCII | re.IGNORECASE,
)


def is_big(n: int) -> bool:
    """Whether an Int lies outside signed 64 bit, and so is called BigInt."""
    return not I64_MIN <= n <= I64_MAX


def int_to_float(n: int) -> float:
    """The Float of an Int: nearest within 64 bit, beyond it rounded toward zero (core §3.3)."""
    if I64_MIN <= n <= I64_MAX:
        return float(n)
    excess = abs(n).bit_length() - 53
    if excess > 971:  # past the largest double
        return math.inf if n > 0 else -math.inf
    magnitude = float((abs(n) >> excess) << excess)
    return magnitude if n > 0 else -magnitude


def saturate(n: int) -> int:
    """The nearest signed 64-bit integer."""
    return min(max(n, I64_MIN), I64_MAX)


def wrap(n: int) -> int:
    """The signed 64-bit integer with the same low 64 bits."""
    return ((n + 2**63) & (2**64 - 1)) - 2**63


def float_to_int(x: float) -> int:
    """Truncated toward zero, saturating at the 64-bit limits; NaN gives 0."""
    if math.isfinite(x):
        return saturate(int(x))
    if x != x:
        return 0
    return I64_MAX if x > 0 else I64_MIN


def parse_int(s: str) -> int | None:
    """The Int that a text denotes, within 64 bit: optional sign and ASCII digits, nothing else."""
    if _INT.fullmatch(s) is None:
        return None
    digits = s.lstrip("+-").lstrip("0")
    if len(digits) > 19:
        return None
    n = int(digits or "0")
    if s[0] == "-":
        n = -n
    return None if is_big(n) else n


def parse_float(s: str) -> float | None:
    """The Float that a text denotes: decimal, `inf`, `infinity` or `nan` in any case, no blanks."""
    return float(s) if _FLOAT.fullmatch(s) is not None else None


def string_to_int(s: str) -> int | None:
    """Read as a 64-bit integer, else as a float that is truncated; None if neither."""
    n = parse_int(s)
    if n is not None:
        return n
    x = parse_float(s)
    return None if x is None else float_to_int(x)


def as_int(v: Value) -> int:
    """*int(v)*: 0 for big integers and for what is no number."""
    kind = type(v)
    if kind is int:
        return v if I64_MIN <= v <= I64_MAX else 0
    if kind is float:
        return float_to_int(v)
    if kind is str:
        return string_to_int(v) or 0
    return 1 if v is True else 0


def as_float(v: Value) -> float:
    """*flt(v)*: texts are read, Bools are 1.0 and 0.0; 0.0 for what is no number."""
    kind = type(v)
    if kind is str:
        return parse_float(v) or 0.0
    if kind is bool:
        return 1.0 if v else 0.0
    return as_number(v)


def as_number(v: Value) -> float:
    """*num(v)*: numbers only; everything else, texts too, is 0.0."""
    kind = type(v)
    if kind is float:
        return v  # type: ignore[no-any-return]
    return int_to_float(v) if kind is int else 0.0
