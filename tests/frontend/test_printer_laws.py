"""parse(print(tree)) == tree."""

from __future__ import annotations

from pathlib import Path

import pytest
from frontend_snippets import expr_of, module_of
from frontend_trees import bodies, expressions
from hypothesis import given, settings

from somac.frontend import nodes as n
from somac.frontend.parser import parse
from somac.frontend.printer import expr_text, print_module
from somac.frontend.source import Source

ROOT = Path(__file__).parents[2]
FILES = sorted(
    path
    for folder in ("examples", "tests", "docs", "bench")
    for path in (ROOT / folder).rglob("*.cell")
)


@settings(max_examples=150, deadline=None)
@given(expressions)
def test_expressions_survive_printing(expr: n.Expr) -> None:
    assert expr_of(expr_text(expr)) == expr


@settings(max_examples=100, deadline=None)
@given(bodies)
def test_bodies_survive_printing(body: n.Block) -> None:
    handler = n.Handler("f", (), (), body)
    module = n.Module((), (n.Cell("cell", "A", (handler,)),))
    text = print_module(module)
    assert module_of(text) == module
    assert print_module(module_of(text)) == text


@pytest.mark.slow
def test_all_programs_of_the_repository_survive_printing() -> None:
    assert FILES
    for path in FILES:
        module = parse(Source(str(path), path.read_text(encoding="utf-8", errors="replace"))).module
        if module is not None:
            assert module_of(print_module(module)) == module, path


def test_what_is_closed_may_continue_the_statement_before() -> None:
    block = n.Block(
        (n.Return(n.Name("a")), n.ExprStmt(n.Bool(False)), n.ExprStmt(n.Pipe(n.Int(1), n.Unit())))
    )
    expr = n.IfExpr(n.Int(0), n.Block(()), block)
    assert expr_of(expr_text(expr)) == expr
