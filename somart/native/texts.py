"""Texts, regular expressions and streams in `[native]` handlers (builtins §20)."""

from __future__ import annotations

import re
import sys
from functools import lru_cache

from ..errors import type_error
from ..std.files import read_text
from ..std.strings import str_at, str_eq, str_len
from ..values.kinds import Value
from ..values.numbers import as_float, as_int
from ..values.text import text

__all__ = [
    "len_",
    "read_file",
    "read_stdin",
    "regex_count",
    "regex_match",
    "regex_replace",
    "str_at",
    "str_eq",
    "str_len",
    "to_float",
    "to_int",
    "to_string",
    "write_str",
]


def to_string(v: Value) -> str:
    """The text of a value; Floats in shortest form, without `.0`."""
    return text(v).removesuffix(".0") if type(v) is float else text(v)


def to_int(v: Value) -> int:
    """Int of any number or text; 0 for what is none."""
    return v if type(v) is int else as_int(v)


def to_float(v: Value) -> float:
    return as_float(v)


def len_(v: Value) -> int:
    """Bytes of a text, items of a list or a buffer."""
    if isinstance(v, list | dict):
        return len(v)
    if type(v) is str:
        return str_len(v)
    raise type_error("len expects a string, list, or map")


@lru_cache(maxsize=64)
def _pattern(source: str) -> re.Pattern[str]:
    try:
        return re.compile(source)
    except re.error as error:
        raise type_error(f"regex: {error}") from error


def regex_count(s: str, pattern: str) -> int:
    """How many matches there are, none overlapping."""
    return sum(1 for _ in _pattern(pattern).finditer(s))


def regex_match(s: str, pattern: str) -> int:
    """1 when the pattern occurs anywhere, else 0."""
    return int(_pattern(pattern).search(s) is not None)


_GROUP = re.compile(r"\$(?:\$|\{(\w+)\}|(\w+))")


def regex_replace(s: str, pattern: str, new: str) -> str:
    """All matches replaced; `$1` and `${name}` stand for groups, `$$` for a dollar."""

    def expand(found: re.Match[str]) -> str:
        def group(reference: re.Match[str]) -> str:
            name = reference[1] or reference[2]
            if name is None:
                return "$"
            known = found.re.groupindex
            if name in known or (name.isdigit() and int(name) <= found.re.groups):
                return found[int(name) if name.isdigit() else name] or ""
            return ""

        return _GROUP.sub(group, new)

    return _pattern(pattern).sub(expand, s)


def read_stdin(*_: Value) -> str:
    """All of standard input."""
    return sys.stdin.read()


def write_str(s: str) -> None:
    """Write a text to standard output, without a line end."""
    sys.stdout.write(s)


def read_file(path: str) -> str:
    """The content of a file, `""` when it cannot be read."""
    try:
        return read_text(path)
    except (OSError, ValueError):
        return ""
