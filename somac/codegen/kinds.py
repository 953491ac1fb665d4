"""Which kind each expression is proven to have, so that Python's own operators can be used.

One kind per variable, whatever the order of assignments; a fixpoint over the whole program. Types
of parameters are documentation in Soma, so a parameter's kind is unknown unless a specialised
version of the handler has checked it. `NAT` is an Int that is never negative.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from ..frontend import nodes as n
from ..frontend.builtins import HIGHER_ORDER
from .effects import Effects
from .fresh import in_place_form
from .routines import (
    SLOT_METHODS,
    BuiltinCall,
    HandlerCall,
    Routine,
    Routines,
    VariantCall,
    pipe_parts,
    slot_target,
)
from .scopes import Var
from .shapes import (
    ANY,
    BOOL,
    FLOAT,
    INT,
    INTS,
    LAMBDA,
    LIST,
    MAP,
    NAT,
    NONE,
    STRING,
    UNIT,
    VARIANT,
    fields_of,
    item_of,
    join,
    list_of,
    list_shape,
    map_kind,
    map_shape,
    map_with,
    same,
    with_shape,
)
from .tree import walk

PYTHON_TYPES: Mapping[str, str] = {
    INT: "int",
    NAT: "int",
    FLOAT: "float",
    STRING: "str",
    BOOL: "bool",
    LIST: "list[Value]",
    MAP: "dict[str, Value]",
}

_NATURAL = frozenset(
    [
        "len",
        "now",
        "now_ms",
        "bit_test",
        "bit_len",
        "gcd",
        "sqrt_int",
        "count",
        "count_by",
        "str_len",
    ]
)
# Builtins that keep the items of the List that they get, with their kind for anything else.
_KEPT = {
    "filter": LIST,
    "reverse": LIST,
    "sort": LIST,
    "sort_by": LIST,
    "filter_by": LIST,
    "top": ANY,
    "bottom": ANY,
}
_SHAPED = frozenset({"map", "with", "range", "list", "push", "reduce", *_KEPT})
_MEMBERS = {"length": NAT, "len": NAT, "size": NAT, "keys": LIST, "values": LIST}
_SLOT_RESULTS = {
    "set": UNIT,
    "append": UNIT,
    "delete": BOOL,
    "has": BOOL,
    "len": NAT,
    "keys": LIST,
    "values": LIST,
    "list": LIST,
    "backend": STRING,
}


class Application(NamedTuple):
    """Where a lambda is applied: to which items, for `reduce` also the start."""

    items: n.Expr
    start: n.Expr | None


class Kinds:
    """Kinds of variables and results; `expr` asks for an expression's."""

    def __init__(self, routines: Routines, effects: Effects) -> None:
        self.routines = routines
        self.effects = effects
        self.variables: dict[Var, str] = {}
        self.assumed: dict[Var, str] = {}  # of parameters that were checked
        self._known: dict[int, str] = {}
        self._applied: dict[int, Application] = {}
        self._piped: set[int] = set()
        self._changed = True
        while self._changed:
            self._changed = False
            self._known.clear()
            for routine in routines:
                self.visit(routine)
        self._known.clear()

    # --- variables and results ---

    def visit(self, routine: Routine) -> None:
        """One round: joins what is assigned into variables, what is returned into the result."""
        if routine.native:
            from .native_kinds import native_kinds

            routine.result = native_kinds(self.routines, routine).result
            return
        for node in walk(routine.body):
            if isinstance(node, n.Pipe | n.Call):  # seen before the lambdas inside
                self._note_lambda(routine, node)
            self._writes(routine, node)
        if not isinstance(routine.body, n.Block):
            self._result(routine, self.expr(routine, routine.body))
            return
        self._result(routine, self.block(routine, routine.body))
        for node in _own_returns(routine.body):
            self._result(routine, self.expr(routine, node.value))
        if any(isinstance(node, n.Propagate) for node in walk(routine.body)):
            self._result(routine, MAP)

    def _result(self, routine: Routine, kind: str) -> None:
        joined = join(routine.result, kind)
        if not same(joined, routine.result):
            routine.result = joined
            self._changed = True

    def write(self, var: Var | None, kind: str) -> None:
        """A value of this kind reaches the variable."""
        if var is None:
            return
        joined = join(self.variables.get(var, NONE), kind)
        if not same(joined, self.variables.get(var, NONE)):
            self.variables[var] = joined
            self._changed = True

    def _writes(self, routine: Routine, node: n.Node) -> None:
        var = routine.scopes.var(node)
        if isinstance(node, n.Let):
            self.write(var, self.expr(routine, node.value))
        elif isinstance(node, n.Assign):
            self.write(var, self.assigned(routine, node))
        elif isinstance(node, n.For):
            self.write(var, self._item(routine, node.iterable))
        elif isinstance(node, n.Binding | n.Lambda):
            self.write(var, self._argument(routine, node))
            self._copies(routine, node)
        elif isinstance(node, n.PrefixPattern):
            self.write(var, STRING)

    def _copies(self, routine: Routine, node: n.Node) -> None:
        function = routine.scopes.functions.get(id(node))
        for outer, copy in function.copies.items() if function is not None else ():
            self.write(copy, self.variable(outer))

    def _item(self, routine: Routine, iterable: n.Expr) -> str:
        if isinstance(iterable, n.Call) and len(iterable.args) >= 2:
            target = self.routines.call(routine, iterable, iterable.name, iterable.args)
            if isinstance(target, BuiltinCall) and iterable.name == "range":
                low = self.expr(routine, iterable.args[0])
                return NAT if low == NAT else INT
        kind = self.expr(routine, iterable)
        return item_of(kind) if kind == LIST else NONE if kind == NONE else ANY

    # --- lambdas ---

    def _argument(self, routine: Routine, node: n.Node) -> str:
        """What the parameter of a lambda gets: known when it is written where it is applied."""
        applied = self._applied.get(id(node))
        if applied is None or not isinstance(node, n.Lambda):
            return ANY
        kind = self.expr(routine, applied.items)
        if kind != LIST:
            return NONE if kind == NONE else ANY
        if applied.start is None:
            return item_of(kind)
        kept = join(self.expr(routine, applied.start), self.lambda_result(routine, node))
        return map_with([("acc", kept), ("val", item_of(kind))])

    def lambda_result(self, routine: Routine, node: n.Lambda) -> str:
        """The kind of what a lambda yields, when it is one expression."""
        if isinstance(node.body, n.Block) or any(
            isinstance(inner, n.Propagate) for inner in walk(node.body)
        ):
            return ANY
        return self.expr(routine, node.body)

    def _note_lambda(self, routine: Routine, node: n.Node) -> None:
        """Notes which items a lambda is applied to, when a call or pipe passes it right on."""
        if isinstance(node, n.Pipe):
            parts = pipe_parts(node)
            self._piped.add(id(node.right))  # its arguments are not all that it gets
        else:
            parts = (node, node.name, node.args) if isinstance(node, n.Call) else None
        if parts is None:
            return
        callee, name, args = parts
        if isinstance(node, n.Call) and id(node) in self._piped:
            return
        if name not in HIGHER_ORDER or len(args) != (3 if name == "reduce" else 2):
            return
        target = self.routines.call(routine, callee, name, args)
        if isinstance(args[-1], n.Lambda) and isinstance(target, BuiltinCall):
            start = args[1] if name == "reduce" else None
            self._applied[id(args[-1])] = Application(args[0], start)

    def assigned(self, routine: Routine, node: n.Assign) -> str:
        """The kind that `x = e` or `x += e` leaves in x."""
        if node.op == "=":
            value = node.value
            own = isinstance(value, n.Binary) and value.op == "/" and _names(value.left, node.name)
            if own and isinstance(value, n.Binary):
                left, right = self.expr(routine, value.left), self.expr(routine, value.right)
                return self._truncated(left, right)
            form = in_place_form(node)
            if form is not None and form[0] == "append" and isinstance(value, n.Call):
                kinds = [self.expr(routine, argument) for argument in value.args]
                return list_shape("push", value.args, kinds)
            return self.expr(routine, value)
        var = routine.scopes.var(node)
        left = self.variable(var) if var is not None else ANY
        right = self.expr(routine, node.value)
        op = node.op[0]
        return self._truncated(left, right) if op == "/" else arithmetic(op, left, right)

    def _truncated(self, left: str, right: str) -> str:
        if left in INTS and right in INTS:
            return join(left, right)
        return arithmetic("/", left, right)

    def variable(self, var: Var) -> str:
        """The kind that all values of a variable have."""
        kind = self.variables.get(var, NONE)
        return join(self.assumed.get(var, ANY), kind) if var.origin == "param" else kind

    # --- blocks ---

    def block(self, routine: Routine, block: n.Block) -> str:
        """The kind of a block's value; NONE when it never ends."""
        if not block.statements:
            return UNIT
        return self.statement(routine, block.statements[-1])

    def statement(self, routine: Routine, node: n.Stmt) -> str:
        if isinstance(node, n.ExprStmt):
            return self.expr(routine, node.value)
        if isinstance(node, n.If):
            kind = self.block(routine, node.then)
            if node.otherwise is None:
                return join(kind, UNIT)
            if isinstance(node.otherwise, n.If):
                return join(kind, self.statement(routine, node.otherwise))
            return join(kind, self.block(routine, node.otherwise))
        if isinstance(node, n.For):
            return join(UNIT, self.block(routine, node.body))
        return NONE if isinstance(node, n.Return | n.Break | n.Continue) else UNIT

    # --- expressions ---

    def expr(self, routine: Routine, node: n.Node) -> str:
        found = self._known.get(id(node))
        if found is None:
            rule = _RULES.get(type(node))
            found = self._known[id(node)] = rule(self, routine, node) if rule else ANY
        return found

    def forget(self) -> None:
        """Drops what was remembered, after variables were given other kinds."""
        self._known.clear()

    def _number(self, routine: Routine, node: n.Int | n.Duration) -> str:
        value = node.value if isinstance(node, n.Int) else node.milliseconds
        return NAT if value >= 0 else INT

    def _list(self, routine: Routine, node: n.ListLit) -> str:
        kind = NONE
        for item in node.items:
            kind = join(kind, self.expr(routine, item))
        return list_of(kind)

    def _name(self, routine: Routine, node: n.Name) -> str:
        var = routine.scopes.var(node)
        if var is not None:
            return self.variable(var)
        if routine.bare and self.routines.find_slot(routine.cell, node.name):
            return MAP
        return VARIANT if node.name in self.routines.program.variants else NONE

    def _binary(self, routine: Routine, node: n.Binary) -> str:
        if node.op in ("==", "!=", "<", ">", "<=", ">=", "&&", "||"):
            return BOOL
        left, right = self.expr(routine, node.left), self.expr(routine, node.right)
        if node.op == "??":
            if left == UNIT:
                return right
            return left if left not in (ANY, NONE, VARIANT) else join(left, right)
        return arithmetic(node.op, left, right)

    def _unary(self, routine: Routine, node: n.Unary) -> str:
        if node.op == "!":
            return BOOL
        return arithmetic("-", NAT, self.expr(routine, node.operand))

    def _if(self, routine: Routine, node: n.IfExpr) -> str:
        other = node.otherwise
        kind = (
            self._if(routine, other) if isinstance(other, n.IfExpr) else self.block(routine, other)
        )
        return join(self.block(routine, node.then), kind)

    def _match(self, routine: Routine, node: n.Match) -> str:
        kind = NONE
        for arm in node.arms:
            body = arm.body
            one = self.block(routine, body) if isinstance(body, n.Block) else None
            kind = join(kind, self.expr(routine, body) if one is None else one)
            if arm.guard is None and any(_catches_all(p) for p in arm.patterns):
                return kind
        return join(kind, UNIT)

    def _call(self, routine: Routine, node: n.Call) -> str:
        return self.called(routine, node, node.name, node.args)

    def _pipe(self, routine: Routine, node: n.Pipe) -> str:
        parts = pipe_parts(node)
        return self.called(routine, *parts) if parts is not None else ANY

    def called(self, routine: Routine, node: n.Node, name: str, args: tuple[n.Expr, ...]) -> str:
        """The kind of a call's result."""
        target = self.routines.call(routine, node, name, args)
        if isinstance(target, HandlerCall):
            callee = target.routine
            return callee.result if len(args) == len(callee.params) else ANY
        if isinstance(target, VariantCall):
            return VARIANT
        if isinstance(target, BuiltinCall):
            return ANY if routine.native else self.builtin(routine, target, name, args)
        return ANY

    def builtin(
        self, routine: Routine, target: BuiltinCall, name: str, args: tuple[n.Expr, ...]
    ) -> str:
        """The kind of a builtin's result, of its arguments where that says more."""
        kinds = [self.expr(routine, a) for a in args]
        if name in _NATURAL:
            return NAT
        if name in _SHAPED:
            return self._shaped(routine, name, args, kinds)
        if name in ("min", "max") and len(kinds) >= 2 and kinds[0] in INTS and kinds[1] in INTS:
            return join(kinds[0], kinds[1])
        if name == "abs" and kinds and kinds[0] in INTS:
            return NAT
        if name == "concat" and len(kinds) >= 2:
            return STRING
        return target.builtin.result or ANY

    def _shaped(
        self, routine: Routine, name: str, args: tuple[n.Expr, ...], kinds: list[str]
    ) -> str:
        """Kinds of builtins that make or keep Lists and Maps."""
        first = kinds[0] if kinds else NONE
        if first == NONE and args and name not in ("map", "list", "push", "range", "reduce"):
            return NONE
        if name == "map":
            kind = map_kind(args, kinds)
            if kind == LIST and isinstance(args[1], n.Lambda):
                return list_of(self.lambda_result(routine, args[1]))
            return map_shape(args, kinds) if kind == MAP else kind
        if name == "with":
            return with_shape(args, kinds) if first in (MAP, NONE) else MAP
        if name == "reduce":
            if len(args) != 3 or not isinstance(args[2], n.Lambda):
                return ANY
            return join(kinds[1], self.lambda_result(routine, args[2]))
        if name == "range":
            return list_of(NAT if first == NAT else INT)
        if name in ("list", "push"):
            return list_shape(name, args, kinds)
        return first if first == LIST else _KEPT[name]

    def _member(self, routine: Routine, node: n.Field | n.Method) -> str:
        if slot_target(self.routines, routine, node.target) is not None:
            return _SLOT_RESULTS.get(SLOT_METHODS.get(node.name, ""), ANY)
        kind = self.expr(routine, node.target)
        if kind == NONE:
            return NONE
        if isinstance(node, n.Field) and kind == MAP:
            fields = fields_of(kind)
            return fields[node.name] if node.name in fields else _MEMBERS.get(node.name, ANY)
        if isinstance(node, n.Field) and kind in (LIST, STRING) and node.name in ("len", "length"):
            return NAT
        return ANY


def arithmetic(op: str, left: str, right: str) -> str:
    """The kind of a sum, difference, product, quotient or remainder."""
    if NONE in (left, right):
        return NONE
    if left in INTS and right in INTS:
        natural = left == NAT and (op == "%" or right == NAT)
        if op == "/":
            return ANY
        return NAT if natural and op != "-" else INT
    if FLOAT in (left, right) and (left in (*INTS, FLOAT)) and (right in (*INTS, FLOAT)):
        return FLOAT
    return join(left, right) if op == "+" and left == right and left in (STRING, LIST) else ANY


class SpecialKinds(Kinds):
    """Kinds of one handler in the version whose parameters were checked to be as declared."""

    def __init__(self, base: Kinds, routine: Routine, assumed: dict[Var, str]) -> None:
        self.routines = base.routines
        self.effects = base.effects
        self.variables = {}
        self.assumed = assumed
        self.routine = routine
        self.result = NONE
        self._known = {}
        self._applied = {}
        self._piped = set()
        self._changed = True
        while self._changed:
            self._changed = False
            self._known.clear()
            self.visit(routine)
        self._known.clear()

    def _result(self, routine: Routine, kind: str) -> None:
        joined = join(self.result, kind)
        if not same(joined, self.result):
            self.result = joined
            self._changed = True

    def called(self, routine: Routine, node: n.Node, name: str, args: tuple[n.Expr, ...]) -> str:
        target = self.routines.call(routine, node, name, args)
        if isinstance(target, HandlerCall) and target.routine is self.routine:
            kinds = [self.expr(routine, a) for a in args]
            if NONE in kinds or self.fits(kinds):
                return self.result
        return super().called(routine, node, name, args)

    def fits(self, kinds: list[str]) -> bool:
        """Whether arguments of these kinds may go straight to this version."""
        wanted = list(self.assumed.values())
        return len(kinds) == len(wanted) and all(
            have == want or (want == INT and have in INTS)
            for have, want in zip(kinds, wanted, strict=True)
        )


def special_kinds(kinds: Kinds, routine: Routine) -> SpecialKinds | None:
    """Kinds for a second version of a hot handler: one that loops or calls itself."""
    handler = routine.handler
    if handler is None or routine.native or not handler.params:
        return None
    declared = {"Int": INT, "Float": FLOAT, "String": STRING, "Bool": BOOL}
    wanted = [declared.get(p.type.name) for p in handler.params]
    variables = [v for v in routine.scopes.function.variables if v.origin == "param"]
    if None in wanted or not _is_hot(routine):
        return None
    assumed = {v: kind for v, kind in zip(variables, wanted, strict=True) if kind is not None}
    return SpecialKinds(kinds, routine, assumed)


def _is_hot(routine: Routine) -> bool:
    return any(
        isinstance(node, n.For | n.While)
        or (isinstance(node, n.Call) and node.name == routine.name)
        for node in walk(routine.body)
    )


def _catches_all(pattern: n.Pattern) -> bool:
    return isinstance(pattern, n.Wildcard | n.Binding)


def _names(node: n.Node, name: str) -> bool:
    return isinstance(node, n.Name) and node.name == name


def _own_returns(body: n.Node) -> list[n.Return]:
    """The `return`s of a handler, not those of its lambdas."""
    from .tree import children

    found: list[n.Return] = []
    for child in children(body):
        if isinstance(child, n.Return):
            found.append(child)
        if not isinstance(child, n.Lambda):
            found.extend(_own_returns(child))
    return found


def _always(kind: str) -> Callable[[Kinds, Routine, n.Node], str]:
    return lambda kinds, routine, node: kind


_RULES: dict[type[n.Node], Callable[..., str]] = {
    n.Int: Kinds._number,
    n.Duration: Kinds._number,
    n.Float: _always(FLOAT),
    n.Percent: _always(FLOAT),
    n.Str: _always(STRING),
    n.Bool: _always(BOOL),
    n.Unit: _always(UNIT),
    n.Lambda: _always(LAMBDA),
    n.ListLit: Kinds._list,
    n.Record: _always(ANY),
    n.Try: _always(MAP),
    n.Name: Kinds._name,
    n.Binary: Kinds._binary,
    n.Unary: Kinds._unary,
    n.IfExpr: Kinds._if,
    n.Match: Kinds._match,
    n.Call: Kinds._call,
    n.Pipe: Kinds._pipe,
    n.Field: Kinds._member,
    n.Method: Kinds._member,
}

__all__ = [
    "ANY",
    "BOOL",
    "FLOAT",
    "INT",
    "INTS",
    "LAMBDA",
    "LIST",
    "MAP",
    "NAT",
    "NONE",
    "PYTHON_TYPES",
    "STRING",
    "UNIT",
    "VARIANT",
    "Kinds",
    "SpecialKinds",
    "arithmetic",
    "join",
    "special_kinds",
]
