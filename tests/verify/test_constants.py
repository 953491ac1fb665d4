"""Targets that are parameters of private handlers: known when every call gives a literal."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from verify_programs import about, report_on

from somac.frontend.load import load_text
from somac.frontend.program import handlers_of
from somac.verify.constants import VALUES_MAX, Constants

MACHINE = "state m { new -> paid paid -> sent new -> gone }"


def program(*handlers: str, more: str = "") -> str:
    return f"cell A {{\n{MACHINE}\n" + "\n".join(handlers) + f"\n}}\n{more}"


def known(text: str, name: str = "_go") -> dict[str, list[str]]:
    """The parameters of a handler whose values are known, with these."""
    loaded = load_text(text)
    assert loaded.program is not None, loaded.diagnostics
    handlers = [h for c in loaded.program.all_cells for h in handlers_of(c).values()]
    constants = Constants(loaded.program)
    (handler,) = [h for h in handlers if h.name == name]
    return {param: sorted(values) for param, values in constants.of(handler).items()}


GO = "on _go(id: String, to: String) { transition(id, to) }"
PAY = 'on pay(id: String) { _go(id, "paid") }'
SEND = 'on send(id: String) { _go(id, "sent") }'
DROP = 'on drop(id: String) { _go(id, "gone") }'


def test_literals_of_all_calls_are_the_targets() -> None:
    report = report_on(program(PAY, SEND, DROP, GO))
    assert about(report, "refinement") == [
        "P refinement: handler `_go` ⟶ {gone, paid, sent}",
    ]
    assert about(report, "isolated") == [
        "P think-isolated: CTL safety properties hold regardless of LLM output (1 handlers,"
        " 3 literal transitions, 0 dynamic)"
    ]


def test_an_edge_that_no_call_takes_is_found() -> None:
    assert about(report_on(program(PAY, SEND, GO)), "never reached") == [
        "W refinement: declared transition `new → gone` is never reached by any handler — spec may"
        " be aspirational or stale"
    ]


def test_a_literal_that_is_no_state_is_found_where_it_arrives() -> None:
    report = report_on(program(PAY, 'on lose(id: String) { _go(id, "lost") }', GO))
    (line,) = about(report, '"lost"')
    assert line.startswith('F refinement: handler `_go` calls transition(_, "lost") but')
    assert not report.passed


def test_a_counter_example_names_the_handler() -> None:
    report = report_on(program(PAY, SEND, GO), '[verify]\nnever = ["sent"]')
    (verdict,) = [v for v in report.verdicts if not v.passed]
    assert [step.takers for step in verdict.steps] == [("_go",), ("_go",)]


@pytest.mark.parametrize(
    ("more", "values"),
    [
        ('id |> _go("gone")', "gone paid"),
        ('delegate("A", "_go", id, "gone")', "gone paid"),
        ('_go(id, if b { "gone" } else { "sent" })', "gone paid sent"),
        ('let t = "gone" if b { t = "sent" } _go(id, t)', "gone paid sent"),
        ('_go(id, match b { true -> "gone" _ -> "sent" })', "gone paid sent"),
        ('try { _go(id, "gone") }', "gone paid"),
        ('list(id) |> map(id => _go(id, "gone"))', "gone paid"),
        ("_go(id, Gone)", "Gone paid"),
        ('_f(id, "gone") } on _f(id: String, t: String) { _go(id, t)', "gone paid"),
        ("1 } on _f(id: String, t: String) { _f(id, t) _go(id, t)", "paid"),
        ('1 } every 5s { _go("1", "gone")', "gone paid"),
    ],
)
def test_ways_to_call(more: str, values: str) -> None:
    more = f"on f(id: String, b: Bool) {{ {more} }}"
    assert known(program(PAY, more, GO)) == {"to": values.split()}


@pytest.mark.parametrize(
    "more",
    [
        "on f(id: String, t: String) { _go(id, t) }",  # anybody may call it with anything
        "on f(id: String, t: String) { let u = t _go(id, u) }",
        'on f(id: String) { _go(id, "go{id}") }',
        'on f(id: String) { _go(id, lower("GONE")) }',
        "on f(id: String) { _go(id) }",
        'on f(id: String, h: String) { delegate("A", h, id, "gone") }',
        'on f(id: String) { let t = "gone" t += "x" _go(id, t) }',
        'on f(ids: List) { let t = "gone" for t in ids { _go(t, t) } }',
        'on f(id: String) { let name = "_go" link(name) }',
        "on f(xs: List) { map(xs, _go) }",
        'on f(id: String, b: Bool) { _go(id, if b { "gone" } else { id }) }',
    ],
)
def test_anything_else_leaves_the_target_computed(more: str) -> None:
    assert known(program(PAY, more, GO)) == {}


def test_who_can_be_called_from_outside_is_not_known() -> None:
    public = GO.replace("_go", "go")
    calls = 'on pay(id: String) { go(id, "paid") }'
    assert known(program(calls, public), "go") == {}
    assert about(report_on(program(calls, public)), "non-literal")


def test_a_handler_that_nobody_calls_stays_computed() -> None:
    assert known(program(GO)) == {}


@pytest.mark.parametrize(
    "body",
    ['to = "gone" transition(id, to)', "let to = id transition(id, to)", "map(list(1), to => to)"],
)
def test_a_parameter_that_is_bound_again_is_not_the_parameter(body: str) -> None:
    go = f"on _go(id: String, to: String) {{ {body} }}"
    assert known(program(PAY, go)) == {}


def test_other_cells_and_tests() -> None:
    beside = 'cell B { on f(id: String) { delegate("A", "_go", id, "gone") } }\n'
    tests = 'cell test T { rules { assert _go("1", "nowhere") == 1 } }\n'
    assert known(program(PAY, GO, more=beside + tests)) == {"to": ["gone", "paid"]}
    emits = 'cell B { on f(id: String) { emit _go(id, "sent") } }\n'
    assert known(program(PAY, GO, more=emits)) == {"to": ["paid", "sent"]}


def test_more_values_than_a_person_reads_count_as_computed() -> None:
    calls = [f'on f{i}(id: String) {{ _go(id, "s{i}") }}' for i in range(VALUES_MAX + 1)]
    assert known(program(*calls[:-1], GO))["to"] == sorted(f"s{i}" for i in range(VALUES_MAX))
    assert known(program(*calls, GO)) == {}


@pytest.mark.slow
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=10), st.data())
@settings(max_examples=40, deadline=None)
def test_values_are_those_that_some_chain_of_calls_brings(
    edges: list[tuple[int, int]], data: st.DataObject
) -> None:
    """Private handlers that hand their parameter on to each other, in circles, too."""
    given_to = data.draw(st.dictionaries(st.integers(0, 4), st.sampled_from("abc"), max_size=3))
    handlers = []
    for at in range(5):
        calls = " ".join(f"_h{to}(p)" for source, to in edges if source == at)
        handlers.append(f"on _h{at}(p: String) {{ {calls} () }}")
    outside = " ".join(f'_h{at}("{text}")' for at, text in given_to.items())
    text = program(*handlers, f"on f() {{ {outside} () }}")
    for at in range(5):
        leading, todo = {at}, [at]
        while todo:
            here = todo.pop()
            for source, to in edges:
                if to == here and source not in leading:
                    leading.add(source)
                    todo.append(source)
        wanted = sorted({given_to[source] for source in leading if source in given_to})
        assert known(text, f"_h{at}") == ({"p": wanted} if wanted else {})
