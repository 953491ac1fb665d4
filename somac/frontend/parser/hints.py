"""Short advice under the caret of a syntax error, for the mistakes that people make."""

from __future__ import annotations

from difflib import get_close_matches

from ..lexer import HARD_KEYWORDS, OPENERS, Scan
from .recovery import Brackets

_SECTIONS = [
    "face",
    "memory",
    "interior",
    "on",
    "rules",
    "runtime",
    "state",
    "every",
    "after",
    "scale",
    "cost",
    "variants",
    "assert",
    "property",
]
_STATEMENTS = [
    "let",
    "return",
    "if",
    "for",
    "while",
    "break",
    "continue",
    "ensure",
    "require",
    "emit",
    "signal",
    "match",
]
_NAME_RULES = frozenset(
    ("name", "lower", "plain_lower", "param", "params", "any_name", "cell_name")
)
_WORDS = {
    "else": "`else` belongs directly behind the `}` of an `if`",
    "catch": "errors are caught by `try { … }`, which yields a map with `value` and `error`",
    "return": "`return` is a statement: write it on its own, in `{ }`",
    "if": "an `if` inside an expression needs an `else`",
    "let": "`let` is a statement: write it on its own, in `{ }`",
    "on": "is a `}` missing before this handler?",
    "cell": "is a `}` missing before this cell?",
}
_SIGNS = {
    "[": "there is no indexing: use nth(xs, i) or m.get(k)",
    "=": "only a plain variable can be assigned; a comparison is `==`",
    "=>": "a lambda has exactly one parameter, without parentheses: `x => …`",
    ":": "there are no map literals: use map(k, v, …)",
}
_COMPARISONS = frozenset(["==", "!=", "<", ">", "<=", ">="])


def hint_for(rule: str, scan: Scan, index: int) -> str | None:
    """A hint for a failed rule at a token, or None."""
    word = scan.word(index)
    if index >= len(scan.tokens):
        return _unclosed(scan)
    if rule in _NAME_RULES and word in HARD_KEYWORDS:
        return f"`{word}` is a keyword and cannot be a name"
    if rule in ("CELL_END", "section"):
        return _closest(word, _SECTIONS)
    if rule == "item":
        return _closest(word, ["cell", "protocol"]) or _misplaced_use(word)
    if rule == "ARROW" and word == "=>":
        return "an arrow between states, or of a `match`, is written `->`"
    if word == "{" and index and scan.word(index - 1)[:1].isupper():
        return "a `{` behind a capitalised name opens a record: put the name in parentheses"
    if word in _COMPARISONS:
        return "comparisons cannot be chained: use `&&`"
    if word == "}" and index and scan.word(index - 1) == "return":
        return "`return` needs a value: `return ()`"
    if rule == "BLOCK_END" and index and (near := _closest(scan.word(index - 1), _STATEMENTS)):
        return near
    if scan.tokens[index].kind == "percent":
        return "a `%` glued to a number is a percentage: write `7 % 3`"
    if word == "," and "=>" in (scan.word(i) for i in range(index, index + 6)):
        return _SIGNS["=>"]
    if word == "{" and rule == "expr":
        return "there are no map literals: use map(k, v, …)"
    if word == ":" and (known := _colon(scan, index)):
        return known
    if word == "=" and rule != "BLOCK_END":
        return None
    return _WORDS.get(word) or _SIGNS.get(word)


def _colon(scan: Scan, index: int) -> str | None:
    """What a `:` in the wrong place may have been meant for."""
    if scan.word(index - 2) == "let":
        return "a `let` has no type: `let x = …`"
    if "?" in (scan.word(i) for i in range(max(index - 4, 0), index)):
        return "there is no `? :`: use `if … { … } else { … }`"
    return None


def _unclosed(scan: Scan) -> str | None:
    """At the end of the file: which bracket has been left open."""
    brackets = Brackets(scan)
    for i in range(len(brackets.words) - 1, -1, -1):
        if brackets.words[i] in OPENERS and i not in brackets.partner:
            line = brackets.lines[i] + 1
            return f"the `{brackets.words[i]}` in line {line} is not closed"
    return None


def _misplaced_use(word: str) -> str | None:
    return "`use` lines come before everything else" if word == "use" else None


def _closest(word: str, candidates: list[str]) -> str | None:
    if word in candidates:
        return None
    near = get_close_matches(word, candidates, 1, 0.7)
    return f"did you mean '{near[0]}'?" if near else None
