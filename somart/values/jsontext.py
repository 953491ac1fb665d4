"""JSON: `to_json`, always valid, and `from_json`, which gives the text back when it is not."""

from __future__ import annotations

import json
import math
from typing import NoReturn

from .kinds import Value
from .numbers import I64_MAX, I64_MIN
from .text import float_text, int_text, quote, text

MAX_DEPTH = 127


class InvalidJSON(ValueError):
    """The text is not JSON as the language understands it."""


def to_json(v: Value) -> str:
    """Valid JSON with the spacing of the text form: Strings quoted, NaN and infinities null.

    Variants and lambdas become strings of their text.
    """
    kind = type(v)
    if kind is str:
        return quote(v)
    if kind is int:
        return int_text(v)
    if kind is float:
        return float_text(v) if math.isfinite(v) else "null"
    if kind is list:
        return f"[{', '.join([to_json(item) for item in v])}]"
    if kind is dict:
        return f"{{{', '.join([f'{quote(k)}: {to_json(x)}' for k, x in v.items()])}}}"
    if v is None or kind is bool:
        return text(v)
    return quote(text(v))


def parse_json(s: str) -> Value:
    """The value of a JSON text, object keys in ascending order (builtins §11).

    Raises InvalidJSON, also for nesting beyond 127, lone surrogates and numbers that overflow.
    """
    try:
        value = _DECODER.decode(s.strip(" \t\r\n"))
    except (ValueError, RecursionError) as error:
        raise InvalidJSON(str(error)) from error
    if s.count("[") + s.count("{") > MAX_DEPTH and _depth(value) > MAX_DEPTH:
        raise InvalidJSON("nested too deeply")
    if "\\u" in s:
        _refuse_surrogates(value)
    return value


def from_json(v: Value) -> Value:
    """The builtin: invalid text is itself, Maps, Lists and `()` too; other kinds their text."""
    if type(v) is not str:
        return v if v is None or type(v) in (list, dict) else text(v)
    try:
        return parse_json(v)
    except InvalidJSON:
        return v


def _sorted_object(pairs: list[tuple[str, Value]]) -> dict[str, Value]:
    entries = dict(pairs)
    return {key: entries[key] for key in sorted(entries)}


def _integer(digits: str) -> int | float:
    if len(digits) > 20 or digits == "-0":
        return _real(digits)
    n = int(digits)
    return n if I64_MIN <= n <= I64_MAX else _real(digits)


def _real(digits: str) -> float:
    x = float(digits)
    if math.isinf(x):
        raise InvalidJSON("number out of range")
    return x


def _no_constant(name: str) -> NoReturn:
    raise InvalidJSON(f"{name} is not JSON")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_sorted_object,
    parse_int=_integer,
    parse_float=_real,
    parse_constant=_no_constant,
)


def _depth(value: Value) -> int:
    """How deep lists and maps nest, level by level, without recursion."""
    level, depth = [value], 0
    while level := [v for v in level if isinstance(v, (list, dict))]:
        depth += 1
        level = [x for v in level for x in (v.values() if isinstance(v, dict) else v)]
    return depth


def _refuse_surrogates(value: Value) -> None:
    try:
        text(value).encode()
    except UnicodeEncodeError as error:
        raise InvalidJSON("lone surrogate") from error
