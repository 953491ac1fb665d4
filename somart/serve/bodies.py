"""Bodies and queries as Soma values (spec 3 §8.2). The content type is not consulted."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import unquote, unquote_plus

import msgspec

from ..values import Value
from ..values.jsontext import InvalidJSON, parse_json
from .message import Refused

# What msgspec and the language might read differently goes to the language's own parser.
_UNUSUAL_NUMBER = re.compile(rb"\d(?:[eE]|\d{15})")
_NESTING = re.compile(rb"\[\s*\[|\{[^}]*\{")
_NESTED = frozenset({dict, list})
_decode = msgspec.json.Decoder().decode


def decode_text(raw: bytes) -> str:
    """UTF-8, or Refused with 400."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refused(400, "request body is not valid UTF-8") from error


def parse_body(raw: bytes) -> Value:
    """A Map or List for JSON, a Map for a form, else the raw String; `""` for an empty body."""
    if raw[:1] in (b"{", b"["):
        return _json_or_text(raw)
    if b"=" in raw:
        return parse_form(decode_text(raw))
    return decode_text(raw)


def _json_or_text(raw: bytes) -> Value:
    if not _unusual(raw):
        try:
            return _sorted(_decode(raw))
        except (msgspec.DecodeError, UnicodeDecodeError):
            return decode_text(raw)
    text = decode_text(raw)
    try:
        return parse_json(text)
    except InvalidJSON:
        return text


def _unusual(raw: bytes) -> bool:
    return (
        _UNUSUAL_NUMBER.search(raw) is not None
        or b"-0" in raw
        or b"\\u" in raw
        or ((raw.count(b"{") > 1 or raw.count(b"[") > 1) and _NESTING.search(raw) is not None)
    )


def _sorted(value: Value) -> Value:
    if type(value) is dict:
        return {
            key: _sorted(item) if type(item := value[key]) in _NESTED else item
            for key in sorted(value)
        }
    if type(value) is list:
        return [_sorted(item) if type(item) in _NESTED else item for item in value]
    return value


def parse_form(text: str) -> dict[str, Value]:
    """`a=1&b=x+y` as a Map of Strings; of equal names the last one counts."""
    return dict(parse_query(text))


def parse_query(query: str) -> list[tuple[str, str]]:
    """The pairs of a query in their order; a name without `=` has the value `""`."""
    pairs = []
    for part in query.split("&"):
        if part:
            name, _, value = part.partition("=")
            pairs.append((decode_plus(name), decode_plus(value)))
    return pairs


def decode_plus(text: str) -> str:
    """Decodes `+` and `%xx` of queries and forms."""
    if "%" not in text:
        return text.replace("+", " ")
    return _checked(unquote_plus, text)


def decode_percent(text: str) -> str:
    """Decodes `%xx` of a path segment."""
    return text if "%" not in text else _checked(unquote, text)


def _checked(decoder: Callable[[str, str, str], str], text: str) -> str:
    try:
        return decoder(text, "utf-8", "strict")
    except UnicodeDecodeError as error:
        raise Refused(400, "URL is not valid UTF-8") from error
