"""From a source text to a syntax tree, or to as many diagnostics as can be told apart.

Items (cells and protocols) are parsed one at a time, which bounds the memory of the packrat cache
by the largest cell and lets an error in one cell leave the others alone.
"""

from __future__ import annotations

import sys
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager

from .. import limits
from .. import nodes as n
from ..diagnostics import Diagnostic, Severity
from ..frozen import Frozen
from ..lexer import Problem, Scan, found_text, scan
from ..source import Source, Span
from . import grammar
from .base import Rejected
from .expected import expectation
from .hints import hint_for
from .recovery import Brackets
from .tree import Builder


class Parsed(Frozen):
    """`module` is None exactly when a diagnostic is an error."""

    module: n.Module | None
    diagnostics: tuple[Diagnostic, ...]


def parse(source: Source) -> Parsed:
    """Parse one source text. Never raises for any text; the first diagnostic is the one that a
    compiler reporting a single error would report (core 1.1, 4.2)."""
    if len(source.text) > limits.FILE_CHARACTERS:
        message = f"source file is longer than {limits.FILE_CHARACTERS} characters"
        problem = Problem("E021", message, 0, 0)
        return Parsed(None, (diagnostic(source, problem),))
    parser = _Parser(source)
    with _deep_recursion():
        parser.run()
    if parser.problems:
        found = parser.problems[: limits.DIAGNOSTICS]
        return Parsed(None, tuple(diagnostic(source, p) for p in found))
    module = n.Module(
        tuple(parser.uses),
        tuple(i for i in parser.items if isinstance(i, n.Cell)),
        tuple(i for i in parser.items if isinstance(i, n.Protocol)),
        span=Span(source, 0, len(source.text)),
    )
    return Parsed(module, ())


def diagnostic(source: Source, problem: Problem) -> Diagnostic:
    """A problem of a text as a diagnostic of its source."""
    span = Span(source, problem.start, problem.end)
    return Diagnostic(problem.code, Severity.ERROR, problem.message, span, hint=problem.hint)


@contextmanager
def _deep_recursion() -> Iterator[None]:
    """Frames for the deepest text that the limits allow; Python calls take no stack of C."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, limits.RECURSION))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


class _Parser:
    def __init__(self, source: Source) -> None:
        self.source = source
        self.uses: list[n.Use] = []
        self.items: list[n.Cell | n.Protocol] = []
        self.scan: Scan = scan(source.text)
        self.problems: list[Problem] = list(self.scan.problems)
        self.clean = self.scan.clean
        self.builder = Builder(source, self.clean)
        self.failures = 0  # items given up, also those without a diagnostic of their own
        self._brackets: Brackets | None = None

    @property
    def brackets(self) -> Brackets:
        if self._brackets is None:
            self._brackets = Brackets(self.scan)
        return self._brackets

    def run(self) -> None:
        if self.scan.fatal:
            return
        index, tokens = 0, self.scan.tokens
        while index < len(tokens) and self.failures < limits.DIAGNOSTICS:
            rule = {"use": "use", "cell": "item", "protocol": "item"}.get(self.scan.word(index))
            if rule == "use" and self.items:
                rule = None
            if rule is None:
                self.unexpected(index)
                index = self.next_item(index + 1)
                continue
            end = self.one(rule, tokens[index].start)
            if end is None:
                stop = self.item_end(index)
                self.recover(rule, index, stop)
                index = stop
            else:
                index = self.scan.token_at(end)

    def one(self, rule: str, start: int) -> int | None:
        """Parse one use, cell or protocol; its end, or None after a problem."""
        try:
            tree = grammar.match(rule, self.clean, start)
            node = self.builder.build(tree)
        except grammar.Mismatch as mismatch:
            self.report(self.mismatch(mismatch))
            return None
        except Rejected as rejected:
            self.builder.depth = 0
            self.report(rejected.problem)
            return None
        except RecursionError:
            self.builder.depth = 0
            self.report(Problem("E020", "nested too deeply: out of stack", start, start + 1))
            return None
        if isinstance(node, n.Use):
            self.uses.append(node)
        else:
            self.items.append(node)
        return tree.end

    def report(self, problem: Problem) -> None:
        """Add a problem, unless its line has one already."""
        self.failures += 1
        position = self.source.position
        line = position(problem.start)[0]
        if all(position(p.start)[0] != line for p in self.problems):
            self.problems.append(problem)

    def unexpected(self, index: int) -> None:
        token = self.scan.tokens[index]
        message = f"expected 'cell', found {found_text(self.scan, index)}"
        hint = hint_for("item", self.scan, index)
        self.report(Problem("E010", message, token.start, token.end, hint))

    def mismatch(self, mismatch: grammar.Mismatch) -> Problem:
        index = self.scan.token_at(mismatch.position)
        at_end = index >= len(self.scan.tokens)
        code, what = expectation(mismatch.rule, at_end)
        message = f"expected {what}, found {found_text(self.scan, index)}"
        if at_end:
            end = len(self.source.text)
            return Problem(code, message, end, end, hint_for(mismatch.rule, self.scan, index))
        token = self.scan.tokens[index]
        hint = hint_for(mismatch.rule, self.scan, index)
        return Problem(code, message, token.start, token.end, hint)

    def next_item(self, index: int) -> int:
        """The index of the first token of the next cell or protocol, at or after a token."""
        starts = self.brackets.item_starts
        found = bisect_left(starts, index)
        return starts[found] if found < len(starts) else len(self.scan.tokens)

    def item_end(self, index: int) -> int:
        """The index of the first token behind a broken item: behind its braces if they match."""
        stop = self.next_item(index + 1)
        for i in range(index, stop):
            if self.scan.word(i) == "{":
                return min(self.brackets.partner.get(i, stop) + 1, stop)
        return stop

    # --- recovery ----------------------------------------------------------------------------

    def recover(self, rule: str, first: int, stop: int) -> None:
        """Find further errors of the item [first, stop), whose first has been reported."""
        tokens, brackets = self.scan.tokens, self.brackets
        start = tokens[first].start
        limit = tokens[stop].start if stop < len(tokens) else len(self.clean)
        text = self.clean[:limit]
        last, level = self.problems[-1], 0
        for _ in range(3 * limits.DIAGNOSTICS):
            index = self.scan.token_at(last.start)
            if index >= stop or len(self.problems) >= limits.DIAGNOSTICS:
                return
            region = (
                brackets.statement(index, first + 1, stop)
                if level == 0
                else brackets.enclosing(index, level, first, stop)
            )
            if region is None:
                return
            text = self._blanked(text, *region)
            found = self._retry(rule, text, start)
            if found is None:
                return
            level = 0 if found.start > last.start else level + 1
            if level == 0:
                self.report(found)
                last = found

    def _blanked(self, text: str, first: int, stop: int) -> str:
        if first >= stop:
            return text
        a, b = self.scan.tokens[first].start, self.scan.tokens[stop - 1].end
        blank = "".join("\n" if c == "\n" else " " for c in text[a:b])
        return text[:a] + blank + text[b:]

    def _retry(self, rule: str, text: str, start: int) -> Problem | None:
        """The next problem of a partly blanked text, if it can be told apart from an echo."""
        try:
            tree = grammar.match(rule, text, start)
            Builder(self.source, text).build(tree)
        except grammar.Mismatch as mismatch:
            if mismatch.position >= len(text.rstrip()):
                return None
            return self.mismatch(mismatch)
        except Rejected as rejected:
            return rejected.problem
        except RecursionError:
            return None
        return None
