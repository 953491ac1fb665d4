"""The grammar, read once from `grammar.peg` and made fast.

Only this package knows parsimonious. The text of the grammar is complete on its own; since the
scan has blanked all comments, each token and the white space behind it become one regular
expression here, which halves the time of a parse.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import Any, Protocol

from parsimonious.exceptions import ParseError  # type: ignore[import-untyped]
from parsimonious.expressions import Compound, Expression, Literal, Regex, Sequence  # type: ignore[import-untyped]
from parsimonious.grammar import Grammar  # type: ignore[import-untyped]


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


def grammar_text() -> str:
    """The text of the grammar, also out of an installed wheel."""
    return files("somac.frontend").joinpath("grammar.peg").read_text(encoding="utf-8")


@cache
def grammar() -> Grammar:
    """The grammar, built on first use."""
    built = Grammar(grammar_text())
    _fuse_tokens(built)
    return built


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


def _fuse_tokens(built: Grammar) -> None:
    """Replace each `token _` by one regular expression, everywhere in the graph of rules."""
    blanks = built["_"]
    fused: dict[int, Expression] = {}
    for rule in list(built.values()):
        if isinstance(rule, Sequence) and len(rule.members) == 2 and rule.members[1] is blanks:
            fused[id(rule)] = _fused(rule.name, rule.members[0])
    seen: set[int] = set()
    pending = list(built.values())
    while pending:
        expression = pending.pop()
        if id(expression) in seen or not isinstance(expression, Compound):
            continue
        seen.add(id(expression))
        expression.members = tuple(fused.get(id(m), m) for m in expression.members)
        pending.extend(expression.members)
    for name, rule in list(built.items()):
        dict.__setitem__(built, name, fused.get(id(rule), rule))


def _fused(name: str, token: Expression) -> Expression:
    if isinstance(token, Literal):
        return Regex(re.escape(token.literal) + r"\s*", name=name)
    assert isinstance(token, Regex)
    return Regex(f"(?:{token.re.pattern})\\s*", name=name, dot_all=True)
