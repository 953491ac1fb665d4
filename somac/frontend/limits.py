"""Every limit of the frontend, each with its reason. Reaching one is a diagnostic that names it."""

from __future__ import annotations

FILE_CHARACTERS = (
    2 * 1024 * 1024
)  # a source file is written by hand; more is a mistake or an attack
BRACKET_DEPTH = 120  # open brackets of all kinds; the host language stops at 200
BLOCK_DEPTH = 48  # open braces; generated code is indented, and the host stops at 100 levels
COMMENT_DEPTH = 64  # nested block comments
PREFIX_OPERATORS = 100  # `!` and `-` in a row
NESTING = 160  # expressions and types in each other, also without brackets (lambdas)
OPERATORS = 10_000  # in one expression without brackets
POSTFIXES = 400  # `.name`, `.name()` and `?` in a row
ELSE_IFS = 400  # in one chain
INTEGER_DIGITS = 4_000  # the host refuses to convert more than 4300
DIAGNOSTICS = 20  # reported for one file; later ones are mostly echoes
IMPORTED_FILES = 1_000  # loaded for one program
RECURSION = 20_000  # frames of the parser itself; implied by the depths above
