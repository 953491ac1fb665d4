"""The calls in a body that name a state or a handler by a literal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..frontend import nodes as n


def calls(nodes: Iterable[n.Node]) -> Iterator[tuple[str, tuple[n.Node, ...], n.Node]]:
    """Plain and piped calls: name, arguments (the piped value first), and where."""
    piped: set[int] = set()
    for node in nodes:
        if isinstance(node, n.Pipe):
            if isinstance(node.right, n.Call):
                piped.add(id(node.right))
                yield node.right.name, (node.left, *node.right.args), node.right
            elif isinstance(node.right, n.Name):
                yield node.right.name, (node.left,), node.right
        elif isinstance(node, n.Call) and id(node) not in piped:
            yield node.name, node.args, node


def literal_targets(nodes: Iterable[n.Node]) -> Iterator[tuple[str, n.Node]]:
    """The literal targets of `transition` calls: texts and capitalised names."""
    for name, args, node in calls(nodes):
        if name == "transition" and len(args) >= 2:
            target = args[1]
            if isinstance(target, n.Str) and is_plain(target):
                yield target.value, node
            elif isinstance(target, n.Name) and target.name[:1].isupper():
                yield target.name, node


def is_plain(text: n.Str) -> bool:
    """Whether a string has no holes."""
    return not any(isinstance(part, n.Hole) for part in text.parts)


def literal_text(node: n.Node) -> str | None:
    """The text of a string literal without holes."""
    return node.value if isinstance(node, n.Str) and is_plain(node) else None


def options(args: tuple[n.Node, ...]) -> dict[str, n.Node]:
    """The literal keys of a last argument `map("key", value, …)`."""
    last = args[-1] if args else None
    if not isinstance(last, n.Call) or last.name != "map":
        return {}
    pairs = zip(last.args[::2], last.args[1::2], strict=False)
    return {key: value for k, value in pairs if (key := literal_text(k)) is not None}
