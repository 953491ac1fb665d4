"""The mutable things of `[native]` handlers: arrays, hash maps, text buffers (builtins §20)."""

from __future__ import annotations

from collections import defaultdict

from ..errors import type_error
from ..values.text import int_text

MAX_BUFFER = 1 << 28  # cells: a larger array is a mistake, not a plan


def _size(n: int) -> int:
    if not 0 <= n <= MAX_BUFFER:
        raise type_error(f"buffer: size {n} is out of range")
    return n


def buffer(n: int) -> list[int]:
    """An array of n zeros."""
    return [0] * _size(n)


def buffer_f(n: int) -> list[float]:
    return [0.0] * _size(n)


def _in_bounds(b: list[int] | list[float], i: int) -> None:
    if not 0 <= i < len(b):
        raise type_error(f"buffer index {i} out of range for buffer of size {len(b)}")


def buf_get(b: list[int], i: int) -> int:
    _in_bounds(b, i)
    return b[i]


def buf_set(b: list[int], i: int, v: int) -> None:
    _in_bounds(b, i)
    b[i] = v


def buf_get_f(b: list[float], i: int) -> float:
    _in_bounds(b, i)
    return b[i]


def buf_set_f(b: list[float], i: int, v: float) -> None:
    _in_bounds(b, i)
    b[i] = v


HashMap = defaultdict[int, int]


def hashmap(*_: int) -> HashMap:
    """A map from Int to Int, where missing keys are 0."""
    return defaultdict(int)


def hm_get(m: HashMap, key: int) -> int:
    return m.get(key, 0)


def hm_set(m: HashMap, key: int, v: int) -> None:
    m[key] = v


def hm_inc(m: HashMap, key: int, by: int = 1) -> None:
    m[key] += by


def hm_has(m: HashMap, key: int) -> int:
    return int(key in m)


def hm_len(m: HashMap) -> int:
    return len(m)


class StringBuffer:
    """Text in the making; `length` counts bytes."""

    __slots__ = ("length", "parts")

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.length = 0

    def push(self, s: str) -> None:
        self.parts.append(s)
        self.length += len(s) if s.isascii() else len(s.encode())

    def finish(self) -> str:
        """The text; the buffer is empty afterwards."""
        whole = "".join(self.parts)
        self.parts.clear()
        self.length = 0
        return whole


def strbuf(capacity: int = 0) -> StringBuffer:
    """An empty text buffer; it grows by itself, whatever its capacity."""
    return StringBuffer()


def sb_push(b: StringBuffer, s: str) -> None:
    b.push(s)


def sb_push_int(b: StringBuffer, n: int) -> None:
    b.push(int_text(n))


def sb_push_char(b: StringBuffer, code: int) -> None:
    """Append a character by its code point; what is none becomes U+FFFD."""
    valid = 0 <= code < 0x110000 and not 0xD800 <= code < 0xE000
    b.push(chr(code) if valid else "\ufffd")


def sb_len(b: StringBuffer) -> int:
    return b.length


def sb_finish(b: StringBuffer) -> str:
    return b.finish()
