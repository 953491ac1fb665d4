"""What transactions on etcd compare and write, and that each is applied once at most."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from fake_etcd import FakeEtcd, wire
from hypothesis import given, settings
from hypothesis import strategies as st

from somart.consensus.proposal import APPENDED, Key, Proposal, Row, TransactionId
from somart.consensus.state import DEPOSED
from somart.engines.etcd.mirror import Lane, Mirror, Plan, Verdict, too_large
from somart.engines.strong import StrongTables
from somart.memory.table import Table
from somart.timers import Tick

PREFIX = "/soma/made/"
FEW = settings(max_examples=60, deadline=None)


def row(value: int) -> Row:
    return str(value), "int", 0, 0


def proposal(
    writes: tuple[tuple[str, Key, Row | None], ...],
    keys: tuple[tuple[str, Key], ...] = (),
    shapes: tuple[str, ...] = (),
    tables: tuple[str, ...] = (),
    due: tuple[str, int, int] | None = None,
) -> Proposal:
    return Proposal(TransactionId("", 0, 0), 0, 0, keys, shapes, tables, writes, due)


@dataclass
class Member:
    """A node's mirror, which hears of events when it is told to."""

    etcd: FakeEtcd
    name: str = "n"
    late: bool = False
    faults: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        tables = StrongTables()
        for name, log in (("C.slot", False), ("C.slot#log", True)):
            tables.add(Table(name, log=log))
        self.mirror = Mirror(PREFIX, tables, self.faults.append)
        self.lane = Lane(f"!lane/{self.name}")
        self.number = 0
        self._waiting: list[list[dict[str, Any]]] = []
        self.etcd.watchers.append(self._hear)

    def _hear(self, events: list[dict[str, Any]]) -> None:
        mine = [event for event in events if event["kv"]["key"] not in self._hidden()]
        self._waiting.append(mine)
        if not self.late:
            self.catch_up()

    def _hidden(self) -> set[str]:
        names = [f"{PREFIX}!lane/{name}" for name in ("n", "a", "b")]
        return {wire(name) for name in (*names, f"{PREFIX}!leader")}

    def catch_up(self) -> None:
        for events in self._waiting:
            self.mirror.apply(events)
        self._waiting = []

    def request(self, wanted: Proposal) -> tuple[Plan, int, dict[str, Any]]:
        self.number += 1
        plan = self.mirror.plan(wanted, f"{self.name}.{self.number}")
        return plan, self.number, self.mirror.message(plan, self.lane, self.number)

    def send(self, wanted: Proposal) -> Verdict:
        plan, number, message = self.request(wanted)
        return self.mirror.verdict(plan, self.lane, number, self.etcd.transact(message))

    def value(self, key: str) -> Any:
        entry = self.mirror.tables.tables["C.slot"].entries.get(key)
        return None if entry is None else entry.value

    def add(self, key: str) -> Verdict:
        wanted = ((self.value(key) or 0) + 1,)
        return self.send(proposal((("C.slot", key, row(*wanted)),), (("C.slot", key),)))


Step = tuple[str, str, str]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b"]),
        st.sampled_from(["add", "add", "delete", "hear", "note", "create"]),
        st.sampled_from(["x", "y"]),
    ),
    max_size=30,
)


@FEW
@given(STEPS)
def test_members_agree_and_no_addition_is_lost(steps: list[Step]) -> None:
    etcd = FakeEtcd()
    members = {name: Member(etcd, name, late=True) for name in ("a", "b")}
    model: dict[str, int] = {}
    notes = 0
    for who, what, key in steps:
        member = members[who]
        if what == "hear":
            member.catch_up()
        elif what == "add":
            if member.add(key).applied:
                model[key] = model.get(key, 0) + 1
        elif what == "delete":
            wanted = proposal((("C.slot", key, None),), (("C.slot", key),))
            if member.send(wanted).applied:
                model.pop(key, None)
        elif what == "create":  # if it seems to be the first one
            entries = member.mirror.tables.tables["C.slot"].entries
            if not entries:
                wanted = proposal((("C.slot", key, row(100)),), shapes=("C.slot",))
                if member.send(wanted).applied:
                    assert not model, "a phantom"
                    model[key] = 100
        else:
            notes += member.send(proposal((("C.slot#log", APPENDED, row(notes)),))).applied
    for member in members.values():
        member.catch_up()
        assert {key: member.value(key) for key in ("x", "y") if member.value(key)} == model
        log = member.mirror.tables.tables["C.slot#log"]
        assert [entry.value for _, entry in sorted(log.entries.items())] == list(range(notes))
    loaded = Member(etcd, "late")
    loaded.mirror.load(
        [pair for key, pair in etcd.pairs.items() if key not in loaded._hidden()], etcd.revision
    )
    assert {key: loaded.value(key) for key in ("x", "y") if loaded.value(key)} == model


@FEW
@given(st.lists(st.sampled_from(["send", "repeat", "other"]), min_size=1, max_size=8))
def test_a_request_that_is_sent_again_and_again_is_applied_once(events: list[str]) -> None:
    etcd = FakeEtcd()
    member, other = Member(etcd, "a"), Member(etcd, "b")
    plan, number, message = member.request(proposal((("C.slot", "x", row(1)),)))
    verdict = Verdict()
    for event in events:
        if event == "other":
            other.send(proposal((("C.slot", "y", row(5)),)))
        else:
            verdict = member.mirror.verdict(plan, member.lane, number, etcd.transact(message))
            assert verdict.applied
    if verdict.applied:
        later = member.send(proposal((("C.slot", "x", row(2)),)))
        assert later.applied
        assert etcd.transact(message)["succeeded"] is False  # a straggler comes too late
        assert member.value("x") == 2


def test_a_request_of_before_moves_the_lane_under_the_next_one() -> None:
    etcd = FakeEtcd()
    member = Member(etcd, "a")
    _, _, straggler = member.request(proposal((("C.slot", "x", row(1)),)))
    plan, number, message = member.request(proposal((("C.slot", "y", row(2)),)))
    etcd.transact(straggler)
    verdict = member.mirror.verdict(plan, member.lane, number, etcd.transact(message))
    assert (verdict.again, verdict.applied) == (True, False)
    message = member.mirror.message(plan, member.lane, number)
    assert member.mirror.verdict(plan, member.lane, number, etcd.transact(message)).applied
    assert (member.value("x"), member.value("y")) == (1, 2)


def test_a_lane_that_has_vanished_says_so() -> None:
    etcd = FakeEtcd()
    member = Member(etcd, "a")
    assert member.add("x").applied
    del etcd.pairs[wire(f"{PREFIX}!lane/a")]
    verdict = member.add("x")
    assert (verdict.lost, verdict.again, verdict.applied) == (True, False, False)


def test_a_conflict_names_the_revision_to_wait_for() -> None:
    etcd = FakeEtcd()
    slow, quick = Member(etcd, "a", late=True), Member(etcd, "b")
    assert quick.add("x").applied
    at = etcd.revision
    verdict = slow.add("x")
    assert (verdict.refused, verdict.revision) == ("conflict", at)
    slow.catch_up()
    assert slow.mirror.applied == at
    assert slow.add("x").applied


def test_who_overwrites_what_was_deleted_meanwhile_runs_again() -> None:
    etcd = FakeEtcd()
    slow, quick = Member(etcd, "a"), Member(etcd, "b")
    quick.add("x")
    slow.late = True
    quick.send(proposal((("C.slot", "x", None),)))
    assert slow.send(proposal((("C.slot", "x", row(7)),))).refused == "conflict"


def test_ticks_of_another_term_or_a_served_due_time_are_refused() -> None:
    etcd = FakeEtcd()
    a, b = Member(etcd, "a"), Member(etcd, "b")
    leader = {"request_put": {"key": wire(f"{PREFIX}!leader"), "value": wire("a")}}
    etcd.transact({"compare": [], "success": [leader]})
    term = etcd.revision
    write = (("C.slot", "t", row(1)),)
    assert a.send(proposal(write, due=Tick("S", 100, term))).applied
    assert b.mirror.ticks == {"S": (100, term)}
    plan, _, _ = b.request(proposal(write, due=Tick("S", 100, term)))
    assert plan.deposed
    assert b.send(proposal(write, due=Tick("S", 200, term - 1))).refused == DEPOSED
    b.late = True
    assert a.send(proposal(write, due=Tick("S", 200, term))).applied
    assert b.send(proposal(write, due=Tick("S", 200, term))).refused == DEPOSED
    assert b.send(proposal(write, due=Tick("S", 300, term))).refused == "conflict"


def test_damaged_rows_are_told_and_count_as_absent() -> None:
    etcd = FakeEtcd()
    member = Member(etcd)
    for value in ("", "{", '["x","int",0,0]', '["1","colour",0,0]'):
        put = {"key": wire(f"{PREFIX}C.slot/x"), "value": wire(value)}
        etcd.transact({"compare": [], "success": [{"request_put": put}]})
        assert member.value("x") is None
    assert len(member.faults) == 4
    assert member.add("x").applied
    assert member.value("x") == 1


def test_plans_beyond_the_limits_say_so() -> None:
    member = Member(FakeEtcd())

    def reason(*writes: tuple[str, Key, Row | None]) -> str:
        return too_large(member.mirror.plan(proposal(writes), "r"))

    assert reason(*(("C.slot", f"k{n}", row(n)) for n in range(124))) == ""
    assert "etcd takes 128" in reason(*(("C.slot", f"k{n}", row(n)) for n in range(125)))
    assert reason(("C.slot", "k", ("x" * 1_000_000, "string", 0, 0))) == ""
    assert "1400000" in reason(("C.slot", "k", ("x" * 1_400_000, "string", 0, 0)))


def test_loading_again_keeps_what_is_unchanged_and_drops_what_has_gone() -> None:
    etcd = FakeEtcd()
    member = Member(etcd, "a")
    member.add("x")
    member.add("y")
    before = member.mirror.tables.tables["C.slot"].entries["x"]
    pairs = [p for key, p in etcd.pairs.items() if key != wire(f"{PREFIX}C.slot/y")]
    member.mirror.load([p for p in pairs if p["key"] not in member._hidden()], 50)
    assert member.value("y") is None
    assert member.mirror.tables.tables["C.slot"].entries["x"] is before
    assert member.mirror.applied == 50
