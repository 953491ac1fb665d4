"""Which lists and maps are seen by nobody else, so that `xs = push(xs, a)` may append in place.

A variable qualifies for an update when every value it gets is made on the spot, and no use that
lets the value out (returning ends the handler, so it counts as none) can come before the update.
"""

from __future__ import annotations

from ..frontend import nodes as n
from .routines import Routine
from .scopes import Var
from .tree import children, walk

_MAKERS = frozenset({"list", "push", "map", "with", "range"})
_READERS = frozenset(
    [
        "len",
        "print",
        "nth",
        "join",
        "contains",
        "index_of",
        "to_string",
        "to_json",
        "type_of",
        "sum_by",
        "avg_by",
        "count_by",
        "filter",
        "map",
        "find",
        "any",
        "all",
        "count",
        "reduce",
        "with",
        "group_by",
        "sort",
        "reverse",
    ]
)


def in_place_form(node: n.Assign) -> tuple[str, tuple[n.Expr, ...]] | None:
    """`x = push(x, a…)`, `x = x |> with(k, v)`: the function and its other arguments (§1.6)."""
    value = node.value
    if node.op != "=":
        return None
    if isinstance(value, n.Pipe) and isinstance(value.right, n.Call):
        name, args = value.right.name, (value.left, *value.right.args)
    elif isinstance(value, n.Call):
        name, args = value.name, value.args
    else:
        return None
    if len(args) < 2 or not (isinstance(args[0], n.Name) and args[0].name == node.name):
        return None
    if name in ("push", "list", "append") and isinstance(value, n.Call):
        return name, args[1:]
    if name in ("push", "list") or (name == "with" and _sets_one(value, len(args))):
        return name, args[1:]
    return None


def _sets_one(value: n.Expr, count: int) -> bool:
    """Whether `with` sets one entry: its piped statement drops further pairs (builtins §1.6)."""
    return count == 3 or (count > 3 and isinstance(value, n.Pipe))


class Freshness:
    """Answers for one routine."""

    def __init__(self, routine: Routine) -> None:
        self.routine = routine
        self.escapes: dict[Var, list[n.Node]] = {}
        self.shared: set[Var] = set()  # some value of it may be seen by others
        self.updates: dict[Var, list[n.Assign]] = {}
        self.starts_empty: set[Var] = set()
        self._visit(routine.body, None)
        self._find_empty_starts()

    def allows(self, node: n.Assign) -> bool:
        """Whether this update may be done in place."""
        var = self.routine.scopes.var(node)
        if var is None or var in self.shared or var.origin not in ("let", "assigned"):
            return False
        return all(not self._before(escape, node, var) for escape in self.escapes.get(var, ()))

    def _before(self, escape: n.Node, update: n.Assign, var: Var) -> bool:
        scopes = self.routine.scopes
        around = set(scopes.loops[id(escape)]) & set(scopes.loops[id(update)])
        if around - set(var.loops):
            return True
        return scopes.order[id(escape)] < scopes.order[id(update)]

    def _find_empty_starts(self) -> None:
        """Variables that only ever grow: `x = push(x, a)` on an unknown name starts as `[]`."""
        writes: dict[Var, list[n.Node]] = {}
        for node in walk(self.routine.body):
            var = self.routine.scopes.var(node)
            if var is not None and isinstance(node, n.Assign | n.Let | n.For | n.Binding):
                writes.setdefault(var, []).append(node)
        for var, nodes in writes.items():
            grows = all(
                isinstance(w, n.Assign) and (in_place_form(w) or ("with",))[0] != "with"
                for w in nodes
            )
            if var.origin == "assigned" and grows:
                self.starts_empty.add(var)

    # --- the walk: `parent` is what a name's value goes to ---

    def _visit(self, node: n.Node, parent: n.Node | None) -> None:
        scopes = self.routine.scopes
        if isinstance(node, n.Name):
            var = scopes.var(node)
            if var is not None and not _harmless(node, parent):
                self.escapes.setdefault(var, []).append(node)
            return
        if isinstance(node, n.Lambda):
            function = scopes.functions.get(id(node))
            if function is None:
                return  # in a hole that stays text
            self.shared.update(function.captures)
            self.shared.update(function.copies)
        if isinstance(node, n.Let | n.Assign):
            self._written(node)
            if isinstance(node, n.Assign) and in_place_form(node) is not None:
                self._visit_update(node)
                return
        for child in children(node):
            self._visit(child, node)

    def _visit_update(self, node: n.Assign) -> None:
        form = in_place_form(node)
        for argument in form[1] if form is not None else ():
            self._visit(argument, node)

    def _written(self, node: n.Let | n.Assign) -> None:
        var = self.routine.scopes.var(node)
        if var is None:
            return
        if isinstance(node, n.Assign) and in_place_form(node) is not None:
            self.updates.setdefault(var, []).append(node)
        elif not _is_maker(node.value) or (isinstance(node, n.Assign) and node.op != "="):
            self.shared.add(var)


def _is_maker(value: n.Expr) -> bool:
    if isinstance(value, n.Call):
        return value.name in _MAKERS
    if isinstance(value, n.Pipe) and isinstance(value.right, n.Call):
        return value.right.name in ("push", "with", "filter") or (
            value.right.name == "map" and len(value.right.args) == 1
        )
    return isinstance(value, n.ListLit)


def _harmless(node: n.Name, parent: n.Node | None) -> bool:
    """Whether this use of a variable cannot let its list or map be held by others."""
    if isinstance(parent, n.Call):
        first = parent.args[0] is node
        return parent.name in _READERS and (first or parent.name in ("print", "join"))
    if isinstance(parent, n.Pipe):
        right = parent.right
        return parent.left is node and isinstance(right, n.Call | n.Name) and right.name in _READERS
    if isinstance(parent, n.Field | n.Method):
        return parent.target is node
    if isinstance(parent, n.Binary):
        return parent.op != "??"
    return isinstance(parent, n.Hole | n.Return | n.Unary | n.If | n.While)
