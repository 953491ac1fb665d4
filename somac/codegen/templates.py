"""Renders the templates of generated packages, each value escaped for the place where it lands."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import jinja2


def template_folder() -> Path:
    """Where the templates lie: beside somac in a checkout, inside it when installed."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "templates"
    return installed if installed.is_dir() else package.parent / "templates"


def render(name: str, **values: Any) -> str:
    """The text of a template. A value that is missing is an error, not an empty text."""
    return _environment().get_template(name).render(**values)


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(template_folder()),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        autoescape=False,  # the targets are Python, TOML and Markdown: see the filters
    )
    environment.filters.update(toml=toml_string, docstring=docstring_text, line=one_line)
    return environment


def toml_string(text: str) -> str:
    """A TOML basic string. JSON's escapes are TOML's, but for DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def docstring_text(text: str) -> str:
    """Text that is safe inside a triple-quoted docstring: no quotes, backslashes, controls."""
    return "".join(c if c.isprintable() and c not in '"\\' else " " for c in text)


def one_line(text: str) -> str:
    """Text without line breaks or other control characters."""
    return "".join(c if c.isprintable() else " " for c in text)
