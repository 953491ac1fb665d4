"""Helpers that turn snippets of Soma into nodes."""

from __future__ import annotations

from somac.frontend import nodes as n
from somac.frontend.lexer import scan
from somac.frontend.parser import Parsed, parse
from somac.frontend.source import Source


def parse_text(text: str) -> Parsed:
    return parse(Source("app.cell", text))


def module_of(text: str) -> n.Module:
    parsed = parse_text(text)
    assert parsed.module is not None, [d.message for d in parsed.diagnostics]
    return parsed.module


def section_of(text: str, name: str = "Main") -> n.Section:
    """The only section of a cell with this body."""
    (section,) = module_of(f"cell {name} {{\n{text}\n}}").cells[0].sections
    return section


def body_of(text: str) -> tuple[n.Stmt, ...]:
    """The statements of a handler's body."""
    handler = section_of(f"on run() {{\n{text}\n}}")
    assert isinstance(handler, n.Handler)
    return handler.body.statements


def expr_of(text: str) -> n.Expr:
    (stmt,) = body_of(f"return {text}")
    assert isinstance(stmt, n.Return)
    return stmt.value


def errors_of(text: str) -> list[str]:
    return [d.message for d in parse_text(text).diagnostics]


def body_errors(text: str) -> list[str]:
    return errors_of(f"cell Main {{ on run() {{\n{text}\n}} }}")


def token_kinds(text: str) -> list[str]:
    return [token.kind for token in scan(text).tokens]
