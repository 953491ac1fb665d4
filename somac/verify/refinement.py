"""Handlers against the lifecycle (§5.4) and against answers of a model (§5.5, line 13 of §5.2)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from ..check.targets import calls, literal_text, options
from ..frontend import nodes as n
from ..frontend.diagnostics import Diagnostic, Severity
from ..frontend.program import Program, sections
from ..frontend.walk import walk
from .bodies import Body, all_bodies, handler_bodies
from .constants import Constants
from .kripke import members
from .lifecycle import Lifecycle, state_names
from .moves import Move, moves_of
from .report import Check, Step, failed, passed, warned
from .structure import listed

PARTIAL = "refinement (partial — dynamic targets fall back to runtime check)"


@dataclass(frozen=True)
class Driver:
    """A cell whose machines are judged, with all that can move their instances."""

    program: Program
    cell: n.Cell
    constants: Constants

    @cached_property
    def machines(self) -> tuple[n.Machine, ...]:
        return sections(self.cell, n.Machine)

    @cached_property
    def states(self) -> dict[str, str]:
        """The name of the machine that a target belongs to: the first that has it (§2.3)."""
        owner: dict[str, str] = {}
        for machine in self.machines:
            for name in state_names(machine):
                owner.setdefault(name, machine.name)
        return owner

    @cached_property
    def moves(self) -> list[tuple[str, list[Move]]]:
        """The moves of each body that has some, under the name that the report gives it.

        The only machine of a program is also moved by cells that have none (§2.3).
        """
        found = [(body.name, self._moves(body)) for body in all_bodies(self.cell)]
        everywhere = [m for cell in self.program.live for m in sections(cell, n.Machine)]
        if len(everywhere) == 1:
            found += [
                (f"{cell.name}.{body.name}", self._moves(body))
                for cell in self.program.live
                if cell is not self.cell
                for body in all_bodies(cell)
            ]
        return [(name, moves) for name, moves in found if moves]

    def _moves(self, body: Body) -> list[Move]:
        known = self.constants.of(body.handler)
        return moves_of(body, self._asked, self._effects_move, known)

    @cached_property
    def _asked(self) -> frozenset[str]:
        """The states that `get_status` can answer: those of the first machine."""
        return frozenset(state_names(self.machines[0]))

    @cached_property
    def _effects_move(self) -> bool:
        effects = [a.effect for m in self.machines for a in m.transitions if a.effect is not None]
        return any(name == "transition" for e in effects for name, _, _ in calls(walk(e)))

    def moves_to(self, machine: str) -> list[tuple[str, list[Move]]]:
        """The moves of one machine, with those whose target is computed or no state at all."""
        kept = [
            (name, [m for m in moves if self.states.get(m.target or "", machine) == machine])
            for name, moves in self.moves
        ]
        if machine != self.machines[0].name:  # `get_status` does not speak of this one
            kept = [(name, [replace(m, sources=None) for m in moves]) for name, moves in kept]
        return [(name, moves) for name, moves in kept if moves]


def refinement_checks(driver: Driver, life: Lifecycle) -> Iterator[Check]:
    """Unknown and computed targets, edges that nothing takes, and what each handler does."""
    moving = driver.moves_to(life.name)
    dynamic = any(move.target is None for _, moves in moving for move in moves)
    label = PARTIAL if dynamic else "refinement"
    for name, moves in moving:
        yield from _wrong_targets(label, name, moves, life)
    if not dynamic:
        yield from _unused(label, moving, life)
    for name, moves in moving:
        yield passed(f"{label}: handler `{name}` ⟶ {_targets(moves)}")


def _targets(moves: list[Move]) -> str:
    """Where a handler leads, in the order of its calls: `{a, b [if x > 0]} + <dynamic>`."""
    shown = [move.shown for move in moves if move.target is not None]
    parts = [f"{{{', '.join(shown)}}}"] if shown else []
    if len(shown) < len(moves):
        parts.append("<dynamic>")
    return " + ".join(parts)


def _wrong_targets(label: str, name: str, moves: list[Move], life: Lifecycle) -> Iterator[Check]:
    known = life.graph.index
    for move in moves:
        if move.target is not None and move.target not in known:
            where = f"  [{move.path}]" if move.path else ""
            span = move.statement
            yield failed(
                f'{label}: handler `{name}` calls transition(_, "{move.target}") but'
                f' "{move.target}" is not in state machine `{life.name}`{where}',
                f"at byte offset {span.start}–{span.end}",
            )
    if any(move.target is None for move in moves):
        yield warned(
            f"{label}: handler `{name}` calls transition() with a non-literal target — V1.3 cannot"
            " statically verify this; refinement coverage incomplete here"
        )
    for move in moves:
        if move.target in known and not edges_taken(move, life):
            yield warned(
                f'{label}: handler `{name}` calls transition(_, "{move.target}") where no declared'
                f" transition leads to it{_from(move)} — the call always fails"
            )


def remarks(driver: Driver, life: Lifecycle) -> Iterator[Diagnostic]:
    """Where the calls are that the refinement lines doubt, for a person to go to."""
    for name, moves in driver.moves_to(life.name):
        for move in moves:
            if move.target is None:
                text = "the target is computed: whether an arrow leads there is seen at run time"
            elif move.target not in life.graph.index:
                text = f"'{move.target}' is no state of '{life.name}'"
            elif not edges_taken(move, life):
                text = f"no arrow leads to '{move.target}'{_from(move)}"
            else:
                continue
            yield Diagnostic("N284", Severity.NOTE, f"`{name}`: {text}", move.call, counted=False)


def _from(move: Move) -> str:
    return "" if move.sources is None else f" from {listed(sorted(move.sources))}"


def edges_taken(move: Move, life: Lifecycle) -> list[tuple[int, int]]:
    """The edges that a move can take, as far as the body tells. One without a known target may
    take any."""
    graph = life.graph
    loops = {graph.index[name] for name in life.wildcard_targets}  # `* -> x` also leads from x to x
    if move.target is None:
        return [(edge.source, edge.target) for edge in life.edges]
    target = graph.index.get(move.target)
    if target is None:
        return []
    sources = set(graph.predecessors[target])
    if target in loops:
        sources.add(target)
    if move.sources is not None:
        sources = {s for s in sources if life.names[s] in move.sources}
    return [(source, target) for source in sorted(sources)]


def _unused(
    label: str, moving: Sequence[tuple[str, list[Move]]], life: Lifecycle
) -> Iterator[Check]:
    """Arrows that no handler takes, and states that the handlers never lead to."""
    taken = {edge for _, moves in moving for move in moves for edge in edges_taken(move, life)}
    index = life.graph.index
    wanted = {target for _, target in taken}
    for arrow in life.machine.transitions:
        target = index[arrow.target]
        used = target in wanted if arrow.source == "*" else (index[arrow.source], target) in taken
        if not used:
            yield warned(
                f"{label}: declared transition `{arrow.source} → {arrow.target}` is never reached"
                " by any handler — spec may be aspirational or stale"
            )
    if taken:
        yield from _never_entered(label, taken, life)


def _never_entered(label: str, taken: set[tuple[int, int]], life: Lifecycle) -> Iterator[Check]:
    """States that some handler leads to, but only from states that are never entered."""
    successors: dict[int, list[int]] = {}
    for source, target in taken:
        successors.setdefault(source, []).append(target)
    entered, todo = {life.graph.initial}, [life.graph.initial]
    while todo:
        for state in successors.get(todo.pop(), ()):
            if state not in entered:
                entered.add(state)
                todo.append(state)
    lost = {target for _, target in taken} - entered
    lost &= set(members(life.graph.reachable))
    if lost:
        names = listed(sorted(life.names[state] for state in lost))
        yield warned(f"{label}: the handlers never bring an instance into states {names}")


def takers(driver: Driver, life: Lifecycle, edges: Sequence[tuple[str, str]]) -> tuple[Step, ...]:
    """Who takes each step of a trace: the handlers, and where the first of them does it."""
    index = life.graph.index
    by_edge: dict[tuple[int, int], list[tuple[str, Move]]] = {}
    for name, moves in driver.moves_to(life.name):
        for move in moves:
            for edge in edges_taken(move, life):
                by_edge.setdefault(edge, []).append((name, move))
    steps = []
    for source, target in edges:
        found = by_edge.get((index[source], index[target]), [])
        names = tuple(dict.fromkeys(name for name, _ in found))
        arrow = life.arrows.get((index[source], index[target]))
        place = found[0][1].call if found else arrow.span if arrow is not None else None
        steps.append(Step(source, target, names, place, tuple(found)))
    return tuple(steps)


def callers(driver: Driver, life: Lifecycle, edges: Iterable[tuple[int, int]]) -> Iterator[str]:
    """Who takes each of some steps, in words, each once."""
    names = [(life.names[source], life.names[target]) for source, target in edges]
    for step in takers(driver, life, list(dict.fromkeys(names))):
        yield step.told


def isolation_checks(driver: Driver) -> Iterator[Check]:
    """Whether answers of a model can choose transitions (§5.5)."""
    moving = driver.moves
    counted = [(name, moves) for name, moves in moving if moves[0].body.handler is not None]
    if not moving:
        return
    tools = _declared_tools(driver.cell)
    reasons = [
        f"handler `{name}` uses a dynamic (computed) transition target"
        for name, moves in moving
        if any(move.target is None for move in moves)
    ]
    reasons += [
        f"tool `{tool}` has a handler that calls transition() — LLM can trigger state changes via"
        " tool calling during think()"
        for tool in tools
        if any(name == tool for name, _ in counted)
    ]
    if reasons:
        yield warned(
            f"NOT think-isolated: {'; '.join(reasons)} — safety under adversarial LLM is not proven"
            " for this cell"
        )
    else:
        literal = sum(len(moves) for _, moves in counted)
        yield passed(
            "think-isolated: CTL safety properties hold regardless of LLM output"
            f" ({len(counted)} handlers, {literal} literal transitions, 0 dynamic)"
        )


def _declared_tools(cell: n.Cell) -> list[str]:
    return [
        d.name
        for face in sections(cell, n.Face)
        for d in face.declarations
        if isinstance(d, n.Signature) and d.kind == "tool"
    ]


def effect_checks(cell: n.Cell) -> Iterator[Check]:
    """Line 13: which tools each handler's model calls can dispatch."""
    declared = _declared_tools(cell)
    for body in handler_bodies(cell):
        thinking = [
            args for name, args, _ in calls(walk(body.block)) if name in ("think", "think_json")
        ]
        if thinking:
            tools = sorted({tool for args in thinking for tool in _tools(args, declared)})
            can = f"can dispatch {listed(tools)}" if tools else "no tools available"
            yield passed(f"effects: handler `{body.name}` calls think() {len(thinking)}× — {can}")


def _tools(args: tuple[n.Node, ...], declared: list[str]) -> list[str]:
    """The literal `tools_allowed` of a call, else all tools of the face."""
    allowed = options(args).get("tools_allowed")
    items: tuple[n.Node, ...] | None = None
    if isinstance(allowed, n.ListLit):
        items = allowed.items
    elif isinstance(allowed, n.Call) and allowed.name == "list":
        items = allowed.args
    if items is None:
        return declared
    return [text for item in items if (text := literal_text(item)) is not None]
