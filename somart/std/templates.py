"""Templates (builtins §12.2)."""

from __future__ import annotations

from collections.abc import Mapping

from ..errors import type_error
from ..values.kinds import Value
from ..values.text import text
from .arguments import need
from .files import os_message, read_text


def fill(template: str, values: Mapping[str, str]) -> str:
    """Each `{key}` of a known key replaced, in one pass; all else stays."""
    pieces: list[str] = []
    position = 0
    while (start := template.find("{", position)) >= 0:
        end = template.find("}", start)
        if end < 0:
            break
        value = values.get(template[start + 1 : end])
        pieces.append(template[position:start])
        pieces.append("{" if value is None else value)
        position = start + 1 if value is None else end + 1
    pieces.append(template[position:])
    return "".join(pieces)


def _pairs(args: tuple[Value, ...]) -> dict[str, str]:
    return {text(args[i]): text(args[i + 1]) for i in range(0, len(args) - 1, 2)}


def render(*args: Value) -> str:
    if not args or type(args[0]) is not str:
        raise type_error("render expects a template string")
    return fill(args[0], _pairs(args[1:]))


def render_each(*args: Value) -> str:
    """The template once for each Map of a list, filled from its entries."""
    need(args, 2, "render_each expects 2 arguments")
    rows, template = args[:2]
    if type(rows) is not list or type(template) is not str:
        raise type_error("render_each expects (list, template)")
    filled = [fill(template, {k: text(v) for k, v in r.items()}) for r in rows if type(r) is dict]
    return "".join(filled)


def load_template(*args: Value) -> str:
    """A file, its `{key}`s replaced pair after pair; inserted text is looked at again."""
    if not args or type(args[0]) is not str:
        raise type_error("load_template expects a file path string")
    try:
        content = read_text(args[0])
    except (OSError, ValueError) as error:
        raise type_error(f"cannot load '{args[0]}': {os_message(error)}") from error
    for i in range(1, len(args) - 1, 2):
        content = content.replace(f"{{{text(args[i])}}}", text(args[i + 1]))
    return content
