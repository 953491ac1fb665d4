"""The classes of the syntax tree behave as frozen dataclasses do."""

from __future__ import annotations

import dataclasses

import pytest

from somac.frontend import nodes as n
from somac.frontend.source import Source, Span


def test_equality_and_hash_leave_spans_out() -> None:
    span = Span(Source("a.cell", "f(1)"), 0, 4)
    here, elsewhere = n.Call("f", (n.Int(1),), span=span), n.Call("f", (n.Int(1),))
    assert here == elsewhere
    assert hash(here) == hash(elsewhere)
    assert here != n.Call("g", (n.Int(1),))
    assert here != n.Name("f")
    assert repr(here) == "Call(name='f', args=(Int(value=1),))"


def test_instances_are_frozen_and_slim() -> None:
    node = n.Int(1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        node.value = 2  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        del node.value
    assert not hasattr(node, "__dict__")


def test_dataclass_tools_work() -> None:
    assert dataclasses.is_dataclass(n.Cell)
    assert [f.name for f in dataclasses.fields(n.Let)] == ["span", "name", "value"]
    assert dataclasses.replace(n.Let("x", n.Int(1)), name="y") == n.Let("y", n.Int(1))
    match n.Let("x", n.Int(1)):
        case n.Let(name, n.Int(value)):
            assert (name, value) == ("x", 1)


def test_constructors_refuse_what_does_not_fit() -> None:
    with pytest.raises(TypeError, match="missing"):
        n.Let("x")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="unexpected"):
        n.Int(1, colour="red")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="argument"):
        n.Int(*[1, 2])
    assert n.Use(("a",)).text is None
