"""The enforced properties of slots, each with its error text (spec 3 §1.2-1.5)."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest
from gauge_program import Clock

from somart import App, Cell, ProgramSpec, Prop, Slot, SlotDecl, SomaError, StandaloneEngine
from somart.memory.properties import PLAIN
from somart.transaction import CURRENT

SECRET = "attack at dawn"


def program(*props: Prop) -> ProgramSpec:
    """A program with one cell `C` with one slot `s`."""
    parts = {"soma_name": "C", "s": SlotDecl("s", "Map<String, Int>", props)}
    return ProgramSpec("p", (type("C", (Cell,), parts),))


Open = Callable[..., App]


@pytest.fixture
def opened(tmp_path: Path, clock: Clock) -> Iterator[Open]:
    apps: list[App] = []

    def open_app(*props: Prop, key_file: Path | None = None) -> App:
        engine = StandaloneEngine(tmp_path / "data", key_file=key_file, clock=clock)
        apps.append(App(program(*props), engine))
        return apps[-1]

    yield open_app
    for app in apps:
        app.close()


def do(app: App, action: Callable[[Slot], Any]) -> Any:
    """One transaction on the slot."""
    with app.transaction():
        return action(app.top_level[0].s)  # type: ignore[attr-defined]


def refused(app: App, action: Callable[[Slot], Any]) -> str:
    with pytest.raises(SomaError) as error:
        do(app, action)
    return str(error.value)


BOTH = pytest.mark.parametrize(
    "base", [Prop("ephemeral"), Prop("persistent")], ids=lambda p: p.name
)


@BOTH
def test_operations(opened: Open, base: Prop) -> None:
    app = opened(base)
    assert do(app, lambda s: (s.set(2, "two"), s.set("10", [1]), s.set(True, None))) == (
        None,
        None,
        None,
    )
    assert do(app, lambda s: s.keys()) == ["10", "2", "true"]
    assert do(app, lambda s: s.values()) == [[1], "two", None]
    assert do(app, lambda s: (s.get(2.0), s.get("2"), s.get("true"))) == (None, "two", None)
    assert do(app, lambda s: (s.has(True), s.has("x"), s.len())) == (True, False, 3)
    assert do(app, lambda s: (s.delete("10"), s.delete("10"), s.len())) == (True, False, 2)
    assert do(app, lambda s: s.list()) == ["two", None]
    do(app, lambda s: (s.append("a"), s.append(2)))
    assert do(app, lambda s: (s.list(), s.len(), s.keys())) == (["a", 2], 4, ["2", "true"])
    assert do(app, lambda s: s.as_map()) == {"2": "two", "true": None}
    do(app, lambda s: s.set("__hidden", 1))
    assert do(app, lambda s: (s.len(), s.keys(), s.get("__hidden"), s.has("__hidden"))) == (
        4,
        ["2", "true"],
        1,
        True,
    )
    assert do(app, lambda s: s.backend()) == {"ephemeral": "memory"}.get(base.name, "sqlite")


def test_everything_persistent_survives(opened: Open) -> None:
    app = opened(Prop("persistent"))
    do(app, lambda s: (s.set("b", {"z": 1, "a": 2**70}), s.set("a", 1.0), s.append("log")))
    do(app, lambda s: s.delete("a"))
    app.close()
    again = opened(Prop("persistent"))
    assert do(again, lambda s: (s.get("b"), s.keys(), s.list(), s.len())) == (
        {"z": 1, "a": 2**70},
        ["b"],
        ["log"],
        2,
    )
    assert list(do(again, lambda s: s.get("b"))) == ["z", "a"]
    do(again, lambda s: s.append("more"))
    assert do(again, lambda s: s.list()) == ["log", "more"]


@pytest.mark.parametrize("name", ["retain", "replicated"])
def test_implied_persistence_counts(opened: Open, name: str) -> None:
    app = opened(Prop("local"), Prop(name, 1))
    assert do(app, lambda s: s.backend()) == "sqlite"


def test_immutable(opened: Open) -> None:
    app = opened(Prop("immutable"))
    do(app, lambda s: s.set("k", 1))
    assert refused(app, lambda s: s.set("k", 2)) == (
        "require failed: slot 's' is immutable: set(\"k\") refused, the key exists"
    )
    assert do(app, lambda s: s.get("k")) == 1


@BOTH
def test_ttl(opened: Open, clock: Clock, base: Prop) -> None:
    app = opened(base, Prop("ttl", 1_000))
    do(app, lambda s: (s.set("a", 1), s.append("x")))
    clock.now += 600
    do(app, lambda s: s.set("b", 2))
    assert do(app, lambda s: (s.len(), s.get("a"), s.list())) == (3, 1, ["x"])
    clock.now += 400
    assert do(app, lambda s: (s.get("a"), s.has("a"), s.keys(), s.len())) == (None, False, ["b"], 1)
    do(app, lambda s: s.set("b", 3))  # a new life
    clock.now += 999
    assert do(app, lambda s: s.get("b")) == 3
    clock.now += 1
    assert do(app, lambda s: s.values()) == []


def test_a_key_that_is_set_often_leaves_no_heap_of_old_times(opened: Open, clock: Clock) -> None:
    app = opened(Prop("ttl", 1_000))
    for _ in range(500):
        clock.now += 1
        do(app, lambda s: s.set("hot", 1))
    table = app.engine.table("C.s", PLAIN)
    assert len(table._expiry) < 100
    clock.now += 1_000
    assert do(app, lambda s: s.len()) == 0


def test_expired_entries_leave_the_database(opened: Open, clock: Clock, tmp_path: Path) -> None:
    app = opened(Prop("persistent"), Prop("ttl", 1_000))
    do(app, lambda s: (s.set("a", 1), s.set("b", 1)))
    clock.now += 2_000
    app.engine.sweep()
    app.close()
    connection = apsw.Connection(str(tmp_path / "data" / "soma.db"))
    assert connection.execute("SELECT count(*) FROM C_s").fetchall() == [(0,)]
    connection.close()


def test_a_restart_does_not_bring_expired_entries_back(opened: Open, clock: Clock) -> None:
    app = opened(Prop("persistent"), Prop("ttl", 1_000))
    do(app, lambda s: s.set("a", 1))
    app.close()
    clock.now += 2_000
    assert do(opened(Prop("persistent"), Prop("ttl", 1_000)), lambda s: (s.len(), s.get("a"))) == (
        0,
        None,
    )


def test_retain(opened: Open, clock: Clock) -> None:
    app = opened(Prop("retain", 5_000))
    do(app, lambda s: s.set("k", 1))
    clock.now += 2_000
    assert refused(app, lambda s: s.delete("k")) == (
        "require failed: slot 's' retains its entries: delete(\"k\") refused for 3000 ms more"
    )
    clock.now += 3_000
    assert do(app, lambda s: s.delete("k")) is True


@BOTH
def test_capacity_without_eviction_refuses(opened: Open, base: Prop) -> None:
    app = opened(base, Prop("capacity", 2))
    do(app, lambda s: (s.set("a", 1), s.append("x"), s.set("a", 2)))
    for action, what in (
        (lambda s: s.set("b", 1), 'set("b")'),
        (lambda s: s.append(1), "append()"),
    ):
        assert refused(app, action) == (
            f"require failed: capacity(2) of slot 's' reached: {what} refused"
        )
    assert do(app, lambda s: s.len()) == 2


@pytest.mark.parametrize(("policy", "gone"), [("fifo", "a"), ("lru", "b"), ("lfu", "c")])
def test_eviction(opened: Open, policy: str, gone: str) -> None:
    app = opened(Prop("capacity", 3), Prop("evict", policy))
    do(app, lambda s: (s.set("a", 1), s.set("b", 1), s.set("c", 1)))
    for key in ("b", "b", "c", "a", "a"):
        do(app, lambda s, key=key: s.get(key))
    do(app, lambda s: s.set("d", 1))
    assert do(app, lambda s: s.keys()) == sorted({"a", "b", "c", "d"} - {gone})


def test_random_eviction_keeps_the_capacity_within_one_handler_too(opened: Open) -> None:
    app = opened(Prop("capacity", 3), Prop("evict", "random"))
    do(app, lambda s: [s.set(number, number) for number in range(20)])
    assert do(app, lambda s: s.len()) == 3
    assert do(app, lambda s: s.has("19"))


def test_what_is_retained_is_not_evicted(opened: Open, clock: Clock) -> None:
    app = opened(Prop("capacity", 1), Prop("evict", "fifo"), Prop("retain", 1_000))
    do(app, lambda s: s.set("a", 1))
    assert refused(app, lambda s: s.set("b", 1)).startswith("require failed: capacity(1)")
    clock.now += 1_000
    do(app, lambda s: s.set("b", 1))
    assert do(app, lambda s: s.keys()) == ["b"]


def test_sizes(opened: Open) -> None:
    limits = (Prop("max_key_bytes", 4), Prop("max_value_bytes", 20), Prop("max_element_bytes", 3))
    app = opened(*limits)
    do(app, lambda s: (s.set("éé", [100, "abc"]), s.append("abc")))
    assert refused(app, lambda s: s.set("ééé", 1)) == (
        "require failed: max_key_bytes(4) of slot 's' exceeded: 6 bytes"
    )
    assert refused(app, lambda s: s.set("k", "x" * 21)) == (
        "require failed: max_value_bytes(20) of slot 's' exceeded: 21 bytes"
    )
    for action in (lambda s: s.set("k", ["abcd"]), lambda s: s.append("abcd")):
        assert refused(app, action) == (
            "require failed: max_element_bytes(3) of slot 's' exceeded: 4 bytes"
        )


def test_versioned_slots_keep_what_was_replaced(opened: Open, tmp_path: Path) -> None:
    app = opened(Prop("persistent"), Prop("versioned"))
    do(app, lambda s: (s.set("k", 1), s.set("k", 2)))
    do(app, lambda s: s.delete("k"))
    app.close()
    connection = apsw.Connection(str(tmp_path / "data" / "soma.db"))
    rows = connection.execute('SELECT value FROM "C_s_versions"').fetchall()
    connection.close()
    assert [value for (value,) in rows] == [
        '{"key":"k","value":1,"replaced_at":1700000000000}',
        '{"key":"k","value":2,"replaced_at":1700000000000}',
    ]


def test_the_oldest_versions_go_first(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("somart.limits.VERSIONS_PER_SLOT", 3)
    app = opened(Prop("versioned"))
    do(app, lambda s: [s.set("k", number) for number in range(10)])
    kept = do(app, lambda s: CURRENT.get().entries(s._history))
    assert [entry.value["value"] for _, entry in kept] == [6, 7, 8]


# --- encryption ----------------------------------------------------------------------------------

ENCRYPTED = (Prop("persistent"), Prop("encrypted"))


def test_encrypted_slots_survive_and_leave_no_plain_text(opened: Open, tmp_path: Path) -> None:
    app = opened(*ENCRYPTED)
    do(app, lambda s: (s.set("k", {"plan": SECRET}), s.append(SECRET)))
    app.close()
    stored = b"".join(file.read_bytes() for file in (tmp_path / "data").iterdir())
    assert SECRET.encode() not in stored
    assert stat.S_IMODE((tmp_path / "data" / "soma.key").stat().st_mode) == 0o600
    assert do(opened(*ENCRYPTED), lambda s: (s.get("k"), s.list())) == ({"plan": SECRET}, [SECRET])


def test_a_wrong_key_is_refused_at_the_start(opened: Open, tmp_path: Path) -> None:
    opened(*ENCRYPTED).close()
    (tmp_path / "data" / "soma.key").write_bytes(b"x" * 32)
    with pytest.raises(SomaError, match=r"^wrong encryption key: '.*' does not open this data$"):
        opened(*ENCRYPTED)


def test_a_lost_key_is_not_replaced(opened: Open, tmp_path: Path) -> None:
    opened(*ENCRYPTED).close()
    (tmp_path / "data" / "soma.key").unlink()
    with pytest.raises(SomaError, match=r"^cannot read the key file"):
        opened(*ENCRYPTED)


def test_a_given_key_file_is_used_and_never_made(opened: Open, tmp_path: Path) -> None:
    key_file = tmp_path / "my.key"
    with pytest.raises(SomaError, match=r"^cannot read the key file"):
        opened(*ENCRYPTED, key_file=key_file)
    key_file.write_bytes(b"short")
    with pytest.raises(SomaError, match="must hold exactly 32 bytes"):
        opened(*ENCRYPTED, key_file=key_file)
    key_file.write_bytes(b"k" * 32)
    do(opened(*ENCRYPTED, key_file=key_file), lambda s: s.set("k", 1))


def test_records_cannot_be_moved_or_changed(opened: Open, tmp_path: Path) -> None:
    app = opened(*ENCRYPTED)
    do(app, lambda s: (s.set("a", 1), s.set("b", 2)))
    app.close()
    connection = apsw.Connection(str(tmp_path / "data" / "soma.db"))
    connection.execute("UPDATE C_s SET value = (SELECT value FROM C_s WHERE key = 'a')")
    connection.close()
    assert refused(opened(*ENCRYPTED), lambda s: s.get("b")) == "cannot decrypt a record of C.s"


# --- names ---------------------------------------------------------------------------------------


def test_names_never_meet_in_the_database(tmp_path: Path) -> None:
    persistent = (Prop("persistent"),)
    cells = []
    for cell, slot in (("A_b", "c"), ("A", "b_c"), ("A", "B_c"), ("soma", "meta")):
        parts = {"soma_name": cell, "s": SlotDecl(slot, "Map", persistent)}
        cells.append(type(f"P{len(cells)}", (Cell,), parts))
    for _ in range(2):
        app = App(ProgramSpec("p", tuple(cells)), StandaloneEngine(tmp_path))
        with app, app.transaction():
            for number, cell in enumerate(app.top_level):
                assert cell.s.get("k") in (None, number)  # type: ignore[attr-defined]
                cell.s.set("k", number)  # type: ignore[attr-defined]


def test_hostile_names_stay_names(tmp_path: Path) -> None:
    name = 'x"(key); DROP TABLE soma_meta; --'
    parts = {"soma_name": "C", "s": SlotDecl(name, "Map", (Prop("persistent"),))}
    spec = ProgramSpec("p", (type("C", (Cell,), parts),))
    for _ in range(2):
        with App(spec, StandaloneEngine(tmp_path)) as app, app.transaction():
            app.top_level[0].s.set('k"; DROP TABLE soma_meta; --', 1)  # type: ignore[attr-defined]


def test_a_key_without_a_stored_form_is_an_error(opened: Open) -> None:
    app = opened(Prop("persistent"))
    assert refused(app, lambda s: s.set("\ud800", 1)) == (
        "a key of a persistent slot must be valid Unicode text"
    )
    assert do(app, lambda s: s.keys()) == []
    do(app, lambda s: s.set("v", "\ud800"))
