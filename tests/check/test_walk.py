"""Walking trees: every node once, parents first, in source order."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from somac.frontend import nodes as n
from somac.frontend.load import load_text
from somac.frontend.walk import child_fields, children, walk

LEAVES = st.integers(0, 99).map(n.Int) | st.sampled_from(["a", "b"]).map(n.Name)
TREES = st.recursive(
    LEAVES,
    lambda inner: (
        st.builds(n.Binary, st.sampled_from("+-"), inner, inner)
        | st.lists(inner, max_size=3).map(lambda items: n.Call("f", tuple(items)))
        | inner.map(lambda e: n.Record("P", (("x", e), ("y", e))))
        | st.builds(n.Lambda, st.just("x"), inner)
    ),
    max_leaves=12,
)


def by_recursion(node: n.Node) -> list[n.Node]:
    return [node, *(below for child in children(node) for below in by_recursion(child))]


@given(TREES)
@settings(max_examples=60, deadline=None)
def test_a_walk_is_the_recursion_over_children(tree: n.Node) -> None:
    assert [id(node) for node in walk(tree)] == [id(node) for node in by_recursion(tree)]


@given(TREES)
@settings(max_examples=30, deadline=None)
def test_what_is_not_entered_is_left_out(tree: n.Node) -> None:
    seen = list(walk(tree, lambda node: not isinstance(node, n.Call)))
    assert sum(isinstance(node, n.Call) for node in seen) <= len(by_recursion(tree))
    assert seen[0] is tree
    if isinstance(tree, n.Call):
        assert seen == [tree]


def test_plain_fields_hold_no_nodes() -> None:
    assert child_fields(n.Binary) == ("left", "right")
    assert child_fields(n.Int) == ()
    assert child_fields(n.Record) == ("fields",)
    assert child_fields(n.Match) == ("subject", "arms")


def test_a_walk_reaches_holes_patterns_and_guards() -> None:
    program = load_text(
        "cell A { state m { initial: a a -> b { guard { g } effect { e() } } }"
        ' on f(v: Int) { match v { {x: p} if q -> "{h}" } } }'
    ).program
    assert program is not None
    names = {node.name for node in walk(program.cells[0]) if isinstance(node, n.Name)}
    assert names == {"g", "q", "h", "v"}
    bound = {node.name for node in walk(program.cells[0]) if isinstance(node, n.Binding)}
    assert bound == {"p"}
