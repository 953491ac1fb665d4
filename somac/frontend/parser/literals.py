"""Literals: numbers, durations, percentages, strings with their holes (core 1.4, 1.5)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction

from .. import limits
from .. import nodes as n
from ..lexer import HARD_KEYWORDS, found_text, scan
from ..source import Source, Span
from . import grammar
from .base import BaseBuilder, Rejected, word
from .expected import expectation
from .grammar import Tree

UNIT_MS = {
    "ms": 1,
    "s": 1000,
    "min": 60_000,
    "h": 3_600_000,
    "d": 86_400_000,
    "year": 31_557_600_000,
    "years": 31_557_600_000,
}
_AMOUNT = re.compile(r"([0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)(%|[a-z]+)")
_MAX_MS = 2**63 - 1  # a duration is an ordinary Int of 64 bits


def duration_ms(number: str, unit: str) -> int:
    """A duration in milliseconds, truncated; saturates at 64 bits (core 1.4)."""
    rough = float(number) * UNIT_MS[unit]
    if rough >= _MAX_MS:
        return _MAX_MS
    return int(Fraction(number) * UNIT_MS[unit]) if rough > 1e-3 else 0


class LiteralBuilder(BaseBuilder):
    def visit_number(self, tree: Tree) -> n.Int | n.Float:
        return self._number(word(tree), tree)

    def _number(self, text: str, tree: Tree) -> n.Int | n.Float:
        if not text.lstrip("-").isdigit():
            return n.Float(float(text), span=self.span(tree))
        if len(text) > limits.INTEGER_DIGITS:
            message = f"integer literal has more than {limits.INTEGER_DIGITS} digits"
            raise self.reject("E023", message, tree)
        return n.Int(int(text), span=self.span(tree))

    def visit_integer(self, tree: Tree) -> n.Int:
        value = self._number(word(tree), tree)
        assert isinstance(value, n.Int)
        return value

    def visit_bound(self, tree: Tree) -> n.Int:
        value = self.only(tree)
        if not isinstance(value, n.Int):
            raise self.reject("E010", f"expected integer, found number '{word(tree)}'", tree)
        return value

    def visit_negative(self, tree: Tree) -> n.Int | n.Float:
        return self._number("-" + word(tree).lstrip("-").strip(), tree)

    def visit_amount(self, tree: Tree) -> n.Duration | n.Percent:
        text = word(tree)
        parts = _AMOUNT.fullmatch(text)
        assert parts is not None
        number, unit = parts.groups()
        if unit == "%":
            return n.Percent(float(number), text, span=self.span(tree))
        return n.Duration(duration_ms(number, unit), text, span=self.span(tree))

    visit_duration = visit_amount

    def visit_boolean(self, tree: Tree) -> n.Bool:
        return n.Bool(word(tree) == "true", span=self.span(tree))

    def visit_string(self, tree: Tree) -> n.Str:
        raw = word(tree)
        triple = raw.startswith('"""')
        value, offsets = string_value(raw, tree.start)
        if self.offsets is not None:
            offsets = [self.offsets[i] for i in offsets]
        parts = interpolate(self.source, value, offsets) if "{" in value else (value,) * bool(value)
        return n.Str(value, parts, triple, span=self.span(tree))

    def plain_string(self, tree: Tree) -> str:
        """The text of a string that is never interpolated."""
        return string_value(word(tree), tree.start)[0]


# --- the text of a string literal ----------------------------------------------------------------

_ESCAPE = re.compile(r'\\([nt\\"])')
_ESCAPED = {"n": "\n", "t": "\t", "\\": "\\", '"': '"'}


def string_value(raw: str, start: int) -> tuple[str, Sequence[int]]:
    """The text of a literal, and where each of its characters (and its end) stands."""
    if raw.startswith('"""'):
        return _dedented(raw[3:-3], start + 3)
    inner, first = raw[1:-1], start + 1
    if "\\" not in inner:
        return inner, range(first, first + len(inner) + 1)
    parts: list[str] = []
    offsets: list[int] = []
    position = 0
    for escape in _ESCAPE.finditer(inner):
        at = escape.start()
        parts += inner[position:at], _ESCAPED[escape.group(1)]
        offsets.extend(range(first + position, first + at + 1))
        position = escape.end()
    parts.append(inner[position:])
    offsets.extend(range(first + position, first + len(inner) + 1))
    return "".join(parts), offsets


def _dedented(inner: str, first: int) -> tuple[str, Sequence[int]]:
    """The three rules of a triple-quoted string (core 1.5)."""
    if inner.startswith("\n"):
        inner, first = inner[1:], first + 1
    elif inner.startswith("\r\n"):
        inner, first = inner[2:], first + 2
    last = inner.rfind("\n")
    if last >= 0 and not inner[last + 1 :].strip(" \t\r"):
        inner = inner[:last].removesuffix("\r")
    lines = inner.split("\n")
    indents = [len(line) - len(line.lstrip(" \t")) for line in lines if line.strip()]
    margin = min(indents, default=0)
    if margin == 0:
        return inner, range(first, first + len(inner) + 1)
    kept: list[str] = []
    offsets: list[int] = []
    for line in lines:
        cut = margin if len(line) >= margin else 0
        kept.append(line[cut:])
        offsets.extend(range(first + cut, first + len(line) + 1))
        first += len(line) + 1
    return "\n".join(kept), offsets


# --- interpolation -------------------------------------------------------------------------------

_STOP = re.compile(r"[}:;]")
_PATH = re.compile(r"\s*([a-z_][A-Za-z0-9_]*)((?:\.[A-Za-z_][A-Za-z0-9_]*)*)\s*")


def interpolate(source: Source, value: str, offsets: Sequence[int]) -> tuple[str | n.Hole, ...]:
    """Split a string's text at its holes (core 1.5, rules 1 to 3)."""
    parts: list[str | n.Hole] = []
    text: list[str] = []
    last, position, stop = value.rfind("}"), 0, -1
    while -1 < (opening := value.find("{", position)) < last:
        if stop <= opening:
            found = _STOP.search(value, opening + 1)
            assert found is not None  # at the latest the last `}`
            stop = found.start()
        if value[stop] != "}" or stop == opening + 1:
            text.append(value[position : opening + 1])
            position = opening + 1
            continue
        text.append(value[position:opening])
        if joined := "".join(text):
            parts.append(joined)
        text = []
        parts.append(_hole(source, value[opening + 1 : stop], offsets[opening : stop + 2]))
        position = stop + 1
    text.append(value[position:])
    if joined := "".join(text):
        parts.append(joined)
    return tuple(parts)


def _hole(source: Source, text: str, offsets: Sequence[int]) -> n.Hole:
    """A hole; `offsets` are those of its braces and of the text between."""
    span = Span(source, offsets[0], offsets[-1])
    inner = offsets[1:]
    if path := _path(source, text, inner):
        return n.Hole(text, path, span=span)
    scanned = scan(text)
    if scanned.problems:
        return n.Hole(text, None, scanned.problems[0].message, span=span)
    try:
        tree = grammar.match("hole", scanned.clean)
        from .tree import Builder

        builder = Builder(source, scanned.clean, inner)
        expr = builder.build(next(t for t in tree.children if t.expr.name == "expr"))
    except grammar.Mismatch as mismatch:
        index = scanned.token_at(mismatch.position)
        at_end = index >= len(scanned.tokens)
        what = "'}'" if mismatch.rule in ("END", "item") else expectation(mismatch.rule, False)[1]
        found = "'}'" if at_end else found_text(scanned, index)
        return n.Hole(text, None, f"expected {what}, found {found}", span=span)
    except Rejected as rejected:
        return n.Hole(text, None, rejected.problem.message, span=span)
    return n.Hole(text, expr, span=span)


def _path(source: Source, text: str, offsets: Sequence[int]) -> n.Expr | None:
    """The common holes `{a}` and `{a.b}`, without the grammar."""
    found = _PATH.fullmatch(text)
    if found is None:
        return None
    names = [found[1], *found[2].split(".")[1:]]
    if not HARD_KEYWORDS.isdisjoint(names):
        return None
    start = offsets[found.start(1)]
    position = found.end(1)
    expr: n.Expr = n.Name(found[1], span=Span(source, start, offsets[position]))
    for name in names[1:]:
        position += 1 + len(name)
        expr = n.Field(expr, name, span=Span(source, start, offsets[position]))
    return expr
