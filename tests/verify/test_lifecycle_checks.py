"""The structural lines on machines (reference §5.2), and handlers against them (§5.4 to §5.6)."""

from __future__ import annotations

import pytest
from verify_programs import about, lines, machine, report_on

from somac.codegen import generate, load_in_memory
from somac.frontend.load import load_text
from somac.manifest import Manifest
from somart import App, SomaError
from somart.engines.standalone import StandaloneEngine

JOB = "initial: queued queued -> running -> failed -> queued running -> done"


def test_the_lines_come_in_order() -> None:
    found = lines(report_on(machine("initial: a a -> b { guard { _id != () } } a -> c * -> x")))
    assert found[:7] == [
        "P 4 states, 5 transitions",
        "P all states reachable from 'a'",
        "P terminal states: [x]",
        "P no deadlocks",
        "P liveness: every state can eventually reach a terminal state",
        "P guarded transitions: a -> b",
        "P wildcard transitions: * -> [x]",
    ]


def test_unreachable_states_are_sorted() -> None:
    found = report_on(machine("initial: a a -> b z -> y"))
    assert "F unreachable states: [y, z]" in lines(found)
    assert not found.passed


def test_a_machine_without_an_end() -> None:
    report = report_on(machine("initial: a a -> b -> a"))
    assert lines(report)[2:5] == [
        "W no terminal states — all states have outgoing transitions (possible infinite loop)",
        "P no deadlocks",
        "F liveness violation: states [a, b] cannot reach any terminal state",
    ]
    assert report.blocks[0].checks[4].trace == ("a", "b", "a")


def test_sinks_that_are_not_final_are_deadlocks() -> None:
    toml = '[verify]\nfinal = ["done"]'
    report = report_on(machine("initial: a a -> done a -> stuck"), toml)
    assert lines(report)[3:5] == [
        "F deadlock states: [stuck]",
        "F liveness violation: states [stuck] cannot reach any final state",
    ]
    verdict = report.verdicts[0]
    assert (verdict.property, verdict.passed) == ("deadlock_free", False)
    assert verdict.counter_example == ("a", "stuck")


def test_an_entity_may_rest_in_a_final_state_that_has_a_way_on() -> None:
    toml = '[verify]\nfinal = ["b"]\neventually = ["a", "c"]\n[verify.after.b]\neventually = ["c"]'
    report = report_on(machine("initial: a a -> b -> c -> a"), toml)
    assert "P final states: [b]" in lines(report)
    assert [v.passed for v in report.verdicts] == [True, True, False]
    assert report.verdicts[2].counter_example == ("a", "b")


def test_delicate_transitions_want_a_guard() -> None:
    found = about(report_on(machine("initial: a a -> sent sent -> end a -> b b -> end")), "guard")
    assert found == [
        f"W {edge} has no guard (consider adding a guard condition)"
        for edge in ("a -> sent", "sent -> end", "b -> end")
    ]


def test_states_cut_off_from_a_terminal_state() -> None:
    found = about(report_on(machine("initial: a a -> b -> good a -> c -> bad")), "cannot reach")
    assert found == [
        "W states [c] cannot reach terminal 'good'",
        "W states [b] cannot reach terminal 'bad'",
    ] or found == [
        "W states [b] cannot reach terminal 'bad'",
        "W states [c] cannot reach terminal 'good'",
    ]


# --- refinement ----------------------------------------------------------------------------------


def test_an_unknown_target_is_a_failure_with_its_place() -> None:
    program = machine("a -> b", 'on f(x: Int) { if x > 0 { transition("1", "c") } }')
    report = report_on(program)
    (line,) = about(report, '"c"')
    assert line == (
        'F refinement: handler `f` calls transition(_, "c") but "c" is not in state machine `m`'
        "  [if x > 0]"
    )
    check = next(c for c in report.blocks[0].checks if c.status == "fail")
    start, end = (int(p) for p in check.trace[0].removeprefix("at byte offset ").split("–"))
    assert program[start:end].strip() == 'transition("1", "c")'


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ('if x > 0 { transition(id, "b") }', "{b [if x > 0]}"),
        ('if !ok { () } else { transition(id, "b") }', "{b [if not (!ok)]}"),
        (
            'if a { () } else if b == "z" { transition(id, "b") }',
            '{b [if not (a) ∧ if b == "z"]}',
        ),
        ('for i in xs { transition(i, "b") }', "{b [(in for loop)]}"),
        ('while x < -y.z { transition(id, "b") }', "{b [while x < 0 - y.z]}"),
        ('match x { 1 -> transition(id, "b") _ -> () }', "{b [(match arm 1)]}"),
        ('match x { _ -> { transition(id, "b") } }', "{b [(match arm _)]}"),
        ('if f(x, ()) ?? true { transition(id, "b") }', "{b [if _coalesce(f(x, ()), true)]}"),
        ('xs |> map(i => transition(i, "b"))', "{b}"),
        ('id |> transition("b")', "{b}"),
        ('let r = try { transition(id, "b") }', "{b}"),
        ('print(transition(id, "b").to)', "{b}"),
        ('transition(id, "b") transition(id, to)', "{b} + <dynamic>"),
        ("transition(id, to)", "<dynamic>"),
        ('transition(id, "{x}")', "<dynamic>"),
    ],
)
def test_what_a_handler_does(body: str, shown: str) -> None:
    found = about(report_on(machine("a -> b", f"on h(id: String, x: Int) {{ {body} }}")), "⟶")
    assert len(found) == 1
    assert found[0].endswith(f"refinement: handler `h` ⟶ {shown}") or (
        found[0].startswith("P refinement (partial — dynamic targets fall back to runtime check)")
        and found[0].endswith(f": handler `h` ⟶ {shown}")
    )


def test_timers_and_effects_count_as_handlers() -> None:
    body = 'every 30s { transition("1", "b") }'
    program = machine('a -> b { effect { transition("2", "c") } } b -> c', body)
    found = about(report_on(program), "refinement")
    assert found == [
        "P refinement: handler `every 30s` ⟶ {b}",
        "P refinement: handler `effect of a -> b` ⟶ {c}",
    ]


def test_transitions_that_no_handler_takes() -> None:
    found = about(report_on(machine("a -> b -> c * -> x", 'on f() { transition(1, "c") }')), "spec")
    aspirational = "is never reached by any handler — spec may be aspirational or stale"
    assert found == [
        f"W refinement: declared transition `{e}` {aspirational}" for e in ("a → b", "* → x")
    ]


def test_edges_are_told_apart_by_what_the_handler_has_tested() -> None:
    arrows = "initial: a a -> c b -> c a -> b"
    program = machine(
        arrows,
        'on f(id: String) { if get_status(id) == "a" { transition(id, "c") } }\n'
        'on g(id: String) { transition(id, "b") }',
    )
    assert about(report_on(program), "b → c") == [
        "W refinement: declared transition `b → c` is never reached by any handler"
        " — spec may be aspirational or stale"
    ]


@pytest.mark.parametrize(
    "test",
    [
        'if get_status(id) != "c" { return () }',
        'require get_status(id) == "c" else "no"',
        'let s = get_status(id) if s == "a" || s == "b" { return () }',
        'match get_status(id) { "a" -> { return () } "b" -> { return () } _ -> () }',
        'transition(id, "b") transition(id, "c")',
    ],
)
def test_a_call_that_always_fails(test: str) -> None:
    body = f'on f(id: String) {{ {test} transition(id, "b") }}'
    found = about(report_on(machine("initial: a a -> b -> c", body)), "always fails")
    assert found == [
        'W refinement: handler `f` calls transition(_, "b") where no declared transition leads to'
        " it from [c] — the call always fails"
    ]


@pytest.mark.parametrize(
    "between",
    [
        "other(id)",
        "emit moved(id)",
        'id = "x"',
        'transition(x, "b")',
        'for i in xs { transition(i, "b") }',
        'xs |> each(i => transition(i, "b"))',
        'delegate("A", "other", id)',
        'match xs { id -> transition(id, "b") }',
        'if x { let id = 1 transition(id, "b") }',
    ],
)
def test_what_may_move_an_instance_ends_what_is_known(between: str) -> None:
    body = (
        f'on f(id: String) {{ if get_status(id) == "c" {{ {between} transition(id, "b") }} }}\n'
        'on other(id: String) { transition(id, "c") }'
    )
    assert not about(report_on(machine("initial: a a -> b -> c", body)), "always fails")


def test_states_that_the_handlers_never_enter() -> None:
    body = 'on f(id: String) { transition(id, "c") }'
    found = about(report_on(machine("a -> b -> c", body)), "never bring")
    assert found == ["W refinement: the handlers never bring an instance into states [c]"]


def test_two_machines_of_a_cell_share_its_targets() -> None:
    program = (
        "cell A { state m { a -> b } state n { c -> d }\n"
        'on f() { transition(1, "b") transition(2, "d") transition(3, "e") } }'
    )
    report = report_on(program)
    shown = [[line for line in lines(report, i) if "⟶" in line or line[0] == "F"] for i in (0, 1)]
    start = "P refinement: handler `f` ⟶"
    assert [block[-1] for block in shown] == [f"{start} {{b, e}}", f"{start} {{d, e}}"]
    assert all('"e" is not in' in block[0] and len(block) == 2 for block in shown)


def test_another_cell_moves_the_only_machine_of_a_program() -> None:
    program = machine("a -> b") + 'cell B { on f() { transition(1, "b") } }'
    assert about(report_on(program), "refinement") == ["P refinement: handler `B.f` ⟶ {b}"]


# --- isolation, model calls ----------------------------------------------------------------------


def test_isolation_needs_literal_targets() -> None:
    body = 'on f() { transition(1, "b") }\non g(t: String) { transition(1, t) }'
    assert about(report_on(machine("a -> b", body)), "think") == [
        "W NOT think-isolated: handler `g` uses a dynamic (computed) transition target"
        " — safety under adversarial LLM is not proven for this cell"
    ]


def test_tools_must_not_move_instances() -> None:
    program = (
        'cell A { face { tool go(x: Int) -> Int "goes" } state m { a -> b }\n'
        'on go(x: Int) { transition(x, "b") } on ask() { think("?") think("!") } }'
    )
    found = lines(report_on(program))
    assert any("tool `go` has a handler that calls transition()" in line for line in found)
    assert found[-1] == "P effects: handler `ask` calls think() 2× — can dispatch [go]"


# --- termination ---------------------------------------------------------------------------------

FOR = "for-loop with unbounded iterator (add [loop_bound(N)] or use range(0, N) with literal N)"
WHILE = (
    "while-loop without provable termination bound (consider replacing with a bounded for-loop or"
    " adding a max-iteration guard)"
)
RECURSION = "recursive call without provable decreasing argument"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("on f(n: Int) { for i in range(0, n) { i } }", None),
        ("on f(n: List) { for i in n { i } for j in n.x { j } for k in n.keys() { k } }", None),
        ("on f(n: Int) { for i in [1, 2] { i } }", FOR),
        ("on f(n: Int) { for [loop_bound(2)] i in [1, 2] { i } }", None),
        ("on f(n: List) { for i in n |> sort() { i } }", FOR),
        ("on f(n: Int) { while n > 0 { n -= 1 } }", WHILE),
        ("on f(n: Int) { while [loop_bound(9)] n > 0 { n -= 1 } }", WHILE),
        ("on f(n: Int) { if n < 2 { return 1 } n * f(n - 1) }", None),
        ("on f(n: Int) { if n < 2 { return 1 } n * f(n) }", RECURSION),
        ("on f(n: Int) { f(n - 1) }", RECURSION),
        ("on f(n: Int) { if f(n) > 0 { 1 } else { 0 } }", RECURSION),
        ("on f(n: Int) { if n > 0 { [1] |> map(x => f(n)) } }", RECURSION),
        ("on f(n: Int) { if n > 0 { n = n + 2 f(n - 1) } }", RECURSION),
        ("on f(m: Int, n: Int) { if m > 0 { f(m - 1, f(m, n - 1)) } else { n } }", None),
        (
            "on f(m: Int, n: Int) { if m > 0 { f(m - 1, n + 9) } else { f(m + 9, n - 1) } }",
            RECURSION,
        ),
        ("on f(n: Int) { if n > 0 { g(n - 1) } } on g(n: Int) { if n > 0 { f(n - 1) } }", None),
        ("on f(n: Int) { if n > 0 { g(n) } } on g(n: Int) { if n > 0 { f(n) } }", RECURSION),
        ('on f(n: Int) { if n > 0 { delegate("A", "f", n) } }', RECURSION),
        ('on f(n: String) { if n != "" { delegate("A", n, n) } }', RECURSION),
        ("on f(n: Int) { n } on count(n: Int) { [n] |> count(i => i > 0) }", None),
    ],
)
def test_termination(body: str, reason: str | None) -> None:
    found = about(report_on(machine("a -> b", body)), "terminat") or about(
        report_on(machine("a -> b", body)), "handler `f`:"
    )
    if reason is None:
        count = body.count("on ")
        assert found == [f"P termination: all {count} handlers structurally terminate"]
    else:
        assert f"W handler `f`: {reason}" in found + about(
            report_on(machine("a -> b", body)), "handler `f`:"
        )


BUMP = "on f(i: String) { bump(i) } on bump(i: String)"


@pytest.mark.parametrize(
    ("sections", "doubtful"),
    [
        (
            f'state m {{ a -> a {{ effect {{ f(_id) }} }} }} {BUMP} {{ transition(i, "a") }}',
            ["f", "bump", "effect of a -> a"],
        ),
        (
            f'state m {{ a -> b {{ guard {{ f(_id) }} }} }} {BUMP} {{ transition(i, "b") true }}',
            ["f", "bump", "guard of a -> b"],
        ),
        (
            f"state m {{ a -> b c -> d {{ effect {{ f(_id) }} }} }} {BUMP} {{ transition(i, i) }}",
            ["f", "bump", "effect of c -> d"],
        ),
        (
            'state m { initial: x * -> x { effect { transition(_id, "x") } } }'
            ' on f(i: String) { transition(i, "x") }',
            ["effect of * -> x"],
        ),
        (
            "memory { s: Map<String, Int> [persistent] invariant f(1) } state m { a -> b }"
            ' on f(n: Int) { s.set("k", n) true }',
            ["f", "invariant of s"],
        ),
        ("state m { a -> b } on count(n: Int) { if n > 0 { count(n) } }", ["count"]),
        (
            "state m { a -> a { guard { f(_id) } effect { g(_id) } } }"
            ' on f(i: String) { i != "" } on g(i: String) { transition(i, "b") }',
            [],
        ),
        (
            "state m { initial: a a -> b { effect { next(_id) } } b -> c }"
            ' on next(i: String) { transition(i, "c") } on f(i: String) { transition(i, "b") }',
            [],
        ),
    ],
)
def test_recursion_through_what_runs_without_a_call(sections: str, doubtful: list[str]) -> None:
    """A transition runs guards and effects, a write runs invariants: a circle through these ends in
    a stack overflow, too."""
    found = about(report_on(f"cell A {{ {sections} }}"), "terminat") + about(
        report_on(f"cell A {{ {sections} }}"), RECURSION
    )
    assert {line for line in found if line.startswith("W")} == {
        f"W handler `{name}`: {RECURSION}" for name in doubtful
    }
    assert any(line.startswith("P termination") for line in found) == (not doubtful)


@pytest.mark.parametrize(
    "program",
    [
        machine("a -> a { effect { f(_id) } }", f'{BUMP} {{ transition(i, "a") }}'),
        machine("a -> b { guard { f(_id) } }", f'{BUMP} {{ transition(i, "b") true }}'),
        machine("a -> b { guard { f(_id) } }", 'on f(i: String) { transition(i, "b") }'),
    ],
)
def test_such_a_circle_is_a_stack_overflow_at_run_time(program: str) -> None:
    loaded = load_text(program).program
    assert loaded is not None
    spec = load_in_memory(generate(loaded, Manifest(), runtime="somart"))
    with App(spec, StandaloneEngine(None)) as app, pytest.raises(SomaError) as failure:
        app.call("A", "f", ("1",))
    assert failure.value.message == "stack overflow (recursion depth exceeded)"


def test_a_handler_that_calls_an_endless_one_elsewhere_is_no_pass() -> None:
    program = machine("a -> b", "on f() { spin() }") + "cell B { on spin() { while true { 1 } } }"
    line = "W handler `f`: calls `B.spin`, which may not terminate"
    assert line in lines(report_on(program))
    assert not about(report_on(program), "structurally")


def test_timers_are_examined_too() -> None:
    found = lines(report_on(machine("a -> b", "every 5min { while true { 1 } }")))
    assert f"W handler `every 5min`: {WHILE}" in found


def test_signals_that_cells_send_each_other_for_ever() -> None:
    program = machine("a -> b", "on ping(n: Int) { if n > 0 { emit pong(n) } }") + (
        "cell B { on pong(n: Int) { if n > 0 { emit ping(n) } } }"
    )
    assert f"W handler `ping`: {RECURSION}" in lines(report_on(program))


def test_doubtful_calls_have_a_place() -> None:
    body = (
        "on f(id: String, t: String) { transition(id, t) }\n"
        'on g(id: String) { transition(id, "z") }\n'
        'on h(id: String) { transition(id, "a") }'
    )
    report = report_on(machine("initial: a a -> b", body))
    found = [(d.span.line if d.span else 0, d.message) for d in report.diagnostics]
    assert found == [
        (3, "`f`: the target is computed: whether an arrow leads there is seen at run time"),
        (4, "`g`: 'z' is no state of 'm'"),
        (5, "`h`: no arrow leads to 'a'"),
    ]
    assert not any(d.counted for d in report.diagnostics)


def test_nothing_may_rest_when_final_is_empty() -> None:
    report = report_on(machine("initial: a a -> b"), "[verify]\nfinal = []")
    assert "F deadlock states: [b]" in lines(report)
    assert report.verdicts[0].counter_example == ("a", "b")


def test_a_final_state_that_is_gone_lets_no_other_be_one() -> None:
    """Not even when it was the only one: the sinks that are left are none of the user's."""
    report = report_on(machine("initial: a a -> b"), '[verify]\nfinal = ["done"]')
    assert "F deadlock states: [b]" in lines(report)
    assert not report.passed


def test_a_computed_target_in_another_cell_ends_isolation() -> None:
    program = machine("a -> b", 'on f() { transition(1, "b") }')
    foreign = "cell B { on g(t: String) { transition(1, t) } }"
    found = about(report_on(program + foreign), "think-isolated")
    assert found[0].startswith("W NOT think-isolated: handler `B.g` uses a dynamic (computed)")
    literal = about(report_on(program + 'cell B { on g() { transition(1, "b") } }'), "isolated")
    assert literal[0].endswith("(2 handlers, 2 literal transitions, 0 dynamic)")
