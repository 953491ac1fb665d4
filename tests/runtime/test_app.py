"""Calls from outside: one transaction each, together or not at all."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from somart import App, SomaError

Start = Callable[..., App]


def test_a_call_is_durable_when_it_returns(start: Start) -> None:
    app = start()
    assert app.call("Gauge", "feed", ["t1", 4]) == 4
    assert app.call("Gauge", "feed", ["t1", 5]) == 9
    app.close()
    assert start().call("Gauge", "get", ["t1"]) == 9


def test_an_error_undoes_writes_transitions_ids_and_what_receivers_wrote(start: Start) -> None:
    app = start()
    with pytest.raises(SomaError, match=r"^require failed: no: constraint violated$"):
        app.call("Gauge", "feed_and_fail", ["t1", 4])
    assert app.call("Gauge", "get", ["t1"]) is None
    assert app.call("Gauge", "status", ["t1"]) == ["dark", ["lit", "broken"]]
    assert app.call("Siren", "all") == []
    assert app.call("Gauge", "ident") == 1
    assert app.call("Gauge", "ident") == 2


@pytest.mark.parametrize(
    ("cell", "name", "args", "message"),
    [
        ("Gauge", "nope", [], "no handler found for signal 'nope' in cell 'Gauge'"),
        ("Nope", "feed", [], "no handler found for signal 'feed' in cell 'Nope'"),
        ("Gauge", "feed", [1], "feed() expected 2 arguments, got 1"),
        ("Gauge", "get", [], "get() expected 1 argument, got 0"),
        (
            "Gauge",
            "ask",
            ["Siren", "nope"],
            "delegate error: no handler found for signal 'nope' in cell 'Siren'",
        ),
        ("Gauge", "ask", ["Siren", "alarm"], "delegate error: alarm() expected 1 argument, got 0"),
        (
            "Gauge",
            "light",
            ["t", "dark"],
            "require failed: invalid transition: dark → dark. Current state: 'dark'. "
            "Valid targets: [lit, broken]",
        ),
        (
            "Gauge",
            "light",
            ["0", "lit"],
            "require failed: guard failed for transition dark → lit: condition is false",
        ),
        ("Gauge", "light", ["odd", "lit"], "guard must return Bool, got Int"),
    ],
)
def test_errors_name_what_is_wrong(
    start: Start, cell: str, name: str, args: list[object], message: str
) -> None:
    with pytest.raises(SomaError) as caught:
        start(durable=False).call(cell, name, args)
    assert str(caught.value) == message


def test_delegate_and_emit_reach_other_cells(start: Start) -> None:
    app = start(durable=False)
    app.call("Gauge", "shout", ["a"])
    app.call("Gauge", "shout", ["b"])
    assert app.call("Gauge", "ask", ["Siren", "all"]) == ["a", "b"]


def test_a_transition_runs_its_effect_and_reports(start: Start) -> None:
    app = start(durable=False)
    assert app.call("Gauge", "light", [7, "lit"]) == {"id": "7", "from": "dark", "to": "lit"}
    assert app.call("Gauge", "peek", ["lit"]) == "7"
    assert app.call("Gauge", "status", ["7"]) == ["lit", ["dark", "broken"]]
    assert app.call("Siren", "state") == "dark"  # the only machine of the program


def test_invariants_hold_before_the_commit(start: Start) -> None:
    app = start()
    for number in range(5):
        app.call("Gauge", "feed", [number, 1])
    with pytest.raises(SomaError) as caught:
        app.call("Gauge", "feed", ["more", 1])
    assert str(caught.value) == (
        "require failed: memory invariant violated on 'seen' after set(\"more\")"
    )
    assert app.call("Gauge", "keys") == ["0", "1", "2", "3", "4"]


def test_a_second_owner_of_the_data_directory_is_refused(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("somart.limits.LOCK_WAIT_MS", 10)
    start()
    with pytest.raises(SomaError, match="is in use by another process"):
        start()


def test_handlers_that_wait_work_without_a_loop_of_the_callers(start: Start) -> None:
    app = start()
    assert app.call("Siren", "slow_feed", ["t", 4]) == 4
    assert app.call("Gauge", "get", ["t"]) == 4
