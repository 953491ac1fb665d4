"""Where a new section of a cell goes, in the style of those that are there."""

from __future__ import annotations

from ..frontend import nodes as n
from .edits import Edit

INDENT = "    "


class Layout:
    """The layout of one cell: its line ends, its indentation, and the place before its `}`."""

    def __init__(self, cell: n.Cell) -> None:
        self.text = cell.span.source.text
        self.newline = "\r\n" if "\r\n" in self.text else "\n"
        self.outer = self._indentation(cell.span.start)
        inner = (self._own_line(s) for s in cell.sections)
        self.inner = next((i for i in inner if i is not None), self.outer + INDENT)
        step = self.inner.removeprefix(self.outer)
        self.step = step if step and self.inner.startswith(self.outer) else INDENT
        self.brace = cell.span.end - 1
        self.line_start = self.text.rfind("\n", 0, self.brace) + 1
        self.apart = bool(cell.sections)

    def section(self, head: str, statement: str) -> Edit:
        """Inserts `head { statement }` as the last section; a cell on one line stays on it."""
        if self.text[self.line_start : self.brace].strip():
            blank = "" if self.text[self.brace - 1].isspace() else " "
            return Edit(self.brace, self.brace, f"{blank}{head} {{ {statement} }} ")
        lines = [f"{self.inner}{head} {{", f"{self.inner}{self.step}{statement}", f"{self.inner}}}"]
        if self.apart:
            lines.insert(0, "")
        added = "".join(line + self.newline for line in lines)
        return Edit(self.line_start, self.line_start, added)

    def _indentation(self, offset: int) -> str:
        line = self.text[self.text.rfind("\n", 0, offset) + 1 : offset]
        return line[: len(line) - len(line.lstrip(" \t"))]

    def _own_line(self, section: n.Section) -> str | None:
        """The indentation of a section that begins its line."""
        start = self.text.rfind("\n", 0, section.span.start) + 1
        before = self.text[start : section.span.start]
        return before if not before.strip() else None
