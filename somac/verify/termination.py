"""Whether handlers end by their structure alone (§5.6).

A loop over a finite value ends. Handlers that call each other in a circle end when, at each call,
some argument decreases: arguments are compared position by position, lexicographically, and only
`param - k` with a positive literal k counts as smaller. A circle that nothing can leave is refused
even then. What lies below a lower bound nobody checks: there the recursion limit ends the run.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..check.targets import calls, literal_text
from ..frontend import nodes as n
from ..frontend.builtins import BUILTINS
from ..frontend.program import Program
from ..frontend.walk import walk
from .bodies import Body, all_bodies, handler_bodies
from .kripke import Kripke, components
from .report import Check, passed, warned

FOR = "for-loop with unbounded iterator (add [loop_bound(N)] or use range(0, N) with literal N)"
WHILE = (
    "while-loop without provable termination bound (consider replacing with a bounded for-loop or"
    " adding a max-iteration guard)"
)
RECURSION = "recursive call without provable decreasing argument"


def termination_checks(program: Program, cell: n.Cell) -> Iterator[Check]:
    """One line for all handlers of a cell, or one per reason to doubt."""
    handlers = handler_bodies(cell)
    recursive = _unproven(program, cell)
    doubts = [
        f"handler `{body.name}`: {reason}"
        for body in all_bodies(cell)
        for reason in [*_loops(body), *([RECURSION] if body.name in recursive else [])]
    ]
    if doubts:
        yield from map(warned, doubts)
    elif handlers:
        yield passed(f"termination: all {len(handlers)} handlers structurally terminate")


def _loops(body: Body) -> Iterator[str]:
    for node in walk(body.block):
        if isinstance(node, n.While):
            yield WHILE
        elif isinstance(node, n.For) and node.loop_bound is None:
            finite = isinstance(node.iterable, n.Name | n.Field | n.Method | n.Call)
            if not finite:
                yield FOR


@dataclass(frozen=True)
class _Call:
    """A call of one handler by another; both by number."""

    caller: int
    callee: int
    args: tuple[n.Node, ...]


def _unproven(program: Program, cell: n.Cell) -> set[str]:
    """The names of this cell's handlers that call themselves, alone or in a circle, unproven."""
    bodies = [(owner, body) for owner in program.live for body in handler_bodies(owner)]
    numbers = {(owner.name, body.name): at for at, (owner, body) in enumerate(bodies)}
    found = [call for at in range(len(bodies)) for call in _calls(program, bodies, numbers, at)]
    if not bodies:
        return set()
    successors: list[list[int]] = [[] for _ in bodies]
    for call in found:
        successors[call.caller].append(call.callee)
    graph = Kripke([body.name for _, body in bodies], successors)
    unproven: set[str] = set()
    for component in components(graph, bytearray(b"\x01" * len(bodies))):
        inside = set(component)
        circle = [c for c in found if c.caller in inside and c.callee in inside]
        if circle and not _decreases([bodies[at][1] for at in range(len(bodies))], circle):
            unproven |= {bodies[at][1].name for at in component if bodies[at][0] is cell}
    return unproven


def _calls(
    program: Program,
    bodies: list[tuple[n.Cell, Body]],
    numbers: dict[tuple[str, str], int],
    caller: int,
) -> Iterator[_Call]:
    owner, body = bodies[caller]
    for cell, handler, args in _reached(program, owner, body):
        callee = numbers.get((cell.name, handler.name))
        if callee is not None and bodies[callee][1].handler is handler:
            yield _Call(caller, callee, args)


def _reached(
    program: Program, owner: n.Cell, body: Body
) -> Iterator[tuple[n.Cell, n.Handler, tuple[n.Node, ...]]]:
    """What a body can call: by name, by `delegate` with literal names, and by `emit`."""
    for name, args, _ in calls(walk(body.block)):
        builtin = BUILTINS.get(name)
        if name == "delegate" and len(args) >= 2:
            cell, signal = literal_text(args[0]), literal_text(args[1])
            for other, handler in program.handlers.get(signal or "", ()):
                if other.name == cell:
                    yield other, handler, args[2:]
        elif builtin is None or len(args) < builtin.min_args:
            target = program.find_handler(owner, name)
            if target is not None:
                yield *target, args
    for node in walk(body.block):
        if isinstance(node, n.Emit):
            for other, handler in program.handlers.get(node.name, ()):
                if other is not owner:
                    yield other, handler, node.args


def _decreases(bodies: list[Body], circle: list[_Call]) -> bool:
    """Whether the calls of a circle decrease lexicographically, and something can leave it."""
    callers = {call.caller for call in circle}
    if not any(_can_leave(bodies[at]) for at in callers):
        return False
    fixed = {at: _unchanged_params(bodies[at]) for at in callers}
    left = list(circle)
    while left:
        width = min(len(bodies[call.caller].params) for call in left)
        steps = [
            [_step(call, position, fixed[call.caller]) for call in left]
            for position in range(width)
        ]
        best = next((s for s in steps if -1 in s and 1 not in s), None)
        if best is None:
            return False
        left = [call for call, step in zip(left, best, strict=True) if step == 0]
    return True


def _step(call: _Call, position: int, params: list[str]) -> int:
    """-1 when the argument is the caller's parameter minus a literal, 0 when it is the parameter,
    1 for all else."""
    if position >= len(call.args) or not params[position]:
        return 1
    arg, name = call.args[position], params[position]
    if isinstance(arg, n.Name) and arg.name == name:
        return 0
    if isinstance(arg, n.Binary) and arg.op == "-" and isinstance(arg.left, n.Name):
        smaller = isinstance(arg.right, n.Int) and arg.right.value > 0
        return -1 if arg.left.name == name and smaller else 1
    return 1


def _unchanged_params(body: Body) -> list[str]:
    """The parameters by position; an empty text for one that the body binds anew."""
    bound: set[str] = set()
    for node in walk(body.block):
        if isinstance(node, n.Let | n.Assign | n.For | n.Binding):
            bound.add(node.name)
        elif isinstance(node, n.Lambda):
            bound.add(node.param)
        elif isinstance(node, n.PrefixPattern):
            bound.add(node.rest)
    return ["" if name in bound else name for name in body.params]


def _can_leave(body: Body) -> bool:
    """Whether something in a body is conditional, so that a call need not happen."""
    for node in walk(body.block):
        if isinstance(node, n.If | n.IfExpr | n.Match | n.Require | n.Ensure | n.For | n.Lambda):
            return True
        if isinstance(node, n.Binary) and node.op in ("&&", "||", "??"):
            return True
    return False
