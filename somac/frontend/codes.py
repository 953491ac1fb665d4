"""The catalogue of the frontend's diagnostics: what each code means, with examples.

The catalogue is data. `soma explain E012` and the documentation's page of codes print it; the
checker has a catalogue of its own with the same record.
"""

from __future__ import annotations

from . import limits
from .frozen import Frozen


class CodeInfo(Frozen):
    """One kind of diagnostic: a title, a paragraph, a wrong example and its right form."""

    code: str
    title: str
    explanation: str
    wrong: str
    right: str


def _handler(body: str) -> str:
    """A whole program around the body of a handler."""
    return f"cell Main {{\n    on run() {{\n        {body}\n    }}\n}}"


_ALL = (
    CodeInfo(
        "E001",
        "unexpected character",
        "The character belongs to no token of the language. Statements need no `;`, strings are "
        "written with double quotes, names consist of ASCII letters, digits and `_`. Inside "
        "strings and comments every character is allowed.",
        _handler("let a = 1;"),
        _handler("let a = 1"),
    ),
    CodeInfo(
        "E002",
        "unterminated string",
        'A string has no closing quote. A quote inside a string is written `\\"`.',
        _handler('print("hello)'),
        _handler('print("hello")'),
    ),
    CodeInfo(
        "E003",
        "unterminated block comment",
        "A comment that begins with `/*` has no `*/`. Block comments nest: each `/*` inside needs "
        "its own `*/`.",
        "/* a /* b */\ncell Main { }",
        "/* a /* b */ */\ncell Main { }",
    ),
    CodeInfo(
        "E004",
        "invalid number",
        "The exponent of a number has a sign but no digits.",
        _handler("let a = 1e+"),
        _handler("let a = 1e+3"),
    ),
    CodeInfo(
        "E010",
        "something else is expected",
        "The text does not go on as the grammar demands. The message names what is expected and "
        "what stands there. Keywords cannot be names.",
        _handler("let after = 1"),
        _handler("let later = 1"),
    ),
    CodeInfo(
        "E011",
        "expected a statement",
        "Inside braces a statement begins with a keyword, a name, a literal, `(`, `[`, `!` or `-`. "
        "Durations and percentages do not begin a statement. Comparisons cannot be chained.",
        _handler("let a = 1 < 2 < 3"),
        _handler("let a = 1 < 2 && 2 < 3"),
    ),
    CodeInfo(
        "E012",
        "expected an expression",
        "A value is missing, or a statement stands where a value belongs. `return` and `let` are "
        "statements; there are no map literals, and `return` always takes a value.",
        _handler("return"),
        _handler("return ()"),
    ),
    CodeInfo(
        "E013",
        "expected a section",
        "A cell consists of sections: face, memory, interior, on, rules, runtime, state, every, "
        "after, scale, cost and variants. Faces and rules have entries of their own.",
        "cell Main {\n    memroy { a: Int }\n}",
        "cell Main {\n    memory { a: Int }\n}",
    ),
    CodeInfo(
        "E014",
        "state machine without an initial state",
        "Without `initial:` a state machine begins in the source of its first transition, which "
        "must then be a state and not `*`.",
        "cell Main {\n    state order { * -> cancelled }\n}",
        "cell Main {\n    state order { initial: open * -> cancelled }\n}",
    ),
    CodeInfo(
        "E015",
        "missing closing brace",
        "The file ends inside a `{`. The brace that is not closed may be far above.",
        "cell Main {\n    on run() { 1 }",
        "cell Main {\n    on run() { 1 }\n}",
    ),
    CodeInfo(
        "E020",
        "nested too deeply",
        f"Brackets may be {limits.BRACKET_DEPTH} deep, braces {limits.BLOCK_DEPTH}, comments "
        f"{limits.COMMENT_DEPTH}, expressions and types {limits.NESTING}, and at most "
        f"{limits.PREFIX_OPERATORS} prefix operators may stand in a row. Name the inner values.",
        _handler(f"let a = {'(' * 121}1{')' * 121}"),
        _handler("let a = 1"),
    ),
    CodeInfo(
        "E021",
        "file too large",
        f"A source file has at most {limits.FILE_CHARACTERS} characters. Split the program into "
        "files and import them with `use`.",
        "",
        "cell Main { }",
    ),
    CodeInfo(
        "E022",
        "expression too long",
        f"One expression has at most {limits.OPERATORS} operators and {limits.POSTFIXES} fields or "
        f"methods in a row, one `if` at most {limits.ELSE_IFS} branches.",
        _handler("let a = b" + ".c" * (limits.POSTFIXES + 1)),
        _handler("let a = b.c"),
    ),
    CodeInfo(
        "E023",
        "integer literal too long",
        f"An integer literal has at most {limits.INTEGER_DIGITS} digits. Larger integers can be "
        "computed.",
        _handler("let a = " + "9" * (limits.INTEGER_DIGITS + 1)),
        _handler("let a = 99999999999999999999"),
    ),
    CodeInfo(
        "E030",
        "cannot read the file",
        "The source file does not exist, is a directory, may not be read, or is not UTF-8.",
        "",
        "",
    ),
    CodeInfo(
        "E032",
        "cannot import the file",
        "A `use` names a file that cannot be read. `use lib::a` means lib/a.cell beside the "
        "importing file, or all files of the folder lib/a.",
        "use lib::missing\ncell Main { }",
        "cell Main { }",
    ),
    CodeInfo(
        "E033",
        "unknown module of the standard library",
        "`use std::a` looks for a.cell in .soma_env/stdlib and stdlib beside the importing file, "
        "then in stdlib of the current folder.",
        "use std::missing\ncell Main { }",
        "cell Main { }",
    ),
    CodeInfo(
        "E034",
        "package not installed",
        "`use a` and `use pkg::a` look for the folder a in .soma_env/packages and packages.",
        "use pkg::missing\ncell Main { }",
        "cell Main { }",
    ),
)

CODES: dict[str, CodeInfo] = {info.code: info for info in _ALL}
