"""How values are stored: a type tag and a text, so that what is stored comes back equal.

The tags are those of spec 3 §1.6. Differences, all towards keeping more: big integers keep the
tag `int`, Maps keep their order, NaN and infinities keep their value inside Lists and Maps, and
a Map with a key that the encoding itself uses is wrapped in `{"__map__": [[key, value], …]}`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, cast

from .. import limits
from ..errors import type_error
from ..values import Lambda, Value, Variant, text
from ..values.jsontext import InvalidJSON, parse_json

_SCALARS = frozenset({int, float, str, bool, type(None)})
_VARIANT = "__variant__"
_MAP = "__map__"


def storable(value: Value) -> Value:
    """The value as a slot keeps it: Lambdas become the text `<lambda>`, at any depth."""
    kind = value.__class__
    if kind in _SCALARS:
        return value
    if kind is list:
        items = [storable(item) for item in value]
        return value if _same(items, value) else items
    if kind is dict:
        kept = [storable(item) for item in value.values()]
        return value if _same(kept, value.values()) else dict(zip(value, kept, strict=True))
    if kind is Variant:
        return _storable_variant(value)
    return "<lambda>" if kind is Lambda else text(value)


def _same(new: Any, old: Any) -> bool:
    return all(a is b for a, b in zip(new, old, strict=True))


def _storable_variant(value: Variant) -> Variant:
    if value.items is not None:
        return Variant(value.type_name, value.name, tuple(storable(item) for item in value.items))
    if value.fields is not None:
        fields = {name: storable(item) for name, item in value.fields.items()}
        return Variant(value.type_name, value.name, None, fields)
    return value


# --- writing -------------------------------------------------------------------------------------


def encode(value: Value) -> tuple[str, str]:
    """The type tag and the text of a storable value. Raises SomaError for what cannot be kept."""
    kind = value.__class__
    if kind is str:
        return _encode_string(value)
    if kind is bool:
        return "bool", "true" if value else "false"
    if kind is int:
        return "int", str(value)
    if kind is float:
        return "float", repr(value)
    if value is None:
        return "null", ""
    tag = "variant" if kind is Variant else "json"
    if _deeper_than(value, limits.STORED_DEPTH):
        raise type_error(f"a value nested deeper than {limits.STORED_DEPTH} cannot be stored")
    encoded = json.dumps(_plain(value), ensure_ascii=False, separators=(",", ":"))
    if not _is_unicode(encoded):
        encoded = json.dumps(_plain(value), separators=(",", ":"))
    return tag, encoded


def _deeper_than(value: Value, limit: int) -> bool:
    """Level by level, without recursion."""
    level = [value]
    for _ in range(limit + 1):
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            return False
    return True


def _inside(value: Value) -> Iterable[Value]:
    kind = value.__class__
    if kind is list:
        return cast("list[Value]", value)
    if kind is dict:
        return cast("dict[str, Value]", value).values()
    if kind is Variant:
        return value.items or (value.fields or {}).values()
    return ()


def _encode_string(value: str) -> tuple[str, str]:
    if _is_unicode(value):
        return "string", value
    return "json", json.dumps(value)  # lone surrogates have no UTF-8 form


def _is_unicode(value: str) -> bool:
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def check_key(key: str) -> None:
    """Raises SomaError when a key has no UTF-8 form and so cannot be stored."""
    if not _is_unicode(key):
        raise type_error("a key of a persistent slot must be valid Unicode text")


def _plain(value: Value) -> Any:
    kind = value.__class__
    if kind in _SCALARS:
        return value
    if kind is list:
        return [_plain(item) for item in value]
    if kind is Variant:
        return _plain_variant(value)
    if _VARIANT in value or _MAP in value:
        return {_MAP: [[key, _plain(item)] for key, item in value.items()]}
    return {key: _plain(item) for key, item in value.items()}


def _plain_variant(value: Variant) -> dict[str, Any]:
    kind, fields = "unit", None
    if value.items is not None:
        kind, fields = "tuple", [_plain(item) for item in value.items]
    elif value.fields is not None:
        kind, fields = "struct", [[name, _plain(item)] for name, item in value.fields.items()]
    return {
        "__fields__": fields,
        "__kind__": kind,
        "__name__": value.name,
        _VARIANT: value.type_name,
    }


# --- reading -------------------------------------------------------------------------------------


def decode(tag: str, stored: str) -> Value:
    """The value behind a tag and a text. Raises SomaError when the record is damaged."""
    try:
        return _decode(tag, stored)
    except (ValueError, KeyError, TypeError) as error:
        raise type_error(f"damaged record in the database: {tag} {stored[:40]!r}") from error


def _decode(tag: str, stored: str) -> Value:
    if tag == "string":
        return stored
    if tag == "int":
        return int(stored)
    if tag == "float":
        return float(stored)
    if tag == "bool":
        return stored == "true"
    if tag == "null":
        return None
    if tag not in ("json", "variant"):
        raise ValueError(f"unknown tag {tag}")
    if _VARIANT in stored or _MAP in stored:
        return json.loads(stored, object_hook=_revive)
    return json.loads(stored)


def _revive(found: dict[str, Any]) -> Value:
    if _MAP in found:
        return dict(found[_MAP])
    if _VARIANT not in found:
        return found
    kind, fields = found["__kind__"], found["__fields__"]
    items = tuple(fields) if kind == "tuple" else None
    named = dict(fields) if kind == "struct" else None
    return Variant(found[_VARIANT], found["__name__"], items, named)


# --- the JSON-looking text of `get` --------------------------------------------------------------


def parsed(value: str) -> Value:
    """What `get` makes of a stored String: a Map or List when it reads as one (§1.5)."""
    first = value[:1]
    if first not in "{[" and not first.isspace():
        return value
    trimmed = value.strip()
    if trimmed[:1] + trimmed[-1:] not in ("{}", "[]"):
        return value
    try:
        return parse_json(trimmed)
    except InvalidJSON:
        return value
