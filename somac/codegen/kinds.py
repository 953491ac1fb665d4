"""Which kind each expression is proven to have, so that Python's own operators can be used.

One kind per variable, whatever the order of assignments; a fixpoint over the whole program. Types
of parameters are documentation in Soma, so a parameter's kind is unknown unless a specialised
version of the handler has checked it. `NAT` is an Int that is never negative.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..frontend import nodes as n
from .effects import Effects
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
from .tree import walk

NONE = ""  # nothing yet: the start of the fixpoint
ANY = "Any"
INT, NAT, FLOAT, STRING, BOOL = "Int", "Nat", "Float", "String", "Bool"
LIST, MAP, UNIT, LAMBDA, VARIANT = "List", "Map", "Unit", "Lambda", "Variant"

INTS = frozenset({INT, NAT})
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


def join(a: str, b: str) -> str:
    """The kind that covers both."""
    if a == b or b == NONE:
        return a
    if a == NONE:
        return b
    return INT if a in INTS and b in INTS else ANY


class Kinds:
    """Kinds of variables and results; `expr` asks for an expression's."""

    def __init__(self, routines: Routines, effects: Effects) -> None:
        self.routines = routines
        self.effects = effects
        self.variables: dict[Var, str] = {}
        self.assumed: dict[Var, str] = {}  # of parameters that were checked
        self._known: dict[int, str] = {}
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
        if joined != routine.result:
            routine.result = joined
            self._changed = True

    def write(self, var: Var | None, kind: str) -> None:
        """A value of this kind reaches the variable."""
        if var is None:
            return
        joined = join(self.variables.get(var, NONE), kind)
        if joined != self.variables.get(var, NONE):
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
            self.write(var, ANY)
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
        return ANY

    def assigned(self, routine: Routine, node: n.Assign) -> str:
        """The kind that `x = e` or `x += e` leaves in x."""
        if node.op == "=":
            value = node.value
            own = isinstance(value, n.Binary) and value.op == "/" and _names(value.left, node.name)
            if own and isinstance(value, n.Binary):
                left, right = self.expr(routine, value.left), self.expr(routine, value.right)
                return self._truncated(left, right)
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
        if name == "map":
            return _map_kind(args, kinds)
        if name in ("min", "max") and len(kinds) >= 2 and kinds[0] in INTS and kinds[1] in INTS:
            return join(kinds[0], kinds[1])
        if name == "abs" and kinds and kinds[0] in INTS:
            return NAT
        if name == "concat" and len(kinds) >= 2:
            return STRING
        if name == "with" and kinds and kinds[0] in (MAP, NONE):
            return kinds[0]
        return target.builtin.result or ANY

    def _member(self, routine: Routine, node: n.Field | n.Method) -> str:
        if slot_target(self.routines, routine, node.target) is not None:
            return _SLOT_RESULTS.get(SLOT_METHODS.get(node.name, ""), ANY)
        kind = self.expr(routine, node.target)
        if isinstance(node, n.Field) and kind == MAP:
            return _MEMBERS.get(node.name, ANY)
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
    return left if op == "+" and left == right and left in (STRING, LIST) else ANY


def _map_kind(args: tuple[n.Expr, ...], kinds: list[str]) -> str:
    """`map(…)` is a Map unless it may be given a list and a lambda."""
    if not args or len(args) > 2:
        return MAP
    if len(args) == 2 and kinds[0] == LIST and isinstance(args[1], n.Lambda):
        return LIST
    open_kinds = (LIST, ANY, NONE)
    return ANY if kinds[0] in open_kinds and kinds[-1] in (ANY, NONE, LAMBDA) else MAP


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
        self._changed = True
        while self._changed:
            self._changed = False
            self._known.clear()
            self.visit(routine)
        self._known.clear()

    def _result(self, routine: Routine, kind: str) -> None:
        joined = join(self.result, kind)
        if joined != self.result:
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
    n.ListLit: _always(LIST),
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
