"""Texts (builtins §4). Positions count code points, except in the `str_…` functions: bytes."""

from __future__ import annotations

from functools import lru_cache

from ..errors import type_error
from ..values.compare import equal
from ..values.kinds import Value
from ..values.members import split as split_text
from ..values.text import text
from .arguments import need

WHITE_SPACE = "\t\n\x0b\x0c\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    map(chr, range(0x2000, 0x200B))
)
"""Unicode white space; Python's own notion adds the separators U+001C to U+001F."""

_HTML = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"})


def len_(v: Value, *_: Value) -> int:
    """Code points of a String, items of a List, entries of a Map."""
    kind = type(v)
    if kind is list or kind is str or kind is dict:
        return len(v)
    raise type_error("len expects a string, list, or map")


def concat(*args: Value) -> Value:
    """The texts of the first two arguments; a single argument is returned unchanged."""
    need(args, 1, "concat expects arguments")
    return text(args[0]) + text(args[1]) if len(args) > 1 else args[0]


def _all_text(*values: Value) -> bool:
    return all(type(v) is str for v in values)


def split(*args: Value) -> list[Value]:
    need(args, 2, "split expects 2 arguments")
    if not _all_text(*args[:2]):
        raise type_error("split expects (string, delimiter)")
    return split_text(args[0], args[1])


def replace(*args: Value) -> str:
    need(args, 3, "replace expects 3 arguments")
    s, old, new = args[:3]
    if not _all_text(s, old, new):
        raise type_error("replace expects strings")
    return str(s.replace(old, new))


def contains(*args: Value) -> bool:
    """Whether a String has a substring, or a List an item."""
    need(args, 2, "contains(string, substring)")
    whole, part = args[:2]
    if type(whole) is list:
        return any(equal(item, part) for item in whole)
    return _all_text(whole, part) and part in whole


def starts_with(*args: Value) -> bool:
    need(args, 2, "starts_with expects 2 arguments")
    if not _all_text(*args[:2]):
        raise type_error("starts_with expects strings")
    return bool(args[0].startswith(args[1]))


def ends_with(*args: Value) -> bool:
    need(args, 2, "ends_with expects 2 arguments")
    if not _all_text(*args[:2]):
        raise type_error("ends_with expects strings")
    return bool(args[0].endswith(args[1]))


def lowercase(v: Value, *_: Value) -> str:
    return v.lower() if type(v) is str else text(v)


def uppercase(v: Value, *_: Value) -> str:
    return v.upper() if type(v) is str else text(v)


def trim(v: Value, *_: Value) -> str:
    if type(v) is not str:
        raise type_error("trim expects a string")
    return v.strip(WHITE_SPACE)


def index_of(*args: Value) -> int:
    """The index of the first match of a substring, or of an item in a List; -1 if there is none."""
    need(args, 2, "index_of(string, substring)")
    whole, part = args[:2]
    if type(whole) is list:
        return next((i for i, item in enumerate(whole) if equal(item, part)), -1)
    return whole.find(part) if _all_text(whole, part) else -1


def substring(*args: Value) -> str | None:
    """Code points from start up to end; a negative end is the end of the text."""
    need(args, 3, "substring(string, start, end)")
    s, start, end = args[:3]
    if type(s) is not str or type(start) is not int or type(end) is not int:
        return None
    return s[max(start, 0) : end if end >= 0 else len(s)]


def escape_html(*args: Value) -> str:
    if not args or type(args[0]) is not str:
        raise type_error("escape_html(string)")
    return args[0].translate(_HTML)


def str_len(s: Value, *_: Value) -> int:
    """Bytes of the text in UTF-8."""
    if type(s) is not str:
        raise type_error("str_len expects a String")
    return len(s) if s.isascii() else len(_encoded(s))


@lru_cache(maxsize=4)
def _encoded(s: str) -> bytes:
    """The text in UTF-8; the last few are kept, as loops ask for one byte after the other."""
    return s.encode()


def str_at(s: Value, i: Value, *_: Value) -> int:
    """The byte at a byte index."""
    if type(s) is not str or type(i) is not int:
        raise type_error("str_at expects (String, Int)")
    if s.isascii() and 0 <= i < len(s):
        return ord(s[i])
    encoded = _encoded(s)
    if 0 <= i < len(encoded):
        return encoded[i]
    shown = i % 2**64  # as an unsigned 64-bit number
    raise type_error(
        f"str_at: index {shown} out of range for string of len {len(encoded)}",
    )


def str_eq(a: Value, b: Value, *_: Value) -> bool:
    if not _all_text(a, b):
        raise type_error("str_eq expects two Strings")
    return bool(a == b)
