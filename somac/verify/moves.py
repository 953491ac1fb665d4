"""Every `transition` that a body can call: its target, and under which conditions (§5.4)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

from ..check.targets import literal_text
from ..frontend import nodes as n
from ..frontend.builtins import BUILTINS
from ..frontend.source import Span
from ..frontend.walk import children, walk
from . import rendering
from .bodies import Body
from .constants import NOTHING
from .status_facts import Facts


@dataclass(frozen=True)
class Move:
    """One call of `transition`. `target` is None when it is computed; `sources` are the states that
    the instance can have there, None when the body does not say. `instance` and `written` are its
    arguments."""

    body: Body
    target: str | None
    path: str
    sources: frozenset[str] | None
    call: Span
    statement: Span
    instance: n.Node
    written: n.Node

    @property
    def shown(self) -> str:
        """The target with its conditions, as the report lists it."""
        return f"{self.target} [{self.path}]" if self.path else str(self.target)


def moves_of(
    body: Body,
    states: Iterable[str],
    effects_move: bool,
    constants: Mapping[str, frozenset[str]] = NOTHING,
) -> list[Move]:
    """The moves of a body in source order.

    `states` are those of the machine that `get_status` asks; `effects_move` says that a transition
    may cause another one; `constants` are the parameters whose values are known (`constants`).
    """
    walker = _Walker(body, Facts.none(states), effects_move, constants)
    walker.block(body.block)
    return walker.moves


class _Walker:
    """Walks a body in the order of evaluation. Statements return whether they surely leave."""

    def __init__(
        self,
        body: Body,
        facts: Facts,
        effects_move: bool,
        constants: Mapping[str, frozenset[str]],
    ) -> None:
        self.body = body
        self.constants = constants
        self.facts = facts
        self.effects_move = effects_move
        self.path: list[str] = []
        self.moves: list[Move] = []
        self.statement_span = body.block.span

    def block(self, block: n.Block) -> bool:
        left = False
        for statement in block.statements:
            self.statement_span = statement.span
            left = self.statement(statement) or left
        for statement in block.statements:
            if isinstance(statement, n.Let):  # the name means something else outside
                self.facts = self.facts.bound(statement.name, None)
        return left

    def statement(self, node: n.Node) -> bool:
        if isinstance(node, n.If):
            return self.branch(node)
        if isinstance(node, n.For):
            self.visit(node.iterable)
            self.repeat("(in for loop)", node.body)
        elif isinstance(node, n.While):
            self.repeat(f"while {rendering.expression(node.condition)}", node.body, node.condition)
        elif isinstance(node, n.Let | n.Assign):
            self.visit(node.value)
            plain = isinstance(node, n.Let) or node.op == "="
            self.facts = self.facts.bound(node.name, node.value if plain else None)
        elif isinstance(node, n.Require | n.Ensure):
            condition = node.constraint if isinstance(node, n.Require) else node.condition
            self.visit(condition)
            self.facts = self.facts.assuming(condition)
        elif isinstance(node, n.Emit):
            self.visit_all(node.args)
            self.facts = self.facts.empty()
        else:
            self.visit_all(children(node))
        return isinstance(node, n.Return | n.Break | n.Continue)

    def branch(self, node: n.If | n.IfExpr) -> bool:
        self.visit(node.condition)
        text = rendering.expression(node.condition)
        before = self.facts
        left_then = self.under(
            f"if {text}", before.assuming(node.condition), lambda: self.block(node.then)
        )
        after_then = self.facts
        other = node.otherwise
        left_else = self.under(
            f"if not ({text})",
            before.assuming(node.condition, False),
            lambda: other is not None and self.alternative(other),
        )
        if left_else:
            self.facts = after_then
        elif not left_then:
            self.facts = after_then.merged(self.facts)
        return left_then and left_else

    def alternative(self, node: n.Block | n.If | n.IfExpr) -> bool:
        return self.block(node) if isinstance(node, n.Block) else self.branch(node)

    def under(self, condition: str, facts: Facts, work: Callable[[], bool]) -> bool:
        """Does some work below one more condition."""
        self.path.append(condition)
        self.facts = facts
        left = work()
        self.path.pop()
        return left

    def repeat(self, text: str, body: n.Block, condition: n.Node | None = None) -> None:
        """A body that runs any number of times: what was known before its first run is not known
        before the others."""
        start = self.facts.empty()
        self.facts = start
        if condition is not None:
            self.visit(condition)
            start = self.facts.assuming(condition)
        self.under(text, start, lambda: self.block(body))
        self.facts = self.facts.empty()

    # --- expressions -----------------------------------------------------------------------------

    def visit_all(self, nodes: Iterable[n.Node]) -> None:
        for node in nodes:
            self.visit(node)

    def visit(self, node: n.Node) -> None:
        if isinstance(node, n.IfExpr):
            self.branch(node)
        elif isinstance(node, n.Match):
            self.match(node)
        elif isinstance(node, n.Lambda | n.Try):
            self.apart(node)
        elif isinstance(node, n.Block):
            self.block(node)
        elif isinstance(node, n.Call):
            self.visit_all(node.args)
            self.call(node.name, node.args, node.span)
        elif isinstance(node, n.Pipe):
            self.pipe(node)
        elif isinstance(node, n.Binary) and node.op in ("&&", "||"):
            self.visit(node.left)
            before = self.facts
            assumed = self.facts = before.assuming(node.left, node.op == "&&")
            self.visit(node.right)
            self.facts = before if self.facts is assumed else before.empty()
        else:
            self.visit_all(children(node))

    def apart(self, node: n.Lambda | n.Try) -> None:
        """What runs later, or runs in part: it knows nothing of here, and here nothing of it."""
        if isinstance(node, n.Lambda):
            self.facts = self.facts.empty()
        self.visit(node.body)
        self.facts = self.facts.empty()

    def pipe(self, node: n.Pipe) -> None:
        self.visit(node.left)
        if isinstance(node.right, n.Call):
            self.visit_all(node.right.args)
            self.call(node.right.name, (node.left, *node.right.args), node.right.span)
        elif isinstance(node.right, n.Name):
            self.call(node.right.name, (node.left,), node.right.span)
        else:
            self.visit(node.right)

    def call(self, name: str, args: tuple[n.Node, ...], span: Span) -> None:
        if name == "transition" and len(args) >= 2:
            self.move(args[0], args[1], span)
        elif name not in BUILTINS or name == "delegate":
            self.facts = self.facts.empty()

    def move(self, instance: n.Node, target: n.Node, span: Span) -> None:
        names = self.targets(target)
        possible: list[str | None] = [*names] if names else [None]
        for name in possible:
            self.moves.append(
                Move(
                    self.body,
                    name,
                    " ∧ ".join(self.path),
                    self.facts.of(instance),
                    span,
                    self.statement_span,
                    instance,
                    target,
                )
            )
        if len(names) != 1 or self.effects_move:
            self.facts = self.facts.empty()
        else:
            self.facts = self.facts.moved(instance, names[0])

    def targets(self, target: n.Node) -> list[str]:
        """The states that a target can be; none when it is computed."""
        name = literal_text(target)
        if name is not None:
            return [name]
        if isinstance(target, n.Name):
            if target.name in self.constants:
                return sorted(self.constants[target.name])
            if target.name[:1].isupper():
                return [target.name]
        return []

    def match(self, node: n.Match) -> None:
        self.visit(node.subject)
        subject = self.facts.subject(node.subject)
        rest, ends = self.facts, []
        for arm in node.arms:
            texts = _texts(arm)
            one = len(arm.patterns) == 1
            shown = rendering.pattern(arm.patterns[0]) if one else rendering.OTHER
            here = rest if subject is None or texts is None else rest.narrowed(subject, texts)
            for name in _bound_names(arm):
                here = here.bound(name, None)
            left = self.under(f"(match arm {shown})", here, partial(self.arm, arm))
            for name in _bound_names(arm):
                self.facts = self.facts.bound(name, None)
            if not left:
                ends.append(self.facts)
            if subject is not None and texts is not None and arm.guard is None:
                rest = rest.narrowed(subject, texts, among=False)
        self.facts = ends[0] if ends else rest
        for end in ends[1:]:
            self.facts = self.facts.merged(end)

    def arm(self, arm: n.Arm) -> bool:
        if arm.guard is not None:
            self.visit(arm.guard)
        if isinstance(arm.body, n.Block):
            return self.block(arm.body)
        self.visit(arm.body)
        return False


def _texts(arm: n.Arm) -> list[str] | None:
    """The literal texts that an arm matches; None when it matches something else, too."""
    found = []
    for pattern in arm.patterns:
        if not isinstance(pattern, n.LiteralPattern) or not isinstance(pattern.value, n.Str):
            return None
        found.append(pattern.value.value)
    return found


def _bound_names(arm: n.Arm) -> list[str]:
    """The variables that the patterns of an arm bind."""
    nodes = [node for pattern in arm.patterns for node in walk(pattern)]
    names = [node.name for node in nodes if isinstance(node, n.Binding)]
    return names + [node.rest for node in nodes if isinstance(node, n.PrefixPattern)]
