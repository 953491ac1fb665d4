"""Which variable each name of a handler means (core §3.6 with mend 4).

`let` and pattern bindings belong to their block; `x = e` on an unknown name makes a variable of the
whole handler; a lambda assigns to copies of its own. Every variable gets a Python name that is
unique in its function.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from ..frontend import nodes as n
from .mangle import Namer, python_name
from .tree import children, walk


@dataclass(eq=False)
class Var:
    """A local variable. `loops` are the loops around its declaration."""

    name: str
    origin: str  # "param", "let", "assigned", "for", "pattern", "lambda" or "copy"
    function: Function
    loops: tuple[int, ...] = ()
    py: str = ""
    writes: int = 0
    reads: int = 0
    captured: bool = False


@dataclass(eq=False)
class Function:
    """A Python function to be: a handler's body or a lambda's, with the variables it owns."""

    parent: Function | None = None
    variables: list[Var] = field(default_factory=list)
    captures: list[Var] = field(default_factory=list)  # read here, owned further out
    copies: dict[Var, Var] = field(default_factory=dict)  # outer variable → own copy
    namer: Namer = field(default_factory=Namer)


@dataclass
class Scopes:
    """The result: `variables` maps id(node) to what the node reads, writes or calls."""

    function: Function
    variables: dict[int, Var] = field(default_factory=dict)
    functions: dict[int, Function] = field(default_factory=dict)  # of lambdas
    loops: dict[int, tuple[int, ...]] = field(default_factory=dict)  # around reads and writes
    order: dict[int, int] = field(default_factory=dict)  # of reads and writes
    literal_holes: set[int] = field(default_factory=set)

    def var(self, node: n.Node) -> Var | None:
        return self.variables.get(id(node))


Known = Callable[[n.Node, bool], bool]
"""Whether a name that is no local means something: (Name or Call node, is it before a dot)."""


class Resolver:
    """Walks one handler in source order."""

    def __init__(self, known: Known) -> None:
        self.known = known
        self.function = Function()
        self.scopes = Scopes(self.function)
        self.blocks: list[tuple[Function, dict[str, Var]]] = [(self.function, {})]
        self.loops: list[int] = []
        self.pending: list[tuple[n.Node, str, Function]] = []
        self.assigned: set[str] = set()

    def resolve(self, params: Iterable[str], body: n.Node) -> Scopes:
        """The scopes of a handler with these parameters."""
        for name in params:
            self._declare(name, "param").writes += 1
        self.assigned = {
            node.name for node in walk(body) if isinstance(node, n.Assign) and node.op == "="
        }
        if isinstance(body, n.Block):
            for statement in body.statements:
                self._visit(statement)
        else:
            self._visit(body)
        for node, name, function in self.pending:
            var = self.blocks[0][1].get(name)
            if var is not None:
                self._read(node, self._reach(var, function), function)
        self._name_all(self.function)
        return self.scopes

    # --- variables ---

    def _lookup(self, name: str) -> Var | None:
        for _, names in reversed(self.blocks):
            if name in names:
                return self._reach(names[name], self.function)
        return None

    def _reach(self, var: Var, function: Function) -> Var:
        """The variable, or the copy of it that an enclosing lambda works on."""
        inner: Function | None = function
        while inner is not None and inner is not var.function:
            if var in inner.copies:
                return inner.copies[var]
            inner = inner.parent
        return var

    def _declare(self, name: str, origin: str) -> Var:
        names = self.blocks[-1][1]
        found = names.get(name)
        if found is not None and origin != "param" and found.function is self.function:
            return found
        var = Var(name, origin, self.function, tuple(self.loops))
        self.function.variables.append(var)
        names[name] = var
        return var

    def _note(self, node: n.Node, var: Var) -> None:
        self.scopes.variables[id(node)] = var
        self.scopes.loops[id(node)] = tuple(self.loops)
        self.scopes.order[id(node)] = len(self.scopes.order)

    def _read(self, node: n.Node, var: Var, function: Function | None = None) -> None:
        self._note(node, var)
        var.reads += 1
        inner: Function | None = function or self.function
        while inner is not None and inner is not var.function:
            if var not in inner.captures:
                inner.captures.append(var)
            var.captured = True
            inner = inner.parent

    def _write(self, node: n.Node, var: Var) -> None:
        self._note(node, var)
        var.writes += 1

    def _assign(self, node: n.Assign) -> None:
        self._visit(node.value)
        var = self._lookup(node.name)
        if var is None and node.op != "=" and node.name not in self.assigned:
            return  # it is bound nowhere: `x += 1` fails as a read of x does
        if var is None:
            var = Var(node.name, "assigned", self.function)
            self.function.variables.append(var)
            self._base_names()[node.name] = var
        elif var.function is not self.function:
            var = self._copy(var)
        self._write(node, var)
        if node.op != "=":
            var.reads += 1

    def _copy(self, outer: Var) -> Var:
        copy = Var(outer.name, "copy", self.function, tuple(self.loops), writes=1)
        self.function.copies[outer] = copy
        self.function.variables.append(copy)
        outer.reads += 1
        outer.captured = True
        return copy

    def _base_names(self) -> dict[str, Var]:
        return next(names for function, names in self.blocks if function is self.function)

    # --- the walk ---

    def _visit(self, node: n.Node) -> None:
        visitor = _VISITORS.get(type(node))
        if visitor is not None:
            visitor(self, node)
        else:
            for child in children(node):
                self._visit(child)

    def _block(self, block: n.Block) -> None:
        self.blocks.append((self.function, {}))
        for statement in block.statements:
            self._visit(statement)
        self.blocks.pop()

    def _name(self, node: n.Name) -> None:
        self._use(node, node.name)

    def _use(self, node: n.Node, name: str) -> None:
        var = self._lookup(name)
        if var is not None:
            self._read(node, var)
        elif name in self.assigned:
            self.pending.append((node, name, self.function))

    def _call(self, node: n.Call) -> None:
        for argument in node.args:
            self._visit(argument)
        self._callee(node, node)

    def _pipe(self, node: n.Pipe) -> None:
        self._visit(node.left)
        right = node.right
        if isinstance(right, n.Name):
            self._callee(right, n.Call(right.name, (node.left,)))
        elif isinstance(right, n.Call):
            for argument in right.args:
                self._visit(argument)
            self._callee(right, n.Call(right.name, (node.left, *right.args)))
        else:
            self._visit(right)

    def _callee(self, node: n.Node, call: n.Call) -> None:
        """What is called: a variable only where no function has its name, so that `let max = …`
        leaves `max(a, b)` what it was."""
        var = self._lookup(call.name)
        if var is not None and not self.known(call, False):
            self._read(node, var)

    def _string(self, node: n.Str) -> None:
        for part in node.parts:
            if isinstance(part, n.Hole) and part.expr is not None:
                if self._all_known(part.expr, frozenset()):
                    self._visit(part.expr)
                else:
                    self.scopes.literal_holes.add(id(part))

    def _all_known(self, node: n.Node, bound: frozenset[str]) -> bool:
        """Whether every name in a hole means something here (mend 2)."""
        own = bound | {
            inner.param if isinstance(inner, n.Lambda) else getattr(inner, "name", "")
            for inner in walk(node)
            if isinstance(inner, n.Lambda | n.Binding | n.Let | n.For)
        }
        own |= {i.rest for i in walk(node) if isinstance(i, n.PrefixPattern)}
        if isinstance(node, n.Name):
            return self._is_local(node.name, own) or self.known(node, False)
        if isinstance(node, n.Call) and not (
            self._is_local(node.name, own) or self.known(node, False)
        ):
            return False
        if isinstance(node, n.Field | n.Method) and isinstance(node.target, n.Name):
            target = node.target
            if not (self._is_local(target.name, own) or self.known(target, True)):
                return False
            rest: Iterable[n.Node] = node.args if isinstance(node, n.Method) else ()
            return all(self._all_known(child, own) for child in rest)
        if isinstance(node, n.Pipe) and isinstance(node.right, n.Name | n.Call):
            more = node.right.args if isinstance(node.right, n.Call) else ()
            return self._all_known(n.Call(node.right.name, (node.left, *more)), own)
        return all(self._all_known(child, own) for child in children(node))

    def _is_local(self, name: str, bound: frozenset[str]) -> bool:
        return name in bound or name in self.assigned or self._lookup(name) is not None

    def _let(self, node: n.Let) -> None:
        self._visit(node.value)
        self._write(node, self._declare(node.name, "let"))

    def _if(self, node: n.If | n.IfExpr) -> None:
        self._visit(node.condition)
        self._visit(node.then)
        if node.otherwise is not None:
            self._visit(node.otherwise)

    def _for(self, node: n.For) -> None:
        self._visit(node.iterable)
        self.blocks.append((self.function, {}))
        self.loops.append(id(node))
        self._write(node, self._declare(node.name, "for"))
        self._block(node.body)
        self.loops.pop()
        self.blocks.pop()

    def _while(self, node: n.While) -> None:
        self.loops.append(id(node))
        self._visit(node.condition)
        self._block(node.body)
        self.loops.pop()

    def _arm(self, node: n.Arm) -> None:
        self.blocks.append((self.function, {}))
        for pattern in node.patterns:
            self._visit(pattern)
        if node.guard is not None:
            self._visit(node.guard)
        self._visit(node.body)
        self.blocks.pop()

    def _binding(self, node: n.Binding) -> None:
        self._write(node, self._declare(node.name, "pattern"))

    def _prefix(self, node: n.PrefixPattern) -> None:
        self._write(node, self._declare(node.rest, "pattern"))

    def _lambda(self, node: n.Lambda) -> None:
        outer = self.function
        self.function = Function(parent=outer)
        self.scopes.functions[id(node)] = self.function
        self.blocks.append((self.function, {}))
        self._write(node, self._declare(node.param, "lambda"))
        self._visit(node.body)
        self.blocks.pop()
        self.function = outer

    # --- Python names ---

    def _name_all(self, function: Function) -> None:
        """Names that the whole handler sees come first, so that they keep their own."""
        order = {"param": 0, "lambda": 0, "copy": 0, "assigned": 1}
        reserved = [var.py for var in function.captures]
        function.namer = Namer([*reserved, "_"])
        for var in sorted(function.variables, key=lambda v: order.get(v.origin, 2)):
            var.py = function.namer.fresh(python_name(var.name))
        for inner in self.scopes.functions.values():
            if inner.parent is function:
                self._name_all(inner)


_VISITORS: dict[type[n.Node], Callable[..., None]] = {
    n.Block: Resolver._block,
    n.Name: Resolver._name,
    n.Call: Resolver._call,
    n.Pipe: Resolver._pipe,
    n.Str: Resolver._string,
    n.Let: Resolver._let,
    n.Assign: Resolver._assign,
    n.If: Resolver._if,
    n.IfExpr: Resolver._if,
    n.For: Resolver._for,
    n.While: Resolver._while,
    n.Arm: Resolver._arm,
    n.Binding: Resolver._binding,
    n.PrefixPattern: Resolver._prefix,
    n.Lambda: Resolver._lambda,
}
