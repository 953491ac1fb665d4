"""`match`: patterns become tests and bindings of an if chain (core §2.10, §3.12)."""

from __future__ import annotations

from collections.abc import Sequence

from ..frontend import nodes as n
from . import kinds as k
from .calls import needs_statements
from .control import Control
from .kinds import INTS
from .literals import floating, integer, string
from .lowering import ATOM, UNIT, Dest, Ex, into

Binding = tuple[str, str]  # variable and what it is bound to


class Matching(Control):
    """The subject is evaluated once; the first arm that fits supplies the value."""

    def match_value(self, node: n.Match) -> Ex:
        name = self.temp("value")
        self.deliver_match(node, into(name))
        return Ex(name, self.kind(node) or k.ANY, constant=True, pure=True)

    def deliver_match(self, node: n.Match, dest: Dest) -> bool:
        subject = self.expr(node.subject)
        named = subject.text.isidentifier()  # Python warns of `5 is True`
        if not (named and subject.constant and subject.level == ATOM):
            if subject.kind == k.UNIT:
                subject = self.spill(subject, "subject")
            else:
                name = self.temp("subject")
                typed = f": {self.use('Value')}" if subject.kind == k.MAP else ""
                self.out.add(f"{name}{typed} = {subject.text}")
                subject = Ex(name, subject.kind, constant=True, pure=True)
        return self._arms(list(node.arms), subject, dest, chained=False)

    def _arms(self, arms: Sequence[n.Arm], subject: Ex, dest: Dest, chained: bool) -> bool:
        """The arms from here on; `chained` when they continue an `if`."""
        if not arms:
            return self._no_arm(dest, chained)
        arm, rest = arms[0], arms[1:]
        self.out.span = arm.span
        tests = [self._tests(p, subject.text, subject.kind) for p in arm.patterns]
        bound = [self._bindings(p, subject.text) for p in arm.patterns]
        if any(bound) and (len(arm.patterns) > 1 or arm.guard is not None):
            return self._flagged(arm, tests, bound, rest, subject, dest, chained)
        condition = self._either(tests)
        if arm.guard is not None and needs_statements(arm.guard):
            return self._flagged(arm, tests, bound, rest, subject, dest, chained)
        guard = self._plain_guard(arm)
        if guard is not None:
            if guard[1]:
                return self._flagged(arm, tests, bound, rest, subject, dest, chained)
            condition = f"{condition} and {guard[0]}" if condition else guard[0]
        if not condition:
            return self._last_arm(arm, bound[0], dest, chained)
        with self.out.suite(f"{'elif' if chained else 'if'} {condition}:"):
            ends = self._body(arm, bound[0], dest)
        return self._arms(rest, subject, dest, chained=True) and ends

    def _no_arm(self, dest: Dest, chained: bool) -> bool:
        if dest.kind == "drop":
            return False
        if not chained or dest.kind == "return":
            return self.deliver(UNIT, dest)
        with self.out.suite("else:"):
            return self.deliver(UNIT, dest)

    def _last_arm(self, arm: n.Arm, bound: Sequence[Binding], dest: Dest, chained: bool) -> bool:
        if not chained:
            return self._body(arm, bound, dest)
        with self.out.suite("else:"):
            return self._body(arm, bound, dest)

    def _body(self, arm: n.Arm, bound: Sequence[Binding], dest: Dest) -> bool:
        self._bind(bound)
        if isinstance(arm.body, n.Block):
            return self.block(arm.body.statements, dest)
        self.out.span = arm.body.span
        return self.deliver_expr(arm.body, dest)

    def _plain_guard(self, arm: n.Arm) -> tuple[str, bool] | None:
        """The guard's text, and whether it needs statements."""
        if arm.guard is None:
            return None
        with self.out.capture() as lines:
            text = self.truth(self.expr(arm.guard)).at(4)
        return text, bool(lines)

    def _flagged(
        self,
        arm: n.Arm,
        tests: Sequence[list[str]],
        bound: Sequence[list[Binding]],
        rest: Sequence[n.Arm],
        subject: Ex,
        dest: Dest,
        chained: bool,
    ) -> bool:
        """An arm whose guard needs its bindings: a flag says whether it was taken."""
        if chained:
            with self.out.suite("else:"):
                return self._flagged(arm, tests, bound, rest, subject, dest, False)
        if len(tests) == 1 and not tests[0] and arm.guard is not None:
            self._bind(bound[0])
            return self._taken(self.truth(self.expr(arm.guard)).text, arm, rest, subject, dest)
        flag = self.temp("taken")
        self.out.add(f"{flag} = False")
        for i, (test, names) in enumerate(zip(tests, bound, strict=True)):
            with self.out.suite(f"{'elif' if i else 'if'} {self._either([test]) or 'True'}:"):
                self._bind(names)
                if len(tests) == 1 and arm.guard is not None:
                    self.out.add(f"{flag} = {self.bool_of(self.expr(arm.guard)).text}")
                else:
                    self.out.add(f"{flag} = True")
        if len(tests) > 1 and arm.guard is not None:
            with self.out.suite(f"if {flag}:"):
                self.out.add(f"{flag} = {self.bool_of(self.expr(arm.guard)).text}")
        return self._taken(flag, arm, rest, subject, dest)

    def _bind(self, bound: Sequence[Binding]) -> None:
        for name, value in bound:
            self.out.add(f"{name} = {value}")

    def _taken(
        self, condition: str, arm: n.Arm, rest: Sequence[n.Arm], subject: Ex, dest: Dest
    ) -> bool:
        """The arm's body when the condition holds, else the other arms."""
        with self.out.suite(f"if {condition}:"):
            ends = self._body(arm, (), dest)
        with self.out.suite("else:"):
            return self._arms(rest, subject, dest, chained=False) and ends

    def _either(self, tests: Sequence[list[str]]) -> str:
        """The condition that one of the patterns fits; empty when one always does."""
        if any(not test for test in tests):
            return ""
        joined = [" and ".join(test) for test in tests]
        if len(joined) == 1:
            return joined[0]
        return "(" + " or ".join(f"({t})" if " and " in t else t for t in joined) + ")"

    # --- patterns ---

    def _tests(
        self, pattern: n.Pattern, place: str, kind: str = k.ANY, entered: str = ""
    ) -> list[str]:
        """What must hold of the value at `place`, in order.

        `entered` is the same place once it is known to hold something: `m["k"]` for `m.get("k")`.
        """
        entered = entered or place
        if isinstance(pattern, n.LiteralPattern):
            return [self._literal_test(pattern.value, place, kind)]
        if isinstance(pattern, n.RangePattern):
            if kind in INTS or kind == k.FLOAT:
                return [f"{pattern.low} <= {place} <= {pattern.high}"]
            return [f"{self.use('ops')}.in_range({place}, {pattern.low}, {pattern.high})"]
        if isinstance(pattern, n.PrefixPattern):
            return [f"isinstance({place}, str)", f"{entered}.startswith({string(pattern.prefix)})"]
        if isinstance(pattern, n.MapPattern):
            tests = [f"isinstance({place}, dict)"]
            for name, inner in pattern.fields:
                key = string(name)
                tests += self._tests(inner, f"{entered}.get({key})", entered=f"{entered}[{key}]")
            return tests
        if isinstance(pattern, n.VariantPattern):
            isinstance_test = f"isinstance({place}, {self.use('Variant')})"
            return [isinstance_test, *self._variant_tests(pattern, entered)]
        return []

    def _literal_test(self, value: n.Node, place: str, kind: str) -> str:
        if isinstance(value, n.Str):
            return f"{place} == {string(value.value)}"
        if isinstance(value, n.Unit):
            return f"{place} is None"
        if isinstance(value, n.Bool):
            return f"{place} is {value.value}"
        if isinstance(value, n.Float | n.Percent):
            text = floating(value.value)
        else:
            text = integer(value.value if isinstance(value, n.Int) else self._ms(value))
        if kind in INTS or kind == k.FLOAT:
            return f"{place} == {text}"
        return f"{self.use('ops')}.matches({place}, {text})"

    def _ms(self, value: n.Node) -> int:
        return value.milliseconds if isinstance(value, n.Duration) else 0

    def _variant_tests(self, pattern: n.VariantPattern, place: str) -> list[str]:
        """What must hold of a variant besides."""
        tests = []
        if pattern.type_name is not None:
            tests.append(f"{place}.type_name == {string(pattern.type_name)}")
        tests.append(f"{place}.name == {string(pattern.name)}")
        if pattern.shape == "tuple":
            tests.append(f"{place}.items is not None")
            tests.append(f"len({place}.items) == {len(pattern.items)}")
            for i, inner in enumerate(pattern.items):
                tests += self._tests(inner, f"{place}.items[{i}]")
        elif pattern.shape == "struct":
            tests.append(f"{place}.fields is not None")
            if not pattern.rest:
                tests.append(f"len({place}.fields) == {len(pattern.fields)}")
            for name, inner in pattern.fields:
                tests.append(f"{string(name)} in {place}.fields")
                tests += self._tests(inner, f"{place}.fields[{string(name)}]")
        else:
            tests.append(f"{place}.items is None and {place}.fields is None")
        return tests

    def _bindings(self, pattern: n.Pattern, place: str, entered: str = "") -> list[Binding]:
        """The variables that a pattern sets; those that nobody reads are left out."""
        entered = entered or place
        if isinstance(pattern, n.Binding | n.PrefixPattern):
            var = self.routine.scopes.var(pattern)
            if var is None or not var.reads:
                return []
            if isinstance(pattern, n.Binding):
                return [(var.py, place)]
            return [(var.py, f"{entered}[{len(pattern.prefix)}:]")]
        found: list[Binding] = []
        if isinstance(pattern, n.MapPattern):
            for name, inner in pattern.fields:
                key = string(name)
                found += self._bindings(inner, f"{entered}.get({key})", f"{entered}[{key}]")
        elif isinstance(pattern, n.VariantPattern):
            for i, inner in enumerate(pattern.items):
                found += self._bindings(inner, f"{entered}.items[{i}]")
            for name, inner in pattern.fields:
                found += self._bindings(inner, f"{entered}.fields[{string(name)}]")
        return found
