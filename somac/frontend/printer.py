"""The syntax tree as Soma source in one canonical layout: parsing it again gives an equal tree.

Line ends mean nothing in Soma, so the places that need care are those where a following token would
continue an expression: a `-`, a `(` behind a name, a `{` behind a capitalised name. Parentheses,
which leave no trace in the tree, end it there.
"""

from __future__ import annotations

from . import nodes as n
from .printing.declarations import cell_text, module_text
from .printing.expressions import ExpressionPrinter

__all__ = ["cell_text", "expr_text", "print_module"]


def print_module(module: n.Module) -> str:
    """The whole source text of a module, with a line end."""
    return module_text(module)


def expr_text(expr: n.Expr) -> str:
    """An expression on one line."""
    return ExpressionPrinter(None).expr(expr)
