"""Statements and constraints (core 2.7, 2.8)."""

from __future__ import annotations

from .. import nodes as n
from .base import kids, word
from .expressions import ExpressionBuilder, _after_else
from .grammar import Tree


class StatementBuilder(ExpressionBuilder):
    def visit_block(self, tree: Tree) -> n.Block:
        return n.Block(self.all(kids(tree)), span=self.span(tree))

    def visit_stmt(self, tree: Tree) -> n.Stmt:
        stmt: n.Stmt = self.build(kids(tree.children[0])[0])
        return stmt

    def visit_let(self, tree: Tree) -> n.Let:
        name, value = kids(tree)
        return n.Let(word(name), self.build(value), span=self.span(tree))

    def visit_assign(self, tree: Tree) -> n.Assign:
        name, op, value = kids(tree)
        return n.Assign(word(name), word(op), self.build(value), span=self.span(tree))

    def visit_return(self, tree: Tree) -> n.Return:
        return n.Return(self.only(tree), span=self.span(tree))

    def visit_if(self, tree: Tree) -> n.If:
        condition, then, *rest = kids(tree)
        self._check_chain(tree, rest)
        otherwise: n.Block | n.If | None = None
        if rest and rest[-1].expr.name == "else":
            otherwise = self.only(rest.pop())
        for branch in reversed(rest):
            test, block = kids(branch)
            span = self.place(_after_else(branch), self.end(tree))
            otherwise = n.If(self.build(test), self.build(block), otherwise, span=span)
        return n.If(self.build(condition), self.build(then), otherwise, span=self.span(tree))

    def visit_for(self, tree: Tree) -> n.For:
        *options, name, iterable, body = kids(tree)
        return n.For(
            word(name),
            self.build(iterable),
            self.build(body),
            self._loop_bound(options),
            span=self.span(tree),
        )

    def visit_while(self, tree: Tree) -> n.While:
        *options, condition, body = kids(tree)
        bound = self._loop_bound(options)
        return n.While(self.build(condition), self.build(body), bound, span=self.span(tree))

    def _loop_bound(self, options: list[Tree]) -> int | None:
        """The number of `[loop_bound(N)]`; other annotations of a loop mean nothing."""
        properties: tuple[n.Property, ...] = self.build(options[0]) if options else ()
        for prop in properties:
            if prop.name == "loop_bound" and prop.args and isinstance(prop.args[0], n.Int):
                return prop.args[0].value
        return None

    def visit_break(self, tree: Tree) -> n.Break:
        return n.Break(span=self.span(tree))

    def visit_continue(self, tree: Tree) -> n.Continue:
        return n.Continue(span=self.span(tree))

    def visit_ensure(self, tree: Tree) -> n.Ensure:
        return n.Ensure(self.only(tree), span=self.span(tree))

    def visit_require(self, tree: Tree) -> n.Require:
        constraint, otherwise = kids(tree)
        is_text = otherwise.expr.name == "string"
        text = self.plain_string(otherwise) if is_text else word(otherwise)
        return n.Require(self.build(constraint), text, span=self.span(tree))

    def visit_emit(self, tree: Tree) -> n.Emit:
        name, arguments = kids(tree)
        return n.Emit(word(name), self.build(arguments), span=self.span(tree))

    def visit_expr_stmt(self, tree: Tree) -> n.ExprStmt:
        return n.ExprStmt(self.only(tree), span=self.span(tree))

    def visit_constraint(self, tree: Tree) -> n.Constraint:
        constraint: n.Constraint = self.only(tree)
        return constraint

    def visit_not_constraint(self, tree: Tree) -> n.Not:
        return n.Not(self.only(tree), span=self.span(tree))

    # --- properties, also of slots and machines ----------------------------------------------

    def visit_properties(self, tree: Tree) -> tuple[n.Property, ...]:
        return self.all(kids(tree))

    def visit_property(self, tree: Tree) -> n.Property:
        name, *args = kids(tree)
        values = self.all(kids(args[0])) if args else ()
        return n.Property(word(name), values, span=self.span(tree))

    def visit_property_value(
        self, tree: Tree
    ) -> n.Int | n.Float | n.Str | n.Bool | n.Percent | n.Duration:
        child = kids(tree)[0]
        if child.expr.name == "name":
            return n.Str(word(child), (word(child),), span=self.span(tree))
        value: n.Int | n.Float | n.Str | n.Bool | n.Percent | n.Duration = self.build(child)
        return value
