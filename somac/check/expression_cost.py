"""What expressions may allocate at most, for the memory budget (§5.7)."""

from __future__ import annotations

from collections.abc import Callable

from ..frontend import nodes as n
from ..frontend.walk import children
from .targets import options

UNKNOWN = 10_000  # turns of a loop and bounds of the numeric library that nobody declares
KEYS_BYTES = UNKNOWN * 256
VALUES_BYTES = UNKNOWN * 4096

_LLM = "LLM response size is not statically bounded"
_HTTP = "HTTP response size is not statically bounded"
_DATABASE = "database result set size is not statically bounded"
_RECALL = "recall result size is not statically bounded"
UNBOUNDED = {
    "think": _LLM,
    "think_json": _LLM,
    "from_json": "from_json input size is not statically bounded",
    "to_json": "to_json output size depends on input size",
    "read_file": "file size is not statically bounded",
    "sql_query": _DATABASE,
    "query": _DATABASE,
    "delegate": "delegate target response size is not statically bounded",
    "recall": _RECALL,
    "recall_similar": _RECALL,
    **dict.fromkeys(("http_get", "http_post", "http_put", "http_delete"), _HTTP),
}

_FIXED = {
    256: "with impact_sqrt",
    32: "push",
    64: """concat split replace lowercase uppercase trim substring join starts_with ends_with
        contains index_of to_string""",
    512: "response html redirect render escape_html from_form",
    128: "sample_row drop_sampled",
}
FIXED = {name: size for size, names in _FIXED.items() for name in names.split()}

Bound = Callable[..., int]

NUMERIC: dict[str, Callable[[Bound], int]] = {
    "regress_sgd": lambda b: (
        48 * b("max_dim") + 256 + 8 * b("max_iter") * b("samples_per_iter", 1)
    ),
    "svd_lowrank": lambda b: (
        8
        * (
            b("row_samples", 100) * b("max_dim")
            + b("row_samples", 100) * b("col_samples", 100)
            + 2 * b("max_dim") * b("rank", 10)
        )
        + 512
    ),
    "clean_covariance": lambda b: (
        8 * (b("max_obs") * b("max_assets") + 3 * b("max_assets") ** 2 + 2 * b("max_assets")) + 512
    ),
    "importance_sample_rows": lambda b: 8 * b("samples", 50) * b("max_dim") + 256,
    "to_sampled": lambda b: 16 * b("max_rows") * b("max_cols") + 256,
    **dict.fromkeys(
        ("var_historical", "var_gaussian", "expected_shortfall_historical", "quantile"),
        lambda b: 8 * b("max_obs") + 256,
    ),
}


class Meter:
    """Adds up the cost of one handler and collects the calls that have no bound, in order."""

    def __init__(self) -> None:
        self.reasons: list[str] = []

    def cost(self, node: n.Node) -> int:
        """Bytes; 0 for what allocates nothing of note."""
        measure = _MEASURES.get(type(node))
        return measure(self, node) if measure is not None else self.below(node)

    def below(self, node: n.Node) -> int:
        return sum(self.cost(child) for child in children(node))

    def call(self, node: n.Call) -> int:
        return self.named(node.name, node.args) + sum(self.cost(arg) for arg in node.args)

    def named(self, name: str, args: tuple[n.Node, ...]) -> int:
        """The cost of a call without that of its arguments."""
        given = options(args)
        if name in UNBOUNDED:
            return self._unbounded(name, args, given)
        if name in NUMERIC:
            return NUMERIC[name](_bounds(given))
        if name == "list":
            return 64 + 16 * len(args)
        if name == "map":
            return 256 + 64 * len(args)
        return FIXED.get(name, 0) or _matrix(name, args)

    def _unbounded(self, name: str, args: tuple[n.Node, ...], given: dict[str, n.Node]) -> int:
        if name in ("think", "think_json"):
            most = given.get("max_tokens")
            if isinstance(most, n.Int):
                return 4 * most.value
        if name == "http_get" and isinstance(given.get("max_bytes"), n.Int):
            return _number(given["max_bytes"], 0)
        if name == "from_json" and len(args) == 1 and isinstance(args[0], n.Str):
            return 0
        self.reasons.append(f"{name} at call site — {UNBOUNDED[name]}")
        return 0

    def pipe(self, node: n.Pipe) -> int:
        left = self.cost(node.left)
        if isinstance(node.right, n.Name):
            return left + self.named(node.right.name, (node.left,))
        return left + self.cost(node.right)

    def text(self, node: n.Str) -> int:
        return len(node.value.encode()) + 32

    def items(self, node: n.ListLit) -> int:
        return 64 + 16 * len(node.items) + self.below(node)

    def record(self, node: n.Record) -> int:
        return 64 + self.below(node)

    def function(self, node: n.Lambda) -> int:
        return 64

    def attempt(self, node: n.Try) -> int:
        return self.below(node) + 128

    def method(self, node: n.Method) -> int:
        own = {"keys": KEYS_BYTES, "values": VALUES_BYTES}.get(node.name, 0)
        return own + self.below(node)

    def branches(self, node: n.If | n.IfExpr) -> int:
        otherwise = self.cost(node.otherwise) if node.otherwise is not None else 0
        return self.cost(node.condition) + max(self.cost(node.then), otherwise)

    def match(self, node: n.Match) -> int:
        arms = [
            self.cost(arm.body) + (self.cost(arm.guard) if arm.guard is not None else 0)
            for arm in node.arms
        ]
        return self.cost(node.subject) + max(arms, default=0)

    def each(self, node: n.For) -> int:
        turns = node.loop_bound or _range_length(node.iterable) or UNKNOWN
        return self.cost(node.iterable) + turns * self.cost(node.body)

    def loop(self, node: n.While) -> int:
        return self.cost(node.condition) + (node.loop_bound or UNKNOWN) * self.cost(node.body)


_MEASURES: dict[type, Callable[..., int]] = {
    n.Call: Meter.call,
    n.Pipe: Meter.pipe,
    n.Str: Meter.text,
    n.ListLit: Meter.items,
    n.Record: Meter.record,
    n.Lambda: Meter.function,
    n.Try: Meter.attempt,
    n.Method: Meter.method,
    n.If: Meter.branches,
    n.IfExpr: Meter.branches,
    n.Match: Meter.match,
    n.For: Meter.each,
    n.While: Meter.loop,
}


def _bounds(given: dict[str, n.Node]) -> Bound:
    def bound(name: str, default: int = UNKNOWN) -> int:
        return _number(given.get(name), default)

    return bound


def _number(node: n.Node | None, default: int) -> int:
    return node.value if isinstance(node, n.Int) else default


def _matrix(name: str, args: tuple[n.Node, ...]) -> int:
    first = args[0] if args else None
    if name in ("mat", "zeros", "ones") and len(args) >= 2:
        return 64 + 16 * _number(first, UNKNOWN) * _number(args[1], UNKNOWN)
    if name in ("eye", "diag"):
        side = len(first.items) if isinstance(first, n.ListLit) else _number(first, UNKNOWN)
        return 64 + 16 * side * side
    if name == "matrix" and isinstance(first, n.Str):
        return 64 + 16 * len(first.value)
    if name in ("rows", "cols"):
        return 64 + 16 * len(args) * UNKNOWN
    return 0


def _range_length(node: n.Node) -> int | None:
    """The length of a `range` of two literals; None when it is not known."""
    if isinstance(node, n.Call) and node.name == "range" and len(node.args) == 2:
        low, high = node.args
        if isinstance(low, n.Int) and isinstance(high, n.Int):
            return max(high.value - low.value, 1)
    return None
