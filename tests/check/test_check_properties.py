"""Laws of the property algebra (system reference §1.2, §1.3)."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from somac.check import check
from somac.check.properties import BUILT_IN, PropertyTable, duration_text, property_table
from somac.frontend.diagnostics import Severity
from somac.frontend.load import load_text
from somac.manifest import Manifest

TABLE = PropertyTable({info.name: info for info in BUILT_IN})
NAMES = [info.name for info in BUILT_IN]


def messages(properties: str, extra: str = "") -> list[str]:
    loaded = load_text(f"{extra} cell A {{ memory {{ s: Map<String, Int> [{properties}] }} }}")
    assert loaded.program is not None
    found = check(loaded.program, Manifest())
    return [f"{d.severity.value}: {d.message}" for d in found]


def test_exclusion_is_symmetric_and_not_of_itself() -> None:
    for a, b in itertools.product(NAMES, repeat=2):
        assert TABLE.excludes(a, b) == TABLE.excludes(b, a)
        assert not TABLE.excludes(a, a)


@given(st.lists(st.sampled_from(NAMES), max_size=4, unique=True))
@settings(max_examples=60, deadline=None)
def test_a_set_has_a_contradiction_error_for_each_excluded_pair(names: list[str]) -> None:
    found = [m for m in messages(", ".join(names)) if "cannot coexist" in m]
    pairs = [p for p in itertools.combinations(names, 2) if TABLE.excludes(*p)]
    assert found == [
        f"error: contradictory memory properties on 's': {a} and {b} cannot coexist"
        for a, b in pairs
    ]


@given(st.lists(st.sampled_from(NAMES), max_size=4, unique=True))
@settings(max_examples=40, deadline=None)
def test_what_is_added_excludes_nothing(names: list[str]) -> None:
    for message in messages(", ".join(names)):
        if message.startswith("note:"):
            added = message.split("implies '")[1].split("'")[0]
            assert not any(TABLE.excludes(added, name) for name in names)


def test_the_consequences_that_the_reference_lists() -> None:
    assert [m.split(":")[0] for m in messages("ephemeral, retain(7years)")] == ["error", "error"]
    assert "implies 'persistent'" in messages("ephemeral, replicated(3)")[0]
    kinds = [m.split(":")[0] for m in messages("immutable, evict(lru)")]
    assert kinds == ["error", "note", "error"]
    assert "implies 'consistent'" in messages("immutable, local")[0]


def test_times_are_shown_in_the_largest_unit() -> None:
    assert messages("persistent, ttl(30d), retain(7years)") == [
        "error: invalid property combination on 's': ttl (30d) is shorter than retain"
        " (2556.75d); data would expire before retention period ends"
    ]


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [(0, "0ms"), (999, "999ms"), (1500, "1.5s"), (90_000, "1.5min"), (7_200_000, "2h")],
)
def test_duration_text(milliseconds: int, text: str) -> None:
    assert duration_text(milliseconds) == text


def test_a_program_replaces_a_built_in_property() -> None:
    own = "cell property persistent { rules { } }"
    assert messages("persistent, ephemeral", own) == [
        # what `ephemeral` says about `persistent` still holds: contradiction is symmetric
        "error: contradictory memory properties on 's': persistent and ephemeral cannot coexist"
    ]
    program = load_text(f"{own} cell A {{ }}").program
    assert program is not None
    assert property_table(program).by_name["persistent"].group is None


def test_errors_are_errors() -> None:
    loaded = load_text("cell A { memory { s: Int [persistent, ephemeral] } }")
    assert loaded.program is not None
    assert [d.severity for d in check(loaded.program, Manifest())] == [Severity.ERROR]
