"""What of etcd is known on this node, and transactions as etcd takes them. Pure: nothing waits.

Keys under the prefix of the program:

- `{table}/{key}`: a row, `[text, kind, written, expires]` as JSON. Records of a log are named by
  who appended them; their order is that of the revisions that created them.
- `#clock`: put by every transaction, so that its revision is that of the last one.
- `#rows/{table}`, `#keys/{table}`: put when rows, or the set of keys, of a table change. A handler
  that read all of a table compares their revisions: no phantoms.
- `#tick/{schedule}`: the last due time that was served, and under which leadership.
- `!…`: leadership, nodes, blocks of ids, lanes; not mirrored.

A *lane* is a key that one transaction at a time of a node goes through. Each puts its number there
and compares the lane's last revision, so the same transaction can be sent again and again: it is
applied once, and the lane says whether it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from ...consensus.proposal import APPENDED, Key, Proposal, Row
from ...consensus.state import DEPOSED
from ...errors import SomaError
from ...timers import Tick
from ..strong import StrongTables
from .client import Json, from_wire, to_wire

MAX_OPERATIONS = 128
"""etcd's `--max-txn-ops`, as long as nobody changes it."""
MAX_BYTES = 1_400_000
"""A little below etcd's `--max-request-bytes` (1.5 MiB), which counts the framing, too."""
OWN_OPERATIONS = 2
"""What every transaction has beside its own: the lane and the clock."""

GRACE_MS = 60_000

_CLOCK, _ROWS, _KEYS, _TICK = "#clock", "#rows/", "#keys/", "#tick/"
LEADER = "!leader"
_RECORD_BITS = 20
_row_decoder = msgspec.json.Decoder(tuple[str, str, int, int])


@dataclass(slots=True)
class Lane:
    """One way for transactions, one at a time. `revision`: of its last one, 0: there was none."""

    name: str
    lease: int = 0
    revision: int = 0
    number: int = 0


@dataclass(slots=True)
class Verdict:
    """What etcd has said about a transaction."""

    applied: bool = False
    revision: int = 0
    """To be mirrored before anybody goes on."""
    refused: str = ""
    again: bool = False
    """The lane was not where this node had thought: send it once more."""
    lost: bool = False
    """The lane has vanished with its lease."""
    seen: str = ""
    """The number of the transaction that has moved the lane."""


@dataclass(slots=True)
class Plan:
    """A transaction with everything that it depends on, as it was when it was planned."""

    compares: list[Json] = field(default_factory=list)
    operations: list[Json] = field(default_factory=list)
    due: Tick | None = None
    deposed: bool = False
    """A tick that was served already."""
    bytes: int = 0


class Mirror:
    """The rows in memory, with the revisions at which etcd has them."""

    def __init__(self, prefix: str, tables: StrongTables, fault: Callable[[str], None]) -> None:
        self.prefix = prefix
        self.tables = tables
        self.applied = 0
        """All changes up to this revision are here."""
        self.ticks: dict[str, tuple[int, int]] = {}
        self._fault = fault
        self._rows: dict[str, dict[Key, int]] = {}
        self._marks: dict[str, int] = {}
        self._expiry: dict[str, dict[Key, int]] = {}
        self._names: dict[tuple[str, Key], str] = {}
        self._records: dict[str, Key] = {}

    @property
    def first(self) -> str:
        """The first key that is mirrored, for the wire."""
        return to_wire(self.prefix + "#")

    @property
    def last(self) -> str:
        """The key after the last one."""
        return to_wire(self.prefix[:-1] + chr(ord(self.prefix[-1]) + 1))

    def wire(self, name: str) -> str:
        """A key of the program."""
        return to_wire(self.prefix + name)

    # --- what etcd tells -------------------------------------------------------------------------

    def load(self, pairs: Iterable[Json], revision: int) -> None:
        """Takes over all pairs of a revision; what is not among them is gone."""
        found = {from_wire(pair["key"])[len(self.prefix) :]: pair for pair in pairs}
        for table, rows in list(self._rows.items()):
            for key in list(rows):
                if self._name(table, key) not in found:
                    self._drop(table, self._name(table, key), revision)
        self._marks = {name: at for name, at in self._marks.items() if name in found}
        self.ticks = {name: at for name, at in self.ticks.items() if _TICK + name in found}
        for name, pair in sorted(found.items(), key=lambda item: int(item[1]["mod_revision"])):
            self._put(name, pair)
        self.applied = revision

    def doubt(self) -> None:
        """No revision that is known means what it meant: the next `load` replaces every row."""
        self.applied = 0
        for rows in self._rows.values():
            for key in rows:
                rows[key] = -1

    def apply(self, events: Iterable[Json]) -> None:
        """Takes over the events of a watch, in their order."""
        for event in events:
            pair = event["kv"]
            name = from_wire(pair["key"])[len(self.prefix) :]
            revision = int(pair["mod_revision"])
            if event.get("type") != "DELETE":
                self._put(name, pair)
            elif _is_mark(name):
                self._marks.pop(name, None)
                self.ticks.pop(name.removeprefix(_TICK), None)
            else:
                table, _, _ = name.partition("/")
                self._drop(table, name, revision)
            self.applied = max(self.applied, revision)

    def _put(self, name: str, pair: Json) -> None:
        revision = int(pair["mod_revision"])
        if _is_mark(name):
            self._marks[name] = revision
            if name.startswith(_TICK):
                due, term = msgspec.json.decode(from_wire(pair["value"]), type=tuple[int, int])
                self.ticks[name.removeprefix(_TICK)] = due, term
            return
        table, _, word = name.partition("/")
        key = self._local(table, name, word, int(pair["create_revision"]))
        known = self._rows.setdefault(table, {})
        if known.get(key) == revision:
            return
        known[key] = revision
        try:
            row = _row_decoder.decode(from_wire(pair.get("value", "")))
            self.tables.write(table, key, row, revision)
            if row[3]:
                self._expiry.setdefault(table, {})[key] = row[3]
        except (msgspec.DecodeError, UnicodeDecodeError, SomaError) as error:
            self._fault(f"etcd: '{self.prefix}{name}' is damaged, and counts as absent: {error}")
            self.tables.write(table, key, None, revision)

    def _drop(self, table: str, name: str, revision: int) -> None:
        key = self._records.pop(name, None)
        if key is None:
            key = name[len(table) + 1 :]
        self._names.pop((table, key), None)
        self._rows.get(table, {}).pop(key, None)
        self._expiry.get(table, {}).pop(key, None)
        self.tables.write(table, key, None, revision)

    def _local(self, table: str, name: str, word: str, created: int) -> Key:
        """The key in this node's table: of a log the order of its creation."""
        found = self.tables.tables.get(table)
        if found is None or not found.log:
            return word
        index = word.rpartition(".")[2]
        key = (created << _RECORD_BITS) | (int(index) if index.isdigit() else 0)
        self._records[name] = key
        self._names[table, key] = name
        return key

    def _name(self, table: str, key: Key) -> str:
        return self._names.get((table, key)) or f"{table}/{key}"

    def overdue(self, table: str, now: int) -> list[Key]:
        """Keys whose rows are in etcd though their time is over. Clocks of nodes may differ: a row
        gets a grace."""
        late = self._expiry.get(table, {})
        return [key for key, expires in late.items() if expires + GRACE_MS <= now]

    # --- what etcd is told -----------------------------------------------------------------------

    def plan(self, proposal: Proposal, record: str) -> Plan:
        """A transaction on what is here now; `record` names the log records that it appends."""
        plan = Plan(due=proposal.due)
        for table, key in proposal.keys:
            at = self._rows.get(table, {}).get(key, 0)
            plan.compares.append(self._unchanged(self._name(table, key), at))
        for table in proposal.shapes:
            plan.compares.append(self._unchanged(_KEYS + table))
        for table in proposal.tables:
            plan.compares.append(self._unchanged(_ROWS + table))
        marks: dict[str, None] = {}
        read = set(proposal.keys)
        for index, (table, key, row) in enumerate(proposal.writes):
            marks[_ROWS + table] = None
            if self._write(plan, table, key, row, f"{record}.{index:04}", (table, key) in read):
                marks[_KEYS + table] = None
        if proposal.due is not None:
            self._tick(plan, proposal.due)
        for mark in marks:
            plan.operations.append(_put(self.wire(mark), ""))
        return plan

    def _write(
        self, plan: Plan, table: str, key: Key, row: Row | None, record: str, read: bool
    ) -> bool:
        """Adds a write; gives whether the set of keys may change."""
        name = f"{table}/{record}" if key == APPENDED else self._name(table, key)
        plan.bytes += len(name.encode())
        if row is None:
            plan.operations.append({"request_delete_range": {"key": self.wire(name)}})
            return True
        value = msgspec.json.encode(row).decode()
        plan.bytes += len(value.encode())
        plan.operations.append(_put(self.wire(name), to_wire(value)))
        present = key in self.tables.tables[table].entries
        if present and not read:  # if somebody deletes it meanwhile, the set of keys changes
            there = {"key": self.wire(name), "target": "CREATE", "result": "GREATER"}
            plan.compares.append({**there, "create_revision": "0"})
        return not present

    def _tick(self, plan: Plan, tick: Tick) -> None:
        """A tick is refused when another leader has come, or the tick was served."""
        last = self.ticks.get(tick.schedule, (0, 0))[0]
        plan.deposed = tick.due <= last or tick.since not in (-1, last)
        leader = {"key": self.wire(LEADER), "target": "CREATE", "result": "EQUAL"}
        plan.compares.append({**leader, "create_revision": str(tick.term)})
        name = _TICK + tick.schedule
        plan.compares.append(self._unchanged(name))
        value = msgspec.json.encode((tick.due, tick.term)).decode()
        plan.operations.append(_put(self.wire(name), to_wire(value)))

    def _unchanged(self, name: str, revision: int | None = None) -> Json:
        at = self._marks.get(name, 0) if revision is None else revision
        return _same_revision(self.wire(name), at)

    def message(self, plan: Plan, lane: Lane, number: int) -> Json:
        """The request for a plan on a lane."""
        wire = self.wire(lane.name)
        failure = [_get(wire), _get(self.wire(_CLOCK))]
        if plan.due is not None:
            failure += [_get(self.wire(LEADER)), _get(self.wire(_TICK + plan.due.schedule))]
        own = [_put(wire, to_wire(str(number)), lane.lease), _put(self.wire(_CLOCK), "")]
        return {
            "compare": [_same_revision(wire, lane.revision), *plan.compares],
            "success": own + plan.operations,
            "failure": [{"request_range": each} for each in failure],
        }

    def verdict(self, plan: Plan, lane: Lane, number: int, answer: Json) -> Verdict:
        """What an answer means, and where the lane is now."""
        if answer.get("succeeded"):
            lane.revision = int(answer["header"]["revision"])
            return Verdict(applied=True, revision=lane.revision)
        ranges = [each["response_range"].get("kvs", []) for each in answer["responses"]]
        seen = ranges[0][0] if ranges[0] else None
        at = 0 if seen is None else int(seen["mod_revision"])
        last = "" if seen is None else from_wire(seen["value"])
        if last == str(number):
            lane.revision = at
            return Verdict(applied=True, revision=at)
        if at != lane.revision:
            lost, lane.revision = at == 0, at
            return Verdict(again=not lost, lost=lost, seen=last)
        clock = int(ranges[1][0]["mod_revision"]) if ranges[1] else 0
        refused = "conflict"
        if plan.due is not None:
            refused = _judge_tick(plan.due, ranges[2], ranges[3])
        return Verdict(revision=clock, refused=refused)


def _is_mark(name: str) -> bool:
    return name == _CLOCK or name.startswith((_ROWS, _KEYS, _TICK))


def _judge_tick(tick: Tick, leader: list[Json], last: list[Json]) -> str:
    if not leader or int(leader[0]["create_revision"]) != tick.term:
        return DEPOSED
    if last:
        served = msgspec.json.decode(from_wire(last[0]["value"]), type=tuple[int, int])
        if tick.due <= served[0]:
            return DEPOSED
    return "conflict"


def _same_revision(wire: str, revision: int) -> Json:
    return {"key": wire, "target": "MOD", "result": "EQUAL", "mod_revision": str(revision)}


def _put(wire: str, value: str, lease: int = 0) -> Json:
    found: dict[str, Any] = {"key": wire, "value": value}
    if lease:
        found["lease"] = str(lease)
    return {"request_put": found}


def _get(wire: str) -> Json:
    return {"key": wire}


def too_large(plan: Plan, most_operations: int = MAX_OPERATIONS) -> str:
    """Why etcd would not take a plan, empty if it would."""
    count = max(len(plan.compares), len(plan.operations)) + OWN_OPERATIONS
    if count > most_operations:
        return (
            f"the transaction is too large: it has {count} operations, "
            f"and etcd takes {most_operations} (its --max-txn-ops); work in smaller steps"
        )
    if plan.bytes > MAX_BYTES:
        return (
            f"the transaction is too large: it writes {plan.bytes} bytes, "
            f"and etcd takes {MAX_BYTES} (its --max-request-bytes); work in smaller steps"
        )
    return ""
