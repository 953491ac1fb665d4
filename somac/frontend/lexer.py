"""Lexical scan of a source text: lexical errors, tokens and their brackets, comments blanked out.

The grammar is character-level and needs no tokens. The scan finds what must be reported before any
syntax error (core 1.7), bounds the nesting before anything recursive runs, gives the parser a text
without comments, and gives error recovery and error messages their tokens.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from dataclasses import dataclass, field
from typing import NamedTuple

from . import limits
from .frozen import Frozen

HARD_KEYWORDS = frozenset(
    [
        "cell",
        "interior",
        "given",
        "promise",
        "tool",
        "agent",
        "await",
        "on",
        "where",
        "else",
        "require",
        "let",
        "true",
        "false",
        "if",
        "return",
        "for",
        "in",
        "use",
        "while",
        "break",
        "continue",
        "try",
        "catch",
        "every",
        "after",
        "ensure",
        "match",
        "connect",
        "assert",
        "contradicts",
        "implies",
        "requires",
        "mutex_group",
        "variants",
    ]
)
CONTEXTUAL_KEYWORDS = frozenset(
    [
        "state",
        "type",
        "effect",
        "guard",
        "initial",
        "start",
        "test",
        "backend",
        "builtin",
        "signal",
        "emit",
        "check",
        "memory",
        "face",
        "property",
        "rules",
        "runtime",
        "matches",
        "native",
        "checker",
        "scale",
        "cost",
        "protocol",
    ]
)

OPENERS = {"(": ")", "[": "]", "{": "}"}
CLOSERS = {")": "(", "]": "[", "}": "{"}

# White space of Unicode, without the separators that are control characters.
BLANKS = r"[\t\n\x0b\x0c\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+"
AMOUNT = r"[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"

TOKEN = re.compile(
    rf"""
    (?P<blank>{BLANKS}|//[^\n]*)
  | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
  | (?P<badnumber>[0-9]+(?:\.[0-9]+)?[eE][+-](?![0-9]))
  | (?P<duration>{AMOUNT}(?:ms|s|min|h|d|years?)(?![A-Za-z0-9_]))
  | (?P<percent>{AMOUNT}%)
  | (?P<number>{AMOUNT})
  | (?P<string>\"\"\"(?:[^"]|"(?!""))*\"\"\"|"(?!"")[^"\\]*(?:\\.[^"\\]*)*")
  | (?P<quote>")
  | (?P<comment>/\*)
  | (?P<op>\|>|\|\||&&|\?\?|==|!=|<=|>=|\+=|-=|\*=|/=|->|=>|\.\.|[-+*/%<>!?=.,:(){{}}\[\]])
    """,
    re.VERBOSE | re.DOTALL,
)
COMMENT_EDGE = re.compile(r"/\*|\*/")


class Token(NamedTuple):
    """kind: name, number, duration, percent, string or op. Keywords are names."""

    kind: str
    start: int
    end: int


class Problem(Frozen):
    """What is wrong with a range of a text; becomes a diagnostic of its source."""

    code: str
    message: str
    start: int
    end: int
    hint: str | None = None


@dataclass
class Scan:
    """The result of a scan. `clean` has the offsets of the text; comments and errors are blank."""

    text: str
    clean: str
    tokens: list[Token]
    problems: list[Problem]
    fatal: bool = False  # nothing can be said about the syntax
    _starts: list[int] | None = field(default=None, repr=False)

    def token_at(self, offset: int) -> int:
        """The index of the first token at or after an offset."""
        if self._starts is None:
            self._starts = [t.start for t in self.tokens]
        return bisect_left(self._starts, offset)

    def word(self, index: int) -> str:
        """The text of a token; empty after the last."""
        if index >= len(self.tokens):
            return ""
        token = self.tokens[index]
        return self.text[token.start : token.end]


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[Token] = []
        self.problems: list[Problem] = []
        self.gaps: list[tuple[int, int, str]] = []  # what to fill: comments and errors
        self.open: list[str] = []
        self.braces = 0
        self.prefixes = 0
        self.fatal = False

    def run(self) -> Scan:
        text, match, append = self.text, TOKEN.match, self.tokens.append
        position, size = 0, len(text)
        while position < size and not self.fatal:
            found = match(text, position)
            if found is None:
                position = self.unexpected(position)
                continue
            kind, end = found.lastgroup or "", found.end()
            if kind == "blank":
                if text[position] == "/":
                    self.gaps.append((position, end, " "))
                position = end
            elif kind in ("name", "string", "number"):
                self.prefixes = 0
                append(Token(kind, position, end))
                position = end
            else:
                position = self.special(kind, position, end)
        return Scan(text, self.cleaned(), self.tokens, self.problems, self.fatal)

    def special(self, kind: str, start: int, end: int) -> int:
        if kind == "op":
            self.operator(start, end)
        elif kind == "comment":
            return self.comment(start)
        elif kind == "quote":
            self.problem("E002", "unterminated string", start, start + 1, 'close it with `"`')
            self.fatal = True
        elif kind == "badnumber":
            self.problem("E004", "invalid number", start, end, "an exponent needs digits: 1e-3")
            self.gaps.append((start, end, "0"))  # some number, so that no error follows
        else:
            self.prefixes = 0
            self.tokens.append(Token(kind, start, end))
        return end

    def operator(self, start: int, end: int) -> None:
        text = self.text[start:end]
        self.tokens.append(Token("op", start, end))
        if text in OPENERS:
            self.open.append(text)
            self.braces += text == "{"
            if len(self.open) > limits.BRACKET_DEPTH:
                self.limit(f"more than {limits.BRACKET_DEPTH} open brackets", start, end)
            elif self.braces > limits.BLOCK_DEPTH:
                self.limit(f"more than {limits.BLOCK_DEPTH} open braces", start, end)
        elif text in CLOSERS and self.open and self.open[-1] == CLOSERS[text]:
            self.open.pop()
            self.braces -= text == "}"
        self.prefixes = self.prefixes + 1 if text in "!-" else 0
        if self.prefixes > limits.PREFIX_OPERATORS:
            self.limit(f"more than {limits.PREFIX_OPERATORS} prefix operators", start, end)

    def limit(self, what: str, start: int, end: int) -> None:
        self.problem("E020", f"nested too deeply: {what}", start, end)
        self.fatal = True

    def comment(self, start: int) -> int:
        depth, position = 0, start
        while edge := COMMENT_EDGE.search(self.text, position):
            depth += 1 if edge.group() == "/*" else -1
            position = edge.end()
            if depth == 0:
                self.gaps.append((start, position, " "))
                return position
            if depth > limits.COMMENT_DEPTH:
                deep = edge.start()
                self.limit(f"more than {limits.COMMENT_DEPTH} open comments", deep, deep + 2)
                return len(self.text)
        self.problem("E003", "unterminated block comment", start, start + 2, "close it with `*/`")
        self.fatal = True
        return len(self.text)

    def unexpected(self, position: int) -> int:
        character = self.text[position]
        control = unicodedata.category(character) == "Cc"  # would steer the terminal
        shown = f"\\u{{{ord(character):x}}}" if control else character
        message = f"unexpected character '{shown}'"
        self.problem("E001", message, position, position + 1, _hint(self.text, position))
        self.gaps.append((position, position + 1, " "))
        self.fatal = self.fatal or len(self.problems) >= limits.DIAGNOSTICS
        return position + 1

    def problem(
        self, code: str, message: str, start: int, end: int, hint: str | None = None
    ) -> None:
        self.problems.append(Problem(code, message, start, end, hint))

    def cleaned(self) -> str:
        parts, position = [], 0
        for start, end, filler in self.gaps:
            parts.append(self.text[position:start])
            parts.append(filler * (end - start))
            position = end
        parts.append(self.text[position:])
        return "".join(parts)


_HINTS = {
    ";": "statements need no separator: leave it out",
    "'": 'strings are written with double quotes: "…"',
    "&": "logical and is `&&`",
    "|": "logical or is `||`, a pipe is `|>`",
    "#": "comments begin with `//`",
    "\ufeff": "the file begins with a byte-order mark: save it as UTF-8 without one",
    "→": "an arrow is written `->`",
    "⇒": "a lambda's arrow is written `=>`",
    "`": 'strings are written with double quotes: "…"',
    "“": 'strings are written with straight double quotes: "…"',
    "”": 'strings are written with straight double quotes: "…"',
    "^": "there is no `^`: use pow(a, b) or bxor(a, b)",
    "~": "there is no `~`: use bnot(a)",
}


def _hint(text: str, position: int) -> str | None:
    character = text[position]
    if character in _HINTS:
        return _HINTS[character]
    if character.isalpha():
        return "names consist of ASCII letters, digits and `_`"
    return None


def scan(text: str) -> Scan:
    """Scan a text for tokens and lexical errors (core 1)."""
    return _Scanner(text).run()


def found_text(scanned: Scan, index: int) -> str:
    """How an error message names the token at an index (core 4.2)."""
    if index >= len(scanned.tokens):
        return "end of file"
    token, text = scanned.tokens[index], scanned.word(index)
    if token.kind == "name":
        return text.capitalize() if text in CONTEXTUAL_KEYWORDS else f"'{text}'"
    if token.kind in ("number", "duration", "percent"):
        return f"number '{text}'"
    if token.kind == "string":
        quotes = 3 if text.startswith('"""') else 1
        inner = text[quotes:-quotes]
        return f'string "{inner if len(inner) <= 40 else inner[:40] + "…"}"'
    return f"'{text}'"
