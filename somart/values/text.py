"""The text form of values (core §3.2), and the debug form that some errors show (builtins §1.5)."""

from __future__ import annotations

import re
from decimal import Decimal

from .kinds import Lambda, Value, Variant

_SPECIAL_CHARACTERS = re.compile(r'[\x00-\x1f"\\]')

_ESCAPES = {chr(c): f"\\u{c:04x}" for c in range(0x20)} | {
    '"': '\\"',
    "\\": "\\\\",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\b": "\\b",
    "\f": "\\f",
}


def text(v: Value) -> str:
    """The printed form: of `print`, `to_string`, interpolation, map keys and results."""
    kind = type(v)
    if kind is str:
        return v  # type: ignore[no-any-return]
    if kind is int:
        try:
            return str(v)
        except ValueError:
            return int_text(v)
    return _composite(v, kind)


def _composite(v: Value, kind: type) -> str:
    if kind is float:
        return float_text(v)
    if v is None:
        return "null"
    if kind is bool:
        return "true" if v else "false"
    if kind is list:
        return f"[{', '.join([_nested(item) for item in v])}]"
    if kind is dict:
        return f"{{{', '.join([f'{quote(k)}: {_nested(item)}' for k, item in v.items()])}}}"
    if kind is Variant:
        return _variant_text(v)
    return repr(v) if kind is Lambda else str(v)


def _nested(v: Value) -> str:
    return quote(v) if type(v) is str else text(v)


def _variant_text(v: Variant) -> str:
    if v.items is not None:
        return f"{v.name}({', '.join([text(item) for item in v.items])})"
    if v.fields is not None:
        return f"{v.name} {{ {',  '.join([f'{k}: {text(x)}' for k, x in v.fields.items()])} }}"
    return v.name


def quote(s: str) -> str:
    """A String as it stands inside a List or a Map: quoted, with JSON escapes."""
    if _SPECIAL_CHARACTERS.search(s) is None:
        return f'"{s}"'
    return f'"{_SPECIAL_CHARACTERS.sub(lambda m: _ESCAPES[m.group()], s)}"'


def int_text(n: int) -> str:
    """Decimal digits of any length; Python's own conversion refuses very long ones."""
    try:
        return str(n)
    except ValueError:
        return f"{Decimal(n):f}"  # exact, and not quadratic


def float_text(x: float) -> str:
    """All digits before the point, shortest round-trip ones after it, never an exponent."""
    shortest = repr(x)
    if "e" in shortest:
        return f"{int(x)}.0" if abs(x) >= 1 else f"{Decimal(shortest):f}"
    return "NaN" if shortest == "nan" else shortest


def number_text(x: float) -> str:
    """A Float as the messages of `round` and `clamp` show it: padded shortest digits, no `.0`."""
    shortest = repr(x)
    if shortest in ("nan", "inf", "-inf"):
        return float_text(x)
    return f"{Decimal(shortest):f}".removesuffix(".0")


# --- debug form ----------------------------------------------------------------------------------


def debug(v: Value) -> str:
    """The form in messages such as `expected Float, got String("x")`."""
    kind = type(v)
    if kind is int:
        return f"Int(SomaInt({int_text(v)}))"
    if kind is float:
        return f"Float({_debug_float(v)})"
    if kind is str:
        return f"String({debug_quote(v)})"
    if kind is bool:
        return f"Bool({text(v)})"
    if kind is list:
        return f"List([{', '.join([debug(item) for item in v])}])"
    if kind is dict:
        return f"Map({_debug_fields(v)})"
    if kind is Variant:
        return _debug_variant(v)
    return "Unit" if v is None else text(v)


def _debug_fields(fields: dict[str, Value]) -> str:
    return f"{{{', '.join([f'{debug_quote(k)}: {debug(x)}' for k, x in fields.items()])}}}"


def _debug_variant(v: Variant) -> str:
    if v.items is not None:
        payload = f"Tuple([{', '.join([debug(item) for item in v.items])}])"
    elif v.fields is not None:
        payload = f"Struct({_debug_fields(v.fields)})"
    else:
        payload = "Unit"
    return f'Variant {{ type_name: "{v.type_name}", variant: "{v.name}", fields: {payload} }}'


def _debug_float(x: float) -> str:
    """Like Python's repr, with the exponent bare: 1e16, 1e-7."""
    shortest = repr(x)
    if "e" not in shortest:
        return "NaN" if shortest == "nan" else shortest
    mantissa, exponent = shortest.split("e")
    return f"{mantissa}e{int(exponent)}"


def debug_quote(s: str) -> str:
    """A string in debug form: `"`, backslash, newline, return and tab escaped."""
    s = s.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + s.replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t") + '"'
