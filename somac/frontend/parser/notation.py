"""Reads the notation of parsimonious' grammars, as far as ours uses it.

parsimonious reads a grammar with a grammar, which takes longer than checking a small program. This
reader builds the same expressions in a fraction of the time; a test compares the two, rule by rule.
"""

from __future__ import annotations

import ast
import re
from typing import Any

from parsimonious.expressions import (  # type: ignore[import-untyped]
    Expression,
    Literal,
    Lookahead,
    OneOf,
    Quantifier,
    Regex,
    Sequence,
)
from parsimonious.expressions import re as regex

_TOKEN = re.compile(
    r"""(?:\s|\#.*)*(?:
    (?P<rule>[A-Za-z_]\w*)[ ]*=
    |(?P<name>[A-Za-z_]\w*)
    |~r(?P<regex>"[^"\\]*(?:\\.[^"\\]*)*"|'[^'\\]*(?:\\.[^'\\]*)*')(?P<flags>[a-z]*)
    |(?P<literal>"[^"\\]*(?:\\.[^"\\]*)*")
    |(?P<mark>[/()?*+&!])
    )""",
    re.VERBOSE,
)
_BOUNDS = {"?": (0, 1), "*": (0, float("inf")), "+": (1, float("inf"))}

Rules = dict[str, Any]


class LazyRegex(Regex):  # type: ignore[misc]
    """A regular expression that is compiled when it is first needed: many rules are rare."""

    def __init__(self, pattern: str, flags: str) -> None:
        Expression.__init__(self)
        self.pattern = pattern
        self.flags = re.S if "s" in flags else 0
        self.identity_tuple = (self.name, pattern)

    def __getattr__(self, name: str) -> Any:
        """Called for `re`, as long as its slot is empty."""
        if name != "re":
            raise AttributeError(name)
        try:
            self.re = re.compile(self.pattern, self.flags)  # compiles faster than `regex` does
        except re.error:
            self.re = regex.compile(self.pattern, regex.S if self.flags else 0)
        return self.re


def read_grammar(text: str) -> Rules:
    """All rules by name. Raises ValueError for what is not in the notation."""
    return _Reader(text).rules()


class _Reader:
    """One rule after the other. A name stands for a rule until all are there."""

    def __init__(self, text: str) -> None:
        self._text = text.rstrip()
        self._kind = self._value = self._flags = ""
        self._end = 0
        self._advance()

    def rules(self) -> Rules:
        rules: Rules = {}
        while self._kind:
            name = self._take("rule")
            expression = self._choice()
            if isinstance(expression, str):
                raise ValueError(f"rule {name} is only another name")
            expression.name = name
            rules[name] = expression
        for expression in rules.values():
            _resolve(expression, rules)
        return rules

    def _advance(self) -> None:
        if self._end >= len(self._text):
            self._kind = ""
            return
        found = _TOKEN.match(self._text, self._end)
        if found is None:
            raise ValueError(f"not a grammar: {self._text[self._end :][:40]!r}")
        self._flags = found["flags"] or ""
        self._kind = "regex" if found["regex"] else str(found.lastgroup)
        self._value = found[self._kind]
        self._end = found.end()

    def _take(self, kind: str, value: str | None = None) -> str:
        if self._kind != kind or value not in (None, self._value):
            raise ValueError(f"not a grammar: {value or kind} expected, got {self._value!r}")
        taken = self._value
        self._advance()
        return taken

    def _at(self, *marks: str) -> bool:
        return self._kind == "mark" and self._value in marks

    def _choice(self) -> Any:
        members = [self._sequence()]
        while self._at("/"):
            self._advance()
            members.append(self._sequence())
        return OneOf(*members) if len(members) > 1 else members[0]

    def _sequence(self) -> Any:
        members = [self._term()]
        while self._kind not in ("", "rule") and not self._at("/", ")"):
            members.append(self._term())
        return Sequence(*members) if len(members) > 1 else members[0]

    def _term(self) -> Any:
        if self._at("&", "!"):
            negative = self._take("mark") == "!"
            return Lookahead(self._term(), negative=negative)
        atom = self._atom()
        if self._at("?", "*", "+"):
            least, most = _BOUNDS[self._take("mark")]
            return Quantifier(atom, min=least, max=most)
        return atom

    def _atom(self) -> Any:
        if self._at("("):
            self._advance()
            inner = self._choice()
            self._take("mark", ")")
            return inner
        if self._kind == "regex":
            made = LazyRegex(self._value[1:-1], self._flags)
            self._advance()
            return made
        if self._kind == "literal":
            return Literal(ast.literal_eval(self._take("literal")))
        return self._take("name")


def _resolve(expression: Any, rules: Rules) -> None:
    """Puts rules in the place of their names."""
    members = getattr(expression, "members", None)
    if not members:
        return
    expression.members = tuple([rules[m] if isinstance(m, str) else m for m in members])
    for before, member in zip(members, expression.members, strict=True):
        if member is before:
            _resolve(member, rules)


__all__ = ["Rules", "read_grammar"]
