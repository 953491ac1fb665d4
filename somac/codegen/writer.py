"""Lines of Python under construction, each with the place in the source that it came from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ..frontend.source import Span

INDENT = "    "


@dataclass(frozen=True, slots=True)
class Line:
    depth: int
    text: str
    span: Span | None = None


class Writer:
    """Collects lines; `suite` indents, `capture` sets lines aside."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.depth = 0
        self.span: Span | None = None  # of the statement being written

    def add(self, text: str) -> None:
        """One line at the current depth, on account of the current statement."""
        self.lines.append(Line(self.depth, text, self.span))

    def blank(self) -> None:
        if self.lines and self.lines[-1].text:
            self.lines.append(Line(0, ""))

    @contextmanager
    def suite(self, head: str) -> Iterator[None]:
        """A compound statement; an empty body becomes `pass`."""
        self.add(head)
        start = len(self.lines)
        self.depth += 1
        yield
        if len(self.lines) == start:
            self.add("pass")
        self.depth -= 1

    @contextmanager
    def capture(self) -> Iterator[list[Line]]:
        """Sets the lines written inside aside; the caller decides where they go."""
        outer, self.lines = self.lines, []
        try:
            yield self.lines
        finally:
            self.lines = outer

    def replay(self, lines: list[Line]) -> None:
        """Writes captured lines one level deeper than they were captured at."""
        self.lines.extend(Line(line.depth + 1, line.text, line.span) for line in lines)


def join(lines: list[Line]) -> tuple[str, tuple[tuple[int, Span], ...]]:
    """The text of the lines, and the table of those (from 1) whose source is known."""
    text = "\n".join(INDENT * line.depth + line.text if line.text else "" for line in lines)
    table = tuple((i, line.span) for i, line in enumerate(lines, 1) if line.span is not None)
    return text.rstrip("\n") + "\n", table
