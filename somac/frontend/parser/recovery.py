"""Going on after a syntax error: what to blank out so that the next error can be found.

The offending statement goes first; if that does not help, the contents of the innermost braces,
then of those around them, up to the whole cell. Offsets stay as they are.
"""

from __future__ import annotations

from ..lexer import CLOSERS, OPENERS, Scan

CONTINUES = frozenset(
    [
        "|>",
        ".",
        "?",
        "??",
        "+",
        "*",
        "/",
        "%",
        "==",
        "!=",
        "<",
        ">",
        "<=",
        ">=",
        "&&",
        "||",
        ",",
        "else",
    ]
)
NEEDS_MORE = frozenset(
    [
        "|>",
        ".",
        "??",
        "+",
        "-",
        "*",
        "/",
        "%",
        "==",
        "!=",
        "<",
        ">",
        "<=",
        ">=",
        "&&",
        "||",
        ",",
        "=",
        "+=",
        "-=",
        "*=",
        "/=",
        "->",
        "=>",
        ":",
    ]
)


class Brackets:
    """Partners of brackets and the innermost bracket around each token."""

    def __init__(self, scanned: Scan) -> None:
        self.scan = scanned
        self.words = [scanned.word(i) for i in range(len(scanned.tokens))]
        self.partner: dict[int, int] = {}
        self.parent: list[int] = []  # index of the opening bracket around a token, or -1
        self.item_starts: list[int] = []
        self._link()
        self.lines = self._lines()

    def _link(self) -> None:
        stack: list[int] = []
        for i, text in enumerate(self.words):
            if self._starts_item(i, text):
                if self._at_line_start(i):
                    stack.clear()  # an item at the margin: braces before it were left open
                if not stack:
                    self.item_starts.append(i)
            if text in CLOSERS:
                self._close(stack, i, text)
            self.parent.append(stack[-1] if stack else -1)
            if text in OPENERS:
                stack.append(i)

    def _close(self, stack: list[int], i: int, text: str) -> None:
        """Close a bracket; a brace also closes what was left open inside its pair."""
        wanted = CLOSERS[text]
        if text == "}" and any(self.words[o] == "{" for o in stack):
            while self.words[stack[-1]] != "{":
                stack.pop()
        if stack and self.words[stack[-1]] == wanted:
            opener = stack.pop()
            self.partner[opener], self.partner[i] = i, opener

    def _starts_item(self, i: int, text: str) -> bool:
        return text in ("cell", "protocol") and (i == 0 or self.words[i - 1] not in (".", "::"))

    def _at_line_start(self, i: int) -> bool:
        start = self.scan.tokens[i].start
        return start == 0 or self.scan.text[start - 1] == "\n"

    def _lines(self) -> list[int]:
        lines, line, position = [], 0, 0
        for token in self.scan.tokens:
            line += self.scan.text.count("\n", position, token.start)
            position = token.start
            lines.append(line)
        return lines

    def statement(self, index: int, first: int, stop: int) -> tuple[int, int]:
        """The tokens [a, b) of the statement around a token, within [first, stop)."""
        words, parent = self.words, self.parent
        index = min(index, stop - 1)
        if words[index] in CLOSERS and index - 1 >= first and words[index - 1] not in OPENERS:
            index -= 1  # the statement before a closing bracket is the incomplete one
        while parent[index] >= first and words[parent[index]] in "([":
            index = parent[index]
        return self._backward(index, first), self._forward(index, stop)

    def _backward(self, start: int, first: int) -> int:
        words, home = self.words, self.parent[start]
        while start - 1 >= first and start - 1 != home:
            before = start - 1
            joined = words[start] in CONTINUES or words[before] in NEEDS_MORE
            if self.lines[before] != self.lines[start] and not joined:
                break
            if words[before] in CLOSERS and before in self.partner:
                if words[before] == "}" and words[start] != "else":
                    break
                before = self.partner[before]
            start = before
        return start

    def _forward(self, index: int, stop: int) -> int:
        words, end = self.words, index
        while end < stop:
            if words[end] in OPENERS:
                end = self.partner.get(end, end)
            end += 1
            if end >= stop or words[end] in CLOSERS:
                break
            joined = words[end] in CONTINUES or words[end - 1] in NEEDS_MORE
            if self.lines[end] != self.lines[end - 1] and not joined:
                break
        return min(end, stop)

    def enclosing(self, index: int, level: int, first: int, stop: int) -> tuple[int, int] | None:
        """The contents of the level-th braces around a token; None when there are no more."""
        opener = self.parent[min(index, stop - 1)]
        while opener >= first:
            if self.words[opener] == "{":
                level -= 1
                if level == 0:
                    return opener + 1, min(self.partner.get(opener, stop), stop)
            opener = self.parent[opener]
        return None
