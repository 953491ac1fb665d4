"""Structural promises and custom checkers (§4.1, §4.2): predicates over what a cell declares."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..frontend import nodes as n
from ..frontend.diagnostics import Diagnostic
from ..frontend.names import nearest
from ..frontend.program import sections, slots_of
from .context import Context, advice, error, warning
from .properties import first_promise
from .structure import signatures


def _every_slot(name: str) -> Callable[[n.Cell], bool]:
    def holds(cell: n.Cell) -> bool:
        return all(name in {p.name for p in s.properties} for s in slots_of(cell).values())

    return holds


def _has_auth(cell: n.Cell) -> bool:
    return any(
        isinstance(d, n.Given) and d.name in ("auth", "token")
        for face in sections(cell, n.Face)
        for d in face.declarations
    )


CHECKER_PREDICATES: dict[str, Callable[[n.Cell], bool]] = {
    "has_auth": _has_auth,
    "has_face": lambda cell: bool(sections(cell, n.Face)),
    "has_memory": lambda cell: bool(sections(cell, n.Memory)),
    "has_signals": lambda cell: any(True for _ in signatures(cell, "signal")),
}

STRUCTURAL: dict[str, Callable[[n.Cell], bool]] = {
    "all_persistent": _every_slot("persistent"),
    "all_encrypted": _every_slot("encrypted"),
    "all_consistent": _every_slot("consistent"),
    **CHECKER_PREDICATES,
}

REMEDIES = {
    "all_persistent": "write `persistent` on every slot",
    "all_encrypted": "write `encrypted` on every slot",
    "all_consistent": "write `consistent` on every slot",
    "has_memory": "add a `memory` section",
    "has_face": "add a `face` section",
    "has_signals": "declare a `signal` in the face",
    "has_auth": "add `given auth: …` or `given token: …` to the face",
}


def check_promises(cell: n.Cell, context: Context) -> Iterator[Diagnostic]:
    """Descriptive promises are noted, structural ones are tested."""
    for face in sections(cell, n.Face):
        for promise in face.declarations:
            if not isinstance(promise, n.Promise):
                continue
            if promise.text and isinstance(promise.value, n.Str):
                yield warning(
                    "W141",
                    f"promise on '{cell.name}' is descriptive only, not machine-verifiable:"
                    f' "{promise.value.value}"',
                    promise,
                    f"replace the text in the face of '{cell.name}' by a structural promise such"
                    " as `has_auth`, or keep it as documentation",
                )
            elif isinstance(promise.value, n.Name):
                yield from _structural(cell, promise, promise.value.name)


def _structural(cell: n.Cell, promise: n.Promise, name: str) -> Iterator[Diagnostic]:
    holds = STRUCTURAL.get(name)
    if holds is None:
        near = nearest(name, STRUCTURAL)
        yield advice(
            "A142",
            f"promise '{name}' on '{cell.name}' is not a structural promise: it is not tested",
            promise,
            f"write `{near}`" if near else f"write one of {', '.join(sorted(STRUCTURAL))}",
            f"did you mean '{near}'?" if near else None,
        )
    elif not holds(cell):
        yield error(
            "E140",
            "promise_violation",
            f"structural promise violated in cell '{cell.name}':"
            f" promise '{name}' is not satisfied",
            promise,
            f"in cell '{cell.name}' {REMEDIES[name]}, or remove the promise",
        )


def check_custom(cell: n.Cell, context: Context) -> Iterator[Diagnostic]:
    """The rules of `cell checker`s."""
    for checker in context.checkers:
        text = first_promise(checker)
        for section in sections(checker, n.Rules):
            for rule in section.rules:
                if isinstance(rule, n.CheckRule):
                    for statement in rule.body.statements:
                        if isinstance(statement, n.Require) and not _passes(
                            cell, statement.constraint
                        ):
                            yield _failed(cell, checker, statement, text)


def _passes(cell: n.Cell, constraint: n.Node) -> bool:
    """Whether a cell meets a constraint; what is no known predicate passes."""
    if isinstance(constraint, n.Name):
        predicate = CHECKER_PREDICATES.get(constraint.name)
        return predicate is None or predicate(cell)
    operand = _negated(constraint)
    if isinstance(operand, n.Name):
        predicate = CHECKER_PREDICATES.get(operand.name)
        return predicate is None or not predicate(cell)
    return True


def _negated(constraint: n.Node) -> n.Node | None:
    if isinstance(constraint, n.Not):
        return constraint.operand
    if isinstance(constraint, n.Unary) and constraint.op == "!":
        return constraint.operand
    return None


def _failed(cell: n.Cell, checker: n.Cell, rule: n.Require, text: str | None) -> Diagnostic:
    reason = f" ({text})" if text is not None else ""
    what = f"checker '{checker.name}' failed: cell '{cell.name}' failed check '{rule.otherwise}'"
    named = rule.constraint.name if isinstance(rule.constraint, n.Name) else None
    remedy = REMEDIES.get(named or "", f"make the check '{rule.otherwise}' hold")
    return error("E150", "other", what + reason, cell, f"in cell '{cell.name}' {remedy}")
