"""What a handler knows about an instance's state where it stands, from its own tests of it.

A fact says which states `get_status(e)` may have. Tests of it, matches on it, `require` and earlier
transitions make facts; whatever may move an instance ends them all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..check.targets import literal_text
from ..frontend import nodes as n
from ..frontend.walk import walk

Known = dict[n.Node, frozenset[str]]


class Facts:
    """The facts at one point of a body. Instances are never changed once made."""

    def __init__(self, states: frozenset[str], known: Known, names: dict[str, n.Node]) -> None:
        self.states = states  # of the machine that `get_status` asks
        self.known = known
        self.names = names  # variables that hold the status of an instance

    @classmethod
    def none(cls, states: Iterable[str]) -> Facts:
        return cls(frozenset(states), {}, {})

    def empty(self) -> Facts:
        return Facts(self.states, {}, {})

    def of(self, instance: n.Node) -> frozenset[str] | None:
        """The states that an instance may have here; None when nothing is known."""
        return self.known.get(instance)

    def moved(self, instance: n.Node, target: str) -> Facts:
        """After a transition: one instance is known, and others may be the same one."""
        known: Known = {instance: frozenset({target})} if _is_stable(instance) else {}
        return Facts(self.states, known, {})

    def bound(self, name: str, value: n.Node | None) -> Facts:
        """After `name = value`: facts that mention the name are gone."""
        known = {e: states for e, states in self.known.items() if not _mentions(e, name)}
        names = {k: e for k, e in self.names.items() if k != name and not _mentions(e, name)}
        instance = _instance(value)
        if instance is not None and not _mentions(instance, name):
            names[name] = instance
        return Facts(self.states, known, names)

    def merged(self, other: Facts) -> Facts:
        """What holds when either of two ways led here."""
        known = {e: self.known[e] | other.known[e] for e in self.known.keys() & other.known.keys()}
        shared = self.names.items() & other.names.items()
        return Facts(self.states, known, dict(shared))

    def assuming(self, condition: n.Node, truth: bool = True) -> Facts:
        """The facts where a condition has been found true (or false)."""
        if isinstance(condition, n.Unary) and condition.op == "!":
            return self.assuming(condition.operand, not truth)
        if isinstance(condition, n.Not):
            return self.assuming(condition.operand, not truth)
        parts, together = _parts(condition)
        if parts:
            if together == truth:
                facts = self
                for part in parts:
                    facts = facts.assuming(part, truth)
                return facts
            ways = [self.assuming(part, truth) for part in parts]
            facts = ways[0]
            for way in ways[1:]:
                facts = facts.merged(way)
            return facts
        if isinstance(condition, n.Binary) and condition.op in ("==", "!="):
            for one, other in (
                (condition.left, condition.right),
                (condition.right, condition.left),
            ):
                instance, text = self.subject(one), literal_text(other)
                if instance is not None and text is not None:
                    return self.narrowed(instance, [text], truth == (condition.op == "=="))
        return self

    def subject(self, node: n.Node) -> n.Node | None:
        """The instance whose status an expression is."""
        if isinstance(node, n.Name):
            return self.names.get(node.name)
        return _instance(node)

    def narrowed(self, instance: n.Node, texts: Sequence[str], among: bool = True) -> Facts:
        """The facts once the status is (or is not) among some texts."""
        before = self.known.get(instance, self.states)
        states = before & frozenset(texts) if among else before - frozenset(texts)
        return Facts(self.states, {**self.known, instance: states}, self.names)


def _parts(condition: n.Node) -> tuple[tuple[n.Node, ...], bool]:
    """The parts of a conjunction (True) or of a disjunction (False)."""
    if isinstance(condition, n.Binary) and condition.op in ("&&", "||"):
        return (condition.left, condition.right), condition.op == "&&"
    if isinstance(condition, n.AllOf | n.AnyOf):
        return condition.items, isinstance(condition, n.AllOf)
    return (), True


def _instance(value: n.Node | None) -> n.Node | None:
    """The `e` of `get_status(e)`, if naming it twice means the same instance."""
    if isinstance(value, n.Call) and value.name == "get_status" and len(value.args) == 1:
        return value.args[0] if _is_stable(value.args[0]) else None
    return None


def _is_stable(node: n.Node) -> bool:
    """Whether an expression keeps its value while its variables keep theirs."""
    if isinstance(node, n.Field):
        return _is_stable(node.target)
    return isinstance(node, n.Name | n.Int) or literal_text(node) is not None


def _mentions(expression: n.Node, name: str) -> bool:
    return any(isinstance(node, n.Name) and node.name == name for node in walk(expression))
