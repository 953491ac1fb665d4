"""Which parameters of private handlers only ever get literals, and which ones: constant propagation
between handlers (Wegman and Zadeck, 1991), over sets of texts, without regard to conditions.

A private handler (`_name`) is called by the program alone. When every call gives a parameter one
of finitely many literal texts, directly or through parameters and variables of the caller, these
are all that it can be. A name that is used in any other way gives its handler away: then nothing
is known.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from ..check.targets import calls, literal_text
from ..frontend import nodes as n
from ..frontend.program import Program, handlers_of
from ..frontend.walk import walk

Values = frozenset[str]
NOTHING: Mapping[str, Values] = MappingProxyType({})
VALUES_MAX = 64  # of one parameter; beyond that it counts as computed


class Constants:
    """The known parameters of a program's handlers. Handlers of one name count as one."""

    def __init__(self, program: Program) -> None:
        self._handlers: dict[str, list[n.Handler]] = {}
        self._bodies: list[tuple[n.Handler | None, list[n.Node]]] = []
        self._nodes: list[tuple[n.Handler | None, list[n.Node]]] = []
        for cell in program.all_cells:
            if cell.kind == "test":
                continue
            for handler in handlers_of(cell).values():
                self._handlers.setdefault(handler.name, []).append(handler)
                self._bodies.append((handler, [handler.body]))
            others = [s for s in cell.sections if not isinstance(s, n.Handler | n.Interior)]
            self._bodies.append((None, [*others]))
        self._known: dict[tuple[str, int], Values | None] = {}  # None: anything
        self._open: set[str] = set()
        if any(map(_is_private, self._handlers)):
            self._nodes = [(owner, list(_below(roots))) for owner, roots in self._bodies]
            self._open = self._given_away()
            self._solve()

    def of(self, handler: n.Handler | None) -> Mapping[str, Values]:
        """The values of a handler's parameters, for those that have finitely many."""
        if handler is None or not _is_private(handler.name) or handler.name in self._open:
            return NOTHING
        bound = _bound(handler)
        found = {}
        for at, param in enumerate(handler.params):
            values = self._known.get((handler.name, at))
            if values and param.name not in bound:
                found[param.name] = values
        return found

    # --- calls -----------------------------------------------------------------------------------

    def _given_away(self) -> set[str]:
        """The handlers that are used other than by a call whose arguments are seen."""
        private = {name for name in self._handlers if _is_private(name)}
        found: set[str] = set()
        for _, nodes in self._nodes:
            called = {id(node) for name, _, node in calls(nodes) if name in private}
            delegated: set[int] = set()
            for name, args, _ in calls(nodes):
                if name == "delegate" and len(args) >= 2:
                    if literal_text(args[1]) is None:
                        return private
                    delegated.add(id(args[1]))
            for node in nodes:
                if id(node) not in called and id(node) not in delegated:
                    found.update(private.intersection(_names(node)))
        return found

    def _calls(self) -> Iterator[tuple[n.Handler | None, str, tuple[n.Node, ...]]]:
        """The caller, the handler's name and the arguments of every call."""
        for caller, nodes in self._nodes:
            for name, args, _ in calls(nodes):
                if name == "delegate" and len(args) >= 2:
                    name, args = literal_text(args[1]) or "", args[2:]
                if name in self._handlers:
                    yield caller, name, args
            for node in nodes:
                if isinstance(node, n.Emit) and node.name in self._handlers:
                    yield caller, node.name, node.args

    def _solve(self) -> None:
        """The least solution: sets grow until no call adds to them."""
        sites = [site for site in self._calls() if _is_private(site[1])]
        changed = True
        while changed:
            changed = False
            for caller, name, args in sites:
                count = max(len(handler.params) for handler in self._handlers[name])
                for at in range(count):
                    key = (name, at)
                    before = self._known.get(key, frozenset())
                    given = self._value(args[at], caller) if at < len(args) else None
                    after = None if before is None or given is None else before | given
                    if after is not None and len(after) > VALUES_MAX:
                        after = None
                    if after != before:
                        self._known[key] = after
                        changed = True

    # --- values ----------------------------------------------------------------------------------

    def _value(
        self, node: n.Node, caller: n.Handler | None, seen: frozenset[str] = frozenset()
    ) -> Values | None:
        """What an expression can be; None for anything."""
        text = literal_text(node)
        if text is not None:
            return frozenset({text})
        parts: list[n.Node | None] = []
        if isinstance(node, n.Name):
            return self._variable(node.name, caller, seen)
        if isinstance(node, n.IfExpr):
            parts = [_last(node.then), _last(node.otherwise)]
        elif isinstance(node, n.Match):
            parts = [_last(arm.body) for arm in node.arms]
        elif isinstance(node, n.Binary) and node.op == "??":
            parts = [node.left, node.right]
        found: Values = frozenset()
        for part in parts:
            values = None if part is None else self._value(part, caller, seen)
            if values is None:
                return None
            found |= values
        return found if parts else None

    def _variable(self, name: str, caller: n.Handler | None, seen: frozenset[str]) -> Values | None:
        if name[:1].isupper():
            return frozenset({name})
        if caller is None or name in seen:
            return None
        seen |= {name}
        written = [s for s in walk(caller.body) if isinstance(s, n.Let | n.Assign)]
        written = [s for s in written if s.name == name]
        params = [param.name for param in caller.params]
        if not written and name in params and name not in _bound(caller):
            if not _is_private(caller.name) or caller.name in self._open:
                return None
            return self._known.get((caller.name, params.index(name)), frozenset())
        if not written or name in params or name in _bound(caller, variables=False):
            return None
        found: Values = frozenset()
        for statement in written:
            plain = isinstance(statement, n.Let) or statement.op == "="
            values = self._value(statement.value, caller, seen) if plain else None
            if values is None:
                return None
            found |= values
        return found


def _below(roots: list[n.Node]) -> Iterator[n.Node]:
    for root in roots:
        yield from walk(root)


def _is_private(name: str) -> bool:
    return name.startswith("_")


def _last(body: n.Node) -> n.Node | None:
    """The expression whose value a block or an arm yields."""
    if not isinstance(body, n.Block):
        return body
    last = body.statements[-1] if body.statements else None
    return last.value if isinstance(last, n.ExprStmt) else None


def _names(node: n.Node) -> Iterator[str]:
    """The names of handlers that a node may mean, if they are any."""
    if isinstance(node, n.Name | n.Method | n.Call):
        yield node.name
    elif isinstance(node, n.Str):
        yield node.value
    elif isinstance(node, n.Connect):
        yield node.signal
    elif isinstance(node, n.Start):
        yield node.cell


def _bound(handler: n.Handler, variables: bool = True) -> set[str]:
    """The names that a handler binds: loops, lambdas and patterns, and (if asked) variables."""
    found: set[str] = set()
    for node in walk(handler.body):
        if isinstance(node, n.For | n.Binding) or (
            variables and isinstance(node, n.Let | n.Assign)
        ):
            found.add(node.name)
        elif isinstance(node, n.Lambda):
            found.add(node.param)
        elif isinstance(node, n.PrefixPattern):
            found.add(node.rest)
    return found
