"""Formulas of computation tree logic: their tree, their text, and the parser.

    formula = or ("->" formula)?          or = and ("|" and)*          and = unary ("&" unary)*
    unary   = "!" unary | ("EX"|"EF"|"EG"|"AX"|"AF"|"AG") unary
            | ("E"|"A") ("[" | "(") formula "U" formula ("]" | ")") | "(" formula ")"
            | "true" | "false" | state | "'" state "'"

`&&`, `||`, `not`, `and` and `or` are accepted, too. A state is a proposition that holds there only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

DEPTH_MAX = 100  # nested operators of a formula; a person writes fewer than ten
CHARACTERS_MAX = 10_000

UNARY = ("EX", "EF", "EG", "AX", "AF", "AG")
_WORDS = {"not": "!", "and": "&", "or": "|", "&&": "&", "||": "|"}
_LIKE_AN_OPERATOR = re.compile(r"[A-Z]{1,2}")
_TOKEN = re.compile(r"\s*(?:(->|&&|\|\||[!&|()\[\]])|(\w+)|'([^'\n]*)'|(\S))")


@dataclass(frozen=True, slots=True)
class Formula:
    """`op` is true false atom ! & | -> EX EF EG AX AF AG EU AU; an atom has a state's `name`.

    `&` and `|` have two operands or more.
    """

    op: str
    args: tuple[Formula, ...] = ()
    name: str = ""
    offset: int = 0  # where an atom stands in the text that was parsed

    def __str__(self) -> str:
        if self.op in ("true", "false"):
            return self.op
        if self.op == "atom":
            return self.name if re.fullmatch(r"\w+", self.name) else f"'{self.name}'"
        if self.op in ("EU", "AU"):
            return f"{self.op[0]}[{self.args[0]} U {self.args[1]}]"
        if self.op in UNARY:
            return f"{self.op}({self.args[0]})"
        if self.op == "!":
            return f"!{_operand(self.args[0])}"
        return f" {self.op} ".join(_operand(arg) for arg in self.args)


def _operand(formula: Formula) -> str:
    return f"({formula})" if formula.op in ("&", "|", "->") else str(formula)


TRUE = Formula("true")
FALSE = Formula("false")


def atom(name: str, offset: int = 0) -> Formula:
    return Formula("atom", (), name, offset)


def negation(formula: Formula) -> Formula:
    return formula.args[0] if formula.op == "!" else Formula("!", (formula,))


def any_of(names: tuple[str, ...]) -> Formula:
    """The formula that holds in each of the named states."""
    if len(names) == 1:
        return atom(names[0])
    return Formula("|", tuple(map(atom, names))) if names else FALSE


def atoms(formula: Formula) -> list[Formula]:
    """The atoms of a formula, from left to right."""
    found, todo = [], [formula]
    while todo:
        top = todo.pop()
        if top.op == "atom":
            found.append(top)
        todo.extend(reversed(top.args))
    return found


class FormulaError(Exception):
    """A text is no formula. `offset` counts characters of that text, from 0."""

    def __init__(self, message: str, offset: int, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset
        self.hint = hint


def parse(text: str) -> Formula:
    """The formula that a text means. Raises FormulaError."""
    if len(text) > CHARACTERS_MAX:
        raise FormulaError(f"the formula is longer than {CHARACTERS_MAX} characters", 0)
    return _Parser(text).run()


class _Parser:
    def __init__(self, text: str) -> None:
        self.tokens: list[tuple[str, str, int]] = []  # kind, text, offset
        for found in _TOKEN.finditer(text):
            self.tokens.append(_token(found))
        self.end = len(text)
        self.at = 0
        self.depth = 0

    def run(self) -> Formula:
        formula = self.implication()
        if self.at < len(self.tokens):
            error = self.wrong("expected the end of the formula or an operator")
            error.hint = self._missing()
            raise error
        return formula

    def _missing(self) -> str | None:
        """What may have been meant by a token that does not go on with the formula before it."""
        (before, word, _), (kind, text, _) = self.tokens[self.at - 1], self.tokens[self.at]
        if text == "U":
            return "until is written E[a U b] or A[a U b]"
        if before == "word" and word in ("X", "F", "G"):
            return f"say for which paths: A{word} (all) or E{word} (some)"
        if before == "word" and _LIKE_AN_OPERATOR.fullmatch(word):
            return f"there is no operator {word}: use {' '.join(UNARY)}, E[a U b] or A[a U b]"
        if kind != "symbol":
            return "join two parts by `&`, `|` or `->`"
        return None

    def peek(self) -> str:
        """The next token when it is a symbol or a word, else an empty text."""
        if self.at < len(self.tokens):
            kind, text, _ = self.tokens[self.at]
            return text if kind != "quoted" else ""
        return ""

    def wrong(self, wanted: str) -> FormulaError:
        if self.at >= len(self.tokens):
            return FormulaError(f"{wanted}, found the end of the formula", self.end)
        _, text, offset = self.tokens[self.at]
        return FormulaError(f"{wanted}, found '{text}'", offset)

    def expect(self, symbol: str) -> None:
        if self.peek() != symbol:
            raise self.wrong(f"expected '{symbol}'")
        self.at += 1

    def implication(self) -> Formula:
        self.depth += 1
        if self.depth > DEPTH_MAX:
            raise self.wrong(f"more than {DEPTH_MAX} nested operators")
        left = self.chain("|")
        if self.peek() == "->":
            self.at += 1
            left = Formula("->", (left, self.implication()))
        self.depth -= 1
        return left

    def chain(self, symbol: str) -> Formula:
        def operand() -> Formula:
            return self.chain("&") if symbol == "|" else self.unary()

        operands = [operand()]
        while self.peek() == symbol:
            self.at += 1
            operands.append(operand())
        return operands[0] if len(operands) == 1 else Formula(symbol, tuple(operands))

    def unary(self) -> Formula:
        prefixes = []
        while self.peek() in ("!", *UNARY):
            prefixes.append(self.peek())
            self.at += 1
            if self.depth + len(prefixes) > DEPTH_MAX:
                raise self.wrong(f"more than {DEPTH_MAX} nested operators")
        self.depth += len(prefixes)
        formula = self.primary()
        self.depth -= len(prefixes)
        for op in reversed(prefixes):
            formula = Formula(op, (formula,))
        return formula

    def primary(self) -> Formula:
        if self.at >= len(self.tokens):
            raise self.wrong("expected a state or an operator")
        kind, text, offset = self.tokens[self.at]
        if kind == "symbol" and text == "(":
            self.at += 1
            formula = self.implication()
            self.expect(")")
            return formula
        if kind == "symbol" or (kind == "word" and text == "U"):
            raise self.wrong("expected a state or an operator")
        self.at += 1
        if kind == "word" and text in ("E", "A") and self.peek() in ("[", "("):
            return self.until(text)
        if kind == "word" and text in ("true", "false"):
            return Formula(text)
        return atom(text, offset)

    def until(self, quantifier: str) -> Formula:
        closing = "]" if self.peek() == "[" else ")"
        self.at += 1
        left = self.implication()
        self.expect("U")
        right = self.implication()
        self.expect(closing)
        return Formula(f"{quantifier}U", (left, right))


def _token(found: re.Match[str]) -> tuple[str, str, int]:
    symbol, word, quoted, other = found.groups()
    offset = found.start(found.lastindex or 0)
    if other is not None:
        if other == "'":
            raise FormulaError("a quote has no end", offset)
        hint = None
        if other == "=":
            arrow = found.string.startswith("=>", offset)
            hint = "implication is `->`" if arrow else "a state is named alone: `AG !cancelled`"
        raise FormulaError(f"unexpected character '{other}'", offset, hint)
    if quoted is not None:
        return "quoted", quoted, offset
    text = _WORDS.get(symbol or word, symbol or word)
    return ("symbol" if symbol or text in "!&|" else "word"), text, offset
