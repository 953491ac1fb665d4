"""The one way for data of a program to become Python source text."""

from __future__ import annotations

import math


def string(text: str) -> str:
    """A Python literal of exactly this text, on one line."""
    body = "".join(_escaped(char) for char in text)
    if '"' in text and "'" not in text:
        return f"'{body}'"
    return '"' + body.replace('"', '\\"') + '"'


def format_text(text: str) -> str:
    """The text as it stands between the double quotes of an f-string."""
    body = "".join(_escaped(char) for char in text).replace('"', '\\"')
    return body.replace("{", "{{").replace("}", "}}")


def _escaped(char: str) -> str:
    if char == "\\":
        return "\\\\"
    if char.isprintable():
        return char
    named = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}.get(char)
    if named is not None:
        return named
    code = ord(char)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def floating(value: float) -> str:
    """A Python expression of exactly this Float."""
    if math.isnan(value):
        return 'float("nan")'
    if math.isinf(value):
        return 'float("inf")' if value > 0 else 'float("-inf")'
    return repr(value)


def integer(value: int) -> str:
    """A Python literal of an Int; hexadecimal beyond the digits that Python converts."""
    return str(value) if abs(value) < 10**4000 else hex(value)


def docstring(text: str) -> str:
    """A one-line docstring; what could end or escape it becomes a blank."""
    safe = "".join(c if c.isprintable() and c not in '"\\' else " " for c in text)
    return f'"""{safe}"""'


def tuple_of(items: list[str]) -> str:
    """A Python tuple display of these expressions."""
    return f"({items[0]},)" if len(items) == 1 else f"({', '.join(items)})"
