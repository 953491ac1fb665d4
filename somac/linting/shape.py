"""Rules on the shape of cells: chains of ifs, helpers that anyone can call, empty handlers."""

from __future__ import annotations

from collections.abc import Iterator

from ..frontend import nodes as n
from ..frontend.program import handlers_of, sections
from ..frontend.walk import walk
from .findings import INFO, WARNING, Lint, Place

CHAIN = 3  # tests of one variable from which `match` reads better (spec 3 §10)
LITERALS = n.Int | n.Float | n.Str | n.Bool | n.Unit | n.Duration | n.Percent


def if_chain(place: Place) -> Iterator[Lint]:
    """`if x == 1 … else if x == 2 … else if x == 3`, or as many such ifs that all return."""
    inner: set[int] = set()
    for node in place.nodes:
        if isinstance(node, n.If | n.IfExpr) and id(node) not in inner:
            tests = list(_else_ifs(node))
            inner.update(id(test) for test in tests)
            yield from _chain(tests)
        elif isinstance(node, n.Block):
            for run in _runs(node):
                inner.update(id(test) for test in run)
                yield from _chain(run)


def _else_ifs(node: n.If | n.IfExpr) -> Iterator[n.If | n.IfExpr]:
    following: n.Node | None = node
    while isinstance(following, n.If | n.IfExpr):
        yield following
        following = following.otherwise


def _runs(block: n.Block) -> Iterator[list[n.If | n.IfExpr]]:
    """Neighbouring ifs without else that leave the handler."""
    run: list[n.If | n.IfExpr] = []
    for statement in block.statements:
        if isinstance(statement, n.If) and statement.otherwise is None and _returns(statement.then):
            run.append(statement)
            continue
        if len(run) >= CHAIN:
            yield run
        run = []
    if len(run) >= CHAIN:
        yield run


def _returns(block: n.Block) -> bool:
    return bool(block.statements) and isinstance(block.statements[-1], n.Return)


def _chain(tests: list[n.If | n.IfExpr]) -> Iterator[Lint]:
    """Reports the first stretch of enough tests of one variable against literals."""
    names = [_tested(test.condition) for test in tests]
    for index, name in enumerate(names):
        stretch = 0
        while name and index + stretch < len(names) and names[index + stretch] == name:
            stretch += 1
        if stretch >= CHAIN:
            yield Lint(
                "if_chain",
                INFO,
                tests[index].span.line,
                f"{stretch} tests of '{name}' in a chain of ifs",
                f"use `match {name} {{ … }}`",
            )
            return


def _tested(condition: n.Expr) -> str | None:
    """The variable of `x == literal`."""
    if not isinstance(condition, n.Binary) or condition.op != "==":
        return None
    for side, other in (
        (condition.left, condition.right),
        (condition.right, condition.left),
    ):
        if isinstance(side, n.Name) and isinstance(other, LITERALS):
            return side.name
    return None


def empty_handler(place: Place) -> Iterator[Lint]:
    """A handler without a statement: a call of it yields `()`."""
    if isinstance(place.scope, n.Handler) and not place.scope.body.statements:
        name = place.scope.name
        yield Lint(
            "empty_handler",
            WARNING,
            place.scope.span.line,
            f"handler '{name}' is empty",
            f"write what `on {name}` does, or remove it",
        )


def private_helper(cell: n.Cell) -> Iterator[Lint]:
    """In a cell that routes by `request`: a public handler that `request` does not mention.

    Every public handler answers under its own path as well. What the face declares is public on
    purpose, and so is `run`, which the command line calls.
    """
    handlers = handlers_of(cell)
    entry = handlers.get("request")
    if entry is None:
        return
    mentioned = set(_mentioned(entry)) | _declared(cell) | {"request", "run"}
    for name, handler in handlers.items():
        if name not in mentioned and not name.startswith("_"):
            yield Lint(
                "private_helper",
                INFO,
                handler.span.line,
                f"handler '{name}' is not referenced by `request`, and answers over HTTP as"
                f" /{name}",
                f"name it `_{name}` if it is a helper",
            )


def _mentioned(handler: n.Handler) -> Iterator[str]:
    for node in walk(handler.body):
        if isinstance(node, n.Call | n.Name | n.Emit):
            yield node.name
        elif isinstance(node, n.Str):
            yield node.value


def _declared(cell: n.Cell) -> set[str]:
    return {
        declaration.name
        for face in sections(cell, n.Face)
        for declaration in face.declarations
        if isinstance(declaration, n.Signature)
    }
