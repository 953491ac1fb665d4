"""The grammar, read once from `grammar.peg` and made fast.

Only this package knows parsimonious. The text of the grammar is complete on its own; since the
scan has blanked all comments, each token and the white space behind it become one regular
expression here, which halves the time of a parse; so do arrows of a machine that stand in a row,
which makes long machines five times quicker.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from parsimonious.exceptions import ParseError  # type: ignore[import-untyped]
from parsimonious.expressions import Expression  # type: ignore[import-untyped]

from .notation import Rules, read_grammar


class Tree(Protocol):
    """A node of parsimonious' parse tree, as far as we use it."""

    expr: Any
    start: int
    end: int
    children: list[Tree]
    text: str


class Mismatch(Exception):
    """A rule did not match: `rule` failed last at the furthest `position`."""

    def __init__(self, rule: str, position: int) -> None:
        super().__init__(f"{rule} at {position}")
        self.rule = rule
        self.position = position


_GRAMMAR = Path(__file__).parent.parent / "grammar.peg"


def grammar_text() -> str:
    """The text of the grammar, also out of an installed wheel."""
    return _GRAMMAR.read_text(encoding="utf-8")


# A token on a line of its own with the blanks behind it: a regular expression, or its text.
_REGEX_TOKEN = re.compile(r"""^([A-Za-z_]+ *= ~r)(["'])(.*)\2s? _$""", re.MULTILINE)
_TEXT_TOKEN = re.compile(r"""^([A-Za-z_]+ *= )"([^"]+)" _$""", re.MULTILINE)
_UNREAD = re.compile(r"^#.*\n|^\n", re.MULTILINE)
_STATE_NAME = re.compile(r"""^any_name *= ~r"(.*)" _$""", re.MULTILINE)
_MACHINE_ITEMS = "(initial / transition)*"


@cache
def grammar() -> Rules:
    """The rules of the grammar, built on first use."""
    return read_grammar(fast_text())


def fast_text() -> str:
    """The grammar for texts without comments, where `_` is white space only."""
    text = _UNREAD.sub("", grammar_text())
    text = text.replace(_MACHINE_ITEMS, "(initial / plain_arrows / transition)*")
    text += f'plain_arrows = ~r"(?:{_plain_arrow()})++" _\n'
    text = _REGEX_TOKEN.sub(r"\1\2(?:\3)\\s*\2s", text)
    return _TEXT_TOKEN.sub(lambda m: f'{m[1]}~r"{re.escape(m[2])}\\s*"', text)


def _plain_arrow() -> str:
    """A `transition` of two names, and nothing behind it, as one regular expression."""
    found = _STATE_NAME.search(grammar_text())
    assert found is not None
    name = rf"{found[1]}\b"
    return rf"\s*(?:\*(?!=)|{name})\s*->\s*{name}(?!\s*(?:->|\{{))"


@cache
def plain_arrow() -> re.Pattern[str]:
    """What the rule `plain_arrows` repeats; the groups are the names."""
    name = "[A-Za-z_][A-Za-z0-9_]*"
    return re.compile(rf"(\*|{name})\s*->\s*({name})")


def match(rule: str, text: str, position: int = 0) -> Tree:
    """Match one rule at a position of a text without comments; raises Mismatch."""
    try:
        tree: Tree = grammar()[rule].match(text, position)
    except ParseError as error:
        raise Mismatch(_name(error.expr), error.pos) from None
    return tree


def _name(expression: Expression) -> str:
    return getattr(expression, "name", "") or rule_of(expression)


def rule_of(expression: Any) -> str:
    """The first name in an anonymous expression."""
    while not expression.name and getattr(expression, "members", None):
        expression = expression.members[0]
    return str(expression.name)
