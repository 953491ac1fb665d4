"""Cells and their sections (core 2.1 to 2.7), with golden files for all productions."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from frontend_snippets import errors_of, module_of, parse_text, section_of
from hypothesis import given, settings
from hypothesis import strategies as st

from somac.frontend import nodes as n
from somac.frontend.dump import dump
from somac.frontend.printer import print_module

CORPUS = Path(__file__).parent / "corpus"
INT = n.TypeRef("Int")


def test_every_production_gives_the_known_tree_and_text() -> None:
    module = module_of((CORPUS / "everything.cell").read_text(encoding="utf-8"))
    shown = dump(module).replace("app.cell", "everything.cell")
    assert shown + "\n" == (CORPUS / "everything.dump").read_text(encoding="utf-8")
    assert print_module(module) == (CORPUS / "everything.printed").read_text(encoding="utf-8")


def test_a_chain_is_single_arrows_and_its_block_belongs_to_the_first() -> None:
    machine = section_of("state m { a -> b { guard { x } } -> c -> d }")
    assert isinstance(machine, n.Machine)
    assert (machine.initial, machine.explicit_initial) == ("a", False)
    assert machine.transitions == (
        n.Transition("a", "b", n.Name("x")),
        n.Transition("b", "c"),
        n.Transition("c", "d"),
    )
    assert errors_of("cell A { state m { a -> b -> c { guard { x } } } }")


STATES = st.sampled_from(["a", "b2", "C", "_d", "cell", "initial", "guard", "state"])
BLANKS = st.sampled_from(["", " ", "\n", " // -> { \n", "/* -> */"])


@given(
    st.lists(
        st.tuples(st.one_of(STATES, st.just("*")), st.lists(STATES, min_size=1, max_size=3)),
        max_size=8,
    ),
    st.data(),
)
@settings(max_examples=60, deadline=None)
def test_arrows_in_a_row_are_read_one_by_one(
    lines: list[tuple[str, list[str]]], data: st.DataObject
) -> None:
    """Rows of plain arrows have a rule of their own; chains, blocks and comments may interrupt."""
    lines = [("start", ["a"]), *lines]
    text, wanted = "", []
    for source, (first, *others) in lines:
        block = data.draw(st.sampled_from(["", " { guard { x } }"]))
        arrow = f"{data.draw(BLANKS)}->{data.draw(BLANKS)}"
        text += f"{source}{arrow}{first}{block}" + "".join(f" -> {name}" for name in others) + "\n"
        wanted.append((source, first, block != ""))
        wanted += [(a, b, False) for a, b in pairwise([first, *others])]
    machine = section_of(f"state m {{ {text} }}")
    assert isinstance(machine, n.Machine)
    found = machine.transitions
    assert [(t.source, t.target, t.guard is not None) for t in found] == wanted
    for arrow_node in found:
        written = arrow_node.span.source.text[arrow_node.span.start : arrow_node.span.end]
        ends = (arrow_node.source, arrow_node.target if arrow_node.guard is None else "}")
        assert (written.startswith(ends[0]), written.endswith(ends[1])) == (True, True)


@pytest.mark.parametrize(
    ("text", "message", "place"),
    [
        ("a -> b b => c", "expected '->', found '=>'", "=>"),
        ("a -> b b -> if", "expected name, found 'if'", "if"),
        ("a -> b b c -> d", "expected '->', found 'c'", "c ->"),
        ("a -> b -> -> c", "expected name, found '->'", "-> c"),
        ("a -> b { c }", "expected 'guard', 'effect', or '}', found 'c'", "c }"),
        ("a -> b *= c", "expected name, found '*='", "*="),
    ],
)
def test_a_mistake_behind_arrows_is_found_where_it_is(text: str, message: str, place: str) -> None:
    program = f"cell A {{ state m {{ {text} }} }}"
    found, *_ = parse_text(program).diagnostics
    assert found.message == message
    assert found.span is not None
    assert found.span.start == program.rindex(place)


def test_the_anonymous_machine_is_named_after_its_cell() -> None:
    machine = section_of("state { queued -> confirmed }", "Orders")
    assert isinstance(machine, n.Machine)
    assert machine.name == "Orders"


@pytest.mark.parametrize("body", ["", "* -> a", "* -> a b -> c"])
def test_a_machine_needs_an_initial_state(body: str) -> None:
    assert errors_of(f"cell A {{ state m {{ {body} }} }}") == [
        "expected an 'initial:' declaration or a non-wildcard first transition"
    ]


def test_memory_blocks_hold_slots_and_invariants() -> None:
    assert section_of(
        "memory { a: Map<Int> [ttl(1h) b(lru, 2.5)] invariant: Int invariant a }"
    ) == (
        n.Memory(
            (
                n.Slot(
                    "a",
                    n.TypeRef("Map", (INT,)),
                    (
                        n.Property("ttl", (n.Duration(3_600_000, "1h"),)),
                        n.Property("b", (n.Str("lru", ("lru",)), n.Float(2.5))),
                    ),
                ),
                n.Slot("invariant", INT),
            ),
            (n.Name("a"),),
        )
    )


def test_scale_takes_commas_and_bare_sizes() -> None:
    assert section_of('scale { replicas: 3, shard: t memory: 8Gi disk: "1Ti", cpu: 2 }') == n.Scale(
        (
            n.ScaleEntry("replicas", 3),
            n.ScaleEntry("shard", "t"),
            n.ScaleEntry("memory", "8Gi"),
            n.ScaleEntry("disk", "1Ti"),
            n.ScaleEntry("cpu", 2),
        )
    )


def test_a_bare_number_of_a_timer_is_seconds() -> None:
    assert section_of("every 30 { }") == n.Every(30_000, n.Block(()))
    assert section_of("after 500ms { }") == n.After(500, n.Block(()))


def test_a_handler_may_name_the_type_of_its_result() -> None:
    handler = section_of("on f(a: Int, state: x.y,) -> Map<Int> [native record] { }")
    params = (n.Param("a", INT), n.Param("state", n.TypeRef("x.y")))
    returns = n.TypeRef("Map", (INT,))
    assert handler == n.Handler("f", params, ("native", "record"), n.Block(()), returns)


def test_the_bang_of_a_constraint_covers_all_that_follows() -> None:
    given = section_of("face { given x: Int where { !a && b, c } promise (!a) && b }")
    assert isinstance(given, n.Face)
    a, b, c = (n.Name(x) for x in "abc")
    assert given.declarations == (
        n.Given("x", INT, (n.Not(n.Binary("&&", a, b)), c)),
        n.Promise(n.Binary("&&", n.Unary("!", a), b)),
    )


def test_a_word_in_the_place_of_the_kind_is_the_kind() -> None:
    assert module_of("cell test T { }").cells[0].kind == "test"
    assert module_of("cell builtin state { }").cells[0].name == "state"
    assert errors_of("cell test { }") == ["expected identifier, found '{'"]


def test_uses_come_first() -> None:
    module = module_of('use a use b::c use d.e/f use "x/y" cell A { }')
    assert module.uses == (
        n.Use(("a",)),
        n.Use(("b", "c")),
        n.Use(("d", "e", "f")),
        n.Use((), "x/y"),
    )
    assert errors_of("cell A { } use b") == ["expected 'cell', found 'use'"]


def test_an_empty_file_is_a_module() -> None:
    assert module_of(" // nothing\n") == n.Module((), ())


def test_the_span_of_a_cell_and_of_its_name() -> None:
    text = " cell Main { } \n"
    (cell,) = module_of(text).cells
    assert text[cell.span.start : cell.span.end] == "cell Main { }"
    assert text[cell.name_span.start : cell.name_span.end] == "Main"
