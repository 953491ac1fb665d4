"""Kinds of which more is known: Lists with the kind of their items, Maps with that of some fields.

A `Shape` is the kind `List` or `Map` to everybody who does not ask for more, so it compares and
hashes as that text. A Map of a shape has at least those fields. Shapes are joined like kinds: what
only one side knows is forgotten. How deep they go is limited, so that fixpoints end.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..frontend import nodes as n

NONE = ""  # nothing yet: the start of the fixpoint
ANY = "Any"
INT, NAT, FLOAT, STRING, BOOL = "Int", "Nat", "Float", "String", "Bool"
LIST, MAP, UNIT, LAMBDA, VARIANT = "List", "Map", "Unit", "Lambda", "Variant"
INTS = frozenset({INT, NAT})

_DEPTH = 4
HIDDEN_FIELDS = frozenset({"keys", "values", "length", "len", "size"})
"""Properties of Maps, which hide entries of the same name (builtins §15)."""


class Shape(str):
    """A List or a Map of which more is known. `item` is for Lists, `fields` for Maps."""

    item: str
    fields: Mapping[str, str]
    depth: int

    def __new__(cls, kind: str, item: str, fields: Mapping[str, str]) -> Shape:
        made = super().__new__(cls, kind)
        made.item = item
        made.fields = fields
        made.depth = 1 + max(map(depth_of, (item, *fields.values())))
        return made


def depth_of(kind: str) -> int:
    return kind.depth if isinstance(kind, Shape) else 0


def list_of(item: str) -> str:
    """A List whose items have this kind; NONE when it is empty."""
    if item == ANY or depth_of(item) >= _DEPTH:
        return LIST
    return Shape(LIST, item, {})


def map_with(fields: Iterable[tuple[str, str]]) -> str:
    """A Map that has these fields; of equal names the last one counts."""
    known = {name: kind for name, kind in fields if name not in HIDDEN_FIELDS}
    if any(depth_of(kind) >= _DEPTH for kind in known.values()):
        return MAP
    return Shape(MAP, NONE, known)


def item_of(kind: str) -> str:
    """The kind of a List's items."""
    return kind.item if isinstance(kind, Shape) and kind == LIST else ANY


def fields_of(kind: str) -> Mapping[str, str]:
    """The fields that a Map is known to have, with their kinds."""
    return kind.fields if isinstance(kind, Shape) and kind == MAP else {}


def same(a: str, b: str) -> bool:
    """Whether two kinds say the same in all depth."""
    if a != b or isinstance(a, Shape) is not isinstance(b, Shape):
        return False
    if isinstance(a, Shape) and isinstance(b, Shape):
        return (
            same(a.item, b.item)
            and a.fields.keys() == b.fields.keys()
            and all(same(kind, b.fields[name]) for name, kind in a.fields.items())
        )
    return True


def join(a: str, b: str) -> str:
    """The kind that covers both."""
    if a == b:
        return _join_shapes(a, b)
    if b == NONE:
        return a
    if a == NONE:
        return b
    return INT if a in INTS and b in INTS else ANY


def _join_shapes(a: str, b: str) -> str:
    if same(a, b):
        return a
    if not (isinstance(a, Shape) and isinstance(b, Shape)):
        return str(a)
    if a == LIST:
        return list_of(join(a.item, b.item))
    common = [name for name in a.fields if name in b.fields]
    return map_with((name, join(a.fields[name], b.fields[name])) for name in common)


# --- what builtins make ---


def _key(node: n.Expr) -> str | None:
    """The text of a key that is written as a plain string."""
    if not isinstance(node, n.Str) or any(not isinstance(part, str) for part in node.parts):
        return None
    return "".join([str(part) for part in node.parts]) if node.parts else node.value


def map_shape(args: tuple[n.Expr, ...], kinds: list[str]) -> str:
    """`map("a", x, "b", y)`"""
    keys = [_key(node) for node in args[::2]]
    if len(args) % 2 or None in keys:
        return MAP  # another key may be the same as a known one
    return map_with((key or "", kind) for key, kind in zip(keys, kinds[1::2], strict=True))


def with_shape(args: tuple[n.Expr, ...], kinds: list[str]) -> str:
    """`with(m, "a", x)`"""
    if not args:
        return MAP
    keys = [_key(node) for node in args[1::2]]
    if kinds[0] == NONE:
        return NONE
    if len(args) % 2 == 0 or None in keys or not isinstance(kinds[0], Shape):
        return MAP
    added = [(key or "", kind) for key, kind in zip(keys, kinds[2::2], strict=True)]
    return map_with([*fields_of(kinds[0]).items(), *added])


def list_shape(name: str, args: tuple[n.Expr, ...], kinds: list[str]) -> str:
    """`list(a, b)` and `push(xs, a)`, which append to a List in the first place (mend 8)."""
    items = NONE
    for kind in kinds[1:]:
        items = join(items, kind)
    if not args:
        return list_of(NONE)
    first, written = args[0], False
    if name == "list":
        written = isinstance(first, n.ListLit) or (
            isinstance(first, n.Call) and first.name == "list"
        )
    if len(args) < 2 or written or kinds[0] not in (LIST, ANY, NONE):
        return list_of(join(items, kinds[0]))
    if kinds[0] == LIST:
        return list_of(join(items, item_of(kinds[0])))
    return list_of(items) if kinds[0] == NONE else LIST


def map_kind(args: tuple[n.Expr, ...], kinds: list[str]) -> str:
    """`map(…)` is a Map unless it may be given a list and a lambda."""
    if not args:
        return MAP
    written = len(args) > 1 and isinstance(args[1], n.Lambda)  # surplus arguments are ignored
    if written and kinds[0] in (LIST, NONE):
        return kinds[0]
    if len(args) > 2 and not written:
        return MAP
    open_kinds = (LIST, ANY, NONE)
    return ANY if kinds[0] in open_kinds and kinds[:2][-1] in (ANY, NONE, LAMBDA) else MAP
