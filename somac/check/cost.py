"""`cost` sections and the capabilities of models (§4.2, §4.3): what `think` calls may use up."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field

from ..frontend import nodes as n
from ..frontend.diagnostics import Diagnostic
from ..frontend.program import sections
from ..frontend.walk import children
from .context import Context, error, proven, warning
from .targets import literal_text, options

THINK = ("think", "think_json")
THINK_MS = 30_000
HTTP_MS = 10_000
FOR_TURNS = 100
UNITS = {"tokens": "tokens", "latency": "ms", "usd": "milli-USD"}


@dataclass
class _Use:
    """What one handler may use up at most, and the sites that have no bound."""

    handler: str
    tokens: int = 0
    latency: int = 0
    thinks: int = 0
    unbounded: dict[str, list[str]] = field(default_factory=lambda: {"tokens": [], "latency": []})

    def add(self, node: n.Node, times: int) -> None:
        if isinstance(node, n.Call):
            self._call(node.name, node.args, times)
        if isinstance(node, n.For):
            times *= node.loop_bound or FOR_TURNS
        if isinstance(node, n.While):
            self._while(node, times)
            return
        for child in children(node):
            self.add(child, times)

    def _while(self, node: n.While, times: int) -> None:
        before = self.tokens, self.latency, self.thinks
        for child in children(node):
            self.add(child, times * (node.loop_bound or 1))
        if node.loop_bound is None and (self.tokens, self.latency, self.thinks) != before:
            for sites in self.unbounded.values():
                sites.append(f"{self.handler}::while (no loop_bound)")

    def _call(self, name: str, args: tuple[n.Node, ...], times: int) -> None:
        given = options(args)
        timeout = given.get("timeout")
        if name in THINK:
            self.thinks += 1
            most = given.get("max_tokens")
            if isinstance(most, n.Int):
                self.tokens += most.value * times
            else:
                self.unbounded["tokens"].append(f"{self.handler}::{name} (no max_tokens)")
        if name in THINK or name.startswith("http_"):
            default = THINK_MS if name in THINK else HTTP_MS
            spent = timeout.value if isinstance(timeout, n.Int) else default
            if isinstance(timeout, n.Duration):
                spent = timeout.milliseconds
            self.latency += spent * times


def check_cost(cell: n.Cell, context: Context) -> Iterator[Diagnostic]:
    """Compares each declared axis with the most that any handler may use."""
    declared = [(section, e) for section in sections(cell, n.Cost) for e in section.entries]
    if not declared:
        return
    uses = []
    for handler in sections(cell, n.Handler):
        use = _Use(handler.name)
        use.add(handler.body, 1)
        uses.append(use)
    for section, (axis, limit) in declared:
        if axis == "usd":
            yield _price(cell, section, limit, uses, context)
        else:
            yield _axis(cell, section, axis, int(limit), uses)


def _axis(cell: n.Cell, section: n.Cost, axis: str, limit: int, uses: list[_Use]) -> Diagnostic:
    unit = UNITS[axis]
    peak = max((getattr(use, axis) for use in uses), default=0)
    sites = [site for use in uses for site in use.unbounded[axis]]
    if peak > limit:
        message = (
            f"cost: '{axis}' budget exceeded — computed {peak} {unit} > declared {limit} {unit}"
        )
        fix = (
            f"raise `{axis}` in the cost section of '{cell.name}', or lower the bounds of its calls"
        )
        return error("E192", "other", message, section, fix)
    if sites:
        return _advisory(
            cell,
            section,
            axis,
            f"{len(sites)} unbounded think()/loop site(s): [{', '.join(sites)}]",
        )
    return _proven(section, axis, peak, limit)


def _price(
    cell: n.Cell, section: n.Cost, limit: float, uses: list[_Use], context: Context
) -> Diagnostic:
    if any(use.thinks for use in uses):
        return _advisory(
            cell, section, "usd", f"no price table entry for model '{_model(cell, context)}'"
        )
    return _proven(section, "usd", 0, round(limit * 1000))


def _advisory(cell: n.Cell, section: n.Cost, axis: str, why: str) -> Diagnostic:
    fix = f"give every think() of cell '{cell.name}' `max_tokens` and every while [loop_bound(N)]"
    message = f"advisory: cost: '{axis}' bound is advisory — {why}"
    return warning("W193", message, section, fix)


def _proven(section: n.Cost, axis: str, peak: int, limit: int) -> Diagnostic:
    unit = UNITS[axis]
    message = f"✓ cost: '{axis}' bound proven — peak {peak} {unit} ≤ declared {limit} {unit}"
    return proven("N194", message, section)


def _model(cell: n.Cell, context: Context) -> str:
    chosen = dict(cell.agent_options).get("model")
    agent = context.manifest.agent
    return chosen or (agent.model if agent else "") or "default"


def check_models(cell: n.Cell, context: Context) -> Iterator[Diagnostic]:
    """A `think` that requires capabilities needs a model that advertises them."""
    chosen = dict(cell.agent_options).get("model", "")
    for handler in sections(cell, n.Handler):
        for node in context.nodes(handler):
            if not isinstance(node, n.Call) or node.name not in THINK:
                continue
            given = options(node.args)
            required = _texts(given.get("requires") or given.get("capabilities"))
            name = literal_text(given["model"]) if "model" in given else chosen
            model = context.manifest.models.get(name or "") or context.manifest.agent
            if model is None:
                continue
            missing = [c for c in required if c not in model.capabilities]
            if missing:
                shown = name or model.model or "default"
                yield error(
                    "E191",
                    "other",
                    f"handler '{handler.name}' calls think() requiring {_shown(required)}, but"
                    f" model '{shown}' does not advertise {_shown(missing)}",
                    node,
                    f"choose another model for cell '{cell.name}', or add the capability to"
                    f" [models.{shown}] in soma.toml",
                )


def _texts(node: n.Node | None) -> list[str]:
    if isinstance(node, n.ListLit):
        items: tuple[n.Node, ...] = node.items
    elif isinstance(node, n.Call) and node.name == "list":
        items = node.args
    else:
        items = () if node is None else (node,)
    return [text for item in items if (text := literal_text(item)) is not None]


def _shown(names: list[str]) -> str:
    return json.dumps(names, ensure_ascii=False)
