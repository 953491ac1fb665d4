"""What all parts of the tree builder share: dispatch by rule name, spans, children."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .. import limits
from ..lexer import Problem
from ..source import Source, Span
from .grammar import Tree


class Rejected(Exception):
    """What the grammar allows and the language does not; carries the problem to report."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


def kids(tree: Tree) -> list[Tree]:
    """The named children of a parse tree node; tokens (in capitals) and blanks are left out."""
    found: list[Tree] = []
    for child in tree.children:
        name = child.expr.name
        if not name:
            if child.children:
                found += kids(child)
        elif name[0].islower():
            found.append(child)
    return found


def word(tree: Tree) -> str:
    """The text of a token without the blanks behind it."""
    return tree.text.rstrip()


class BaseBuilder:
    """Turns parse trees of one text into nodes.

    `text` is the text that was parsed. `offsets` maps its positions to those of the source when
    they differ (holes of strings); its last entry is the position behind the text.
    """

    def __init__(self, source: Source, text: str, offsets: Sequence[int] | None = None) -> None:
        self.source = source
        self.text = text
        self.offsets = offsets
        self.depth = 0
        self._ends: dict[int, int] = {}
        self._visitors: dict[str, Callable[[Tree], Any]] = {}

    def build(self, tree: Tree) -> Any:
        """The node of a parse tree, by the visitor of its rule."""
        name = tree.expr.name
        visitor = self._visitors.get(name)
        if visitor is None:
            visitor = self._visitors[name] = getattr(self, f"visit_{name}")
        return visitor(tree)

    def end(self, tree: Tree) -> int:
        """Where the construct ends, without the blanks behind it."""
        known = self._ends.get(tree.end)
        if known is None:
            text, known = self.text, tree.end
            while known > 0 and text[known - 1].isspace():
                known -= 1
            self._ends[tree.end] = known
        return known

    def span(self, tree: Tree) -> Span:
        return self.place(tree.start, self.end(tree))

    def place(self, start: int, end: int) -> Span:
        if self.offsets is None:
            return Span(self.source, start, end)
        return Span(self.source, self.offsets[start], self.offsets[end])

    def reject(self, code: str, message: str, tree: Tree, hint: str | None = None) -> Rejected:
        span = self.span(tree)
        return Rejected(Problem(code, message, span.start, span.end, hint))

    def enter(self, tree: Tree) -> None:
        """Count one more level of nesting; the caller takes it off when it is done."""
        self.depth += 1
        if self.depth > limits.NESTING:
            message = f"nested too deeply: more than {limits.NESTING} levels"
            raise self.reject("E020", message, tree)

    def only(self, tree: Tree) -> Any:
        """The node of a rule that is a choice: that of its only child."""
        return self.build(kids(tree)[0])

    def all(self, trees: Sequence[Tree]) -> tuple[Any, ...]:
        return tuple(self.build(t) for t in trees)
