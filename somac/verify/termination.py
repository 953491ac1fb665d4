"""Whether handlers end by their structure alone (§5.6).

A loop over a finite value ends. Handlers that call each other in a circle end when, at each call,
some argument decreases: arguments are compared position by position, lexicographically, and only
`param - k` with a positive literal k counts as smaller. A circle that nothing can leave is refused
even then, and so is one that goes through a guard, an effect or an invariant, which have no
arguments. What lies below a lower bound nobody checks: there the recursion limit ends the run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property

from ..frontend import nodes as n
from ..frontend.program import Program
from ..frontend.walk import walk
from .bodies import handler_bodies
from .callgraph import Call, CallGraph, Piece
from .kripke import Kripke, components
from .report import Check, passed, warned

FOR = "for-loop with unbounded iterator (add [loop_bound(N)] or use range(0, N) with literal N)"
WHILE = (
    "while-loop without provable termination bound (consider replacing with a bounded for-loop or"
    " adding a max-iteration guard)"
)
RECURSION = "recursive call without provable decreasing argument"
UNSURE = "which may not terminate"


class Endings:
    """Judges the cells of one program, on one graph of calls."""

    def __init__(self, program: Program) -> None:
        self.program = program

    @cached_property
    def graph(self) -> CallGraph:
        return CallGraph(self.program)

    @cached_property
    def recursive(self) -> set[int]:
        """The pieces that call themselves, alone or in a circle, without a proof that this ends."""
        unproven: set[int] = set()
        for circle in _circles(self.graph):
            if not _decreases(self.graph.pieces, circle):
                unproven |= {call.caller for call in circle}
        return unproven

    def checks(self, cell: n.Cell) -> Iterator[Check]:
        """One line for all handlers of a cell, or one per reason to doubt."""
        handlers = handler_bodies(cell)
        doubts = [
            f"handler `{piece.name}`: {reason}"
            for at, piece in enumerate(self.graph.pieces)
            if piece.cell is cell
            for reason in [*_loops(piece), *([RECURSION] if at in self.recursive else [])]
        ]
        doubts = doubts or list(self._doubts_elsewhere(cell))
        if doubts:
            yield from map(warned, doubts)
        elif handlers:
            yield passed(f"termination: all {len(handlers)} handlers structurally terminate")

    def _doubts_elsewhere(self, cell: n.Cell) -> Iterator[str]:
        """Which pieces of a cell call something doubtful that another cell has."""
        pieces = self.graph.pieces
        for at, piece in enumerate(pieces):
            if piece.cell is cell:
                for other in self.graph.called_from(at):
                    found = pieces[other]
                    if other in self.recursive or any(_loops(found)):
                        name = f"{found.cell.name}.{found.name}"
                        yield f"handler `{piece.name}`: calls `{name}`, {UNSURE}"
                        break


def _circles(graph: CallGraph) -> Iterator[list[Call]]:
    """The calls inside of each circle of pieces."""
    size = len(graph.pieces)
    if not size:
        return
    successors: list[list[int]] = [[] for _ in range(size)]
    for call in graph.calls:
        successors[call.caller].append(call.callee)
    kripke = Kripke([piece.name for piece in graph.pieces], successors)
    component_of = [0] * size
    for number, component in enumerate(components(kripke, bytearray(b"\x01" * size))):
        for at in component:
            component_of[at] = number
    circles: dict[int, list[Call]] = {}
    for call in graph.calls:
        if component_of[call.caller] == component_of[call.callee]:
            circles.setdefault(component_of[call.caller], []).append(call)
    yield from circles.values()


def _loops(piece: Piece) -> Iterator[str]:
    for node in walk(piece.root):
        if isinstance(node, n.While):
            yield WHILE
        elif isinstance(node, n.For) and node.loop_bound is None:
            finite = isinstance(node.iterable, n.Name | n.Field | n.Method | n.Call)
            if not finite:
                yield FOR


def _decreases(pieces: Sequence[Piece], circle: list[Call]) -> bool:
    """Whether the calls of a circle decrease lexicographically, and something can leave it."""
    callers = {call.caller for call in circle}
    if not any(_can_leave(pieces[at]) for at in callers):
        return False
    fixed = {at: _unchanged_params(pieces[at]) for at in callers}
    left = list(circle)
    while left:
        width = min(len(pieces[call.caller].params) for call in left)
        steps = [
            [_step(call, position, fixed[call.caller]) for call in left]
            for position in range(width)
        ]
        best = next((s for s in steps if -1 in s and 1 not in s), None)
        if best is None:
            return False
        left = [call for call, step in zip(left, best, strict=True) if step == 0]
    return True


def _step(call: Call, position: int, params: list[str]) -> int:
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


def _unchanged_params(piece: Piece) -> list[str]:
    """The parameters by position; an empty text for one that the piece binds anew."""
    bound: set[str] = set()
    for node in walk(piece.root):
        if isinstance(node, n.Let | n.Assign | n.For | n.Binding):
            bound.add(node.name)
        elif isinstance(node, n.Lambda):
            bound.add(node.param)
        elif isinstance(node, n.PrefixPattern):
            bound.add(node.rest)
    return ["" if name in bound else name for name in piece.params]


def _can_leave(piece: Piece) -> bool:
    """Whether something in a piece is conditional, so that a call need not happen."""
    for node in walk(piece.root):
        if isinstance(node, n.If | n.IfExpr | n.Match | n.Require | n.Ensure | n.For | n.Lambda):
            return True
        if isinstance(node, n.Binary) and node.op in ("&&", "||", "??"):
            return True
    return False
