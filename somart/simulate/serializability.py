"""Transactions judged by the cycles of what they saw of each other.

Kingsbury and Alvaro, Elle: Inferring Isolation Anomalies from Experimental Observations (2020),
after Adya (1999). A transaction is `("transact", steps)` and its result says what each step gave:

- lists: `("append", key, element)` and `("r", key)`, which gives the whole list;
- registers: `("w", key, value)` and `("r", key)`; a value is written to a key once at most, and
  whoever writes a key has read it before in the same transaction, as a transfer between accounts
  does. So the reads say in which order the values came.

A transaction of which nobody knows whether it happened counts once somebody has read what it wrote.
Its result may say what it had read, too: else the order of a register's values has a gap there.

Edges: ww, wr, rw between transactions, and `rt` when one had ended before the other began: a
serializable history without rt edges in its cycles, a strictly serializable one with them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from .graphs import shortest_cycle, strong_components
from .histories import FAIL, OK, Call, HistoryError, deadlines

WW, WR, RW, REAL_TIME = "ww", "wr", "rw", "rt"
Edges = dict[int, dict[int, str]]
_ORDER = (WW, WR, REAL_TIME, RW)


@dataclass(frozen=True, slots=True)
class Anomaly:
    """What no serial order explains: Adya's name, a sentence, and the transactions of a cycle."""

    name: str
    text: str
    cycle: tuple[Call, ...] = ()

    def __str__(self) -> str:
        return "\n".join([f"{self.name}: {self.text}", *(f"  {call}" for call in self.cycle)])


@dataclass(slots=True)
class _Evidence:
    """Who wrote which version of a key, in which order, and who has read it."""

    calls: Sequence[Call]
    happened: set[int] = field(default_factory=set)
    writers: dict[tuple[Any, Any], int] = field(default_factory=dict)
    aborted: dict[tuple[Any, Any], int] = field(default_factory=dict)
    middle: set[tuple[Any, Any]] = field(default_factory=set)
    """Versions that their own transaction has replaced."""
    order: dict[Any, list[Any]] = field(default_factory=lambda: defaultdict(list))
    readers: dict[tuple[Any, Any], list[int]] = field(default_factory=lambda: defaultdict(list))
    found: list[Anomaly] = field(default_factory=list)

    def anomaly(self, name: str, text: str, *numbers: int) -> None:
        self.found.append(Anomaly(name, text, tuple(self.calls[n] for n in numbers)))


def check_appends(calls: Iterable[Call], real_time: bool = True) -> list[Anomaly]:
    """Anomalies of transactions on lists; none: (strictly) serializable as far as was observed."""
    evidence = _collect(tuple(calls), "append")
    _list_orders(evidence)
    _aborted_and_middle_reads(evidence)
    return evidence.found + _cycles(evidence, real_time)


def check_registers(
    calls: Iterable[Call], initial: Any = None, real_time: bool = True
) -> list[Anomaly]:
    """Anomalies of transactions on registers that read what they write."""
    evidence = _collect(tuple(calls), "w")
    _register_orders(evidence, initial)
    _aborted_and_middle_reads(evidence)
    return evidence.found + _cycles(evidence, real_time)


# --- evidence ------------------------------------------------------------------------------------


def _collect(calls: tuple[Call, ...], write: str) -> _Evidence:
    evidence = _Evidence(calls)
    for number, call in enumerate(calls):
        if call.operation[0] != "transact":
            raise HistoryError(f"not a transaction: {call}")
        last: dict[Any, Any] = {}
        for step in call.operation[1]:
            if step[0] not in (write, "r"):
                raise HistoryError(f"no such step: {step[0]}")
            if step[0] == write:
                _, key, value = step
                known = evidence.aborted if call.outcome == FAIL else evidence.writers
                if known.setdefault((key, value), number) != number:
                    raise HistoryError(f"{value!r} is written to {key!r} twice")
                if key in last:
                    evidence.middle.add((key, last[key]))
                last[key] = value
    _happened(evidence)
    return evidence


def _happened(evidence: _Evidence) -> None:
    fresh = [number for number, call in enumerate(evidence.calls) if call.outcome == OK]
    while fresh:
        evidence.happened.update(fresh)
        seen: set[int] = set()
        for number in fresh:
            for key, given, _ in _reads(evidence.calls[number]):
                for value in given if isinstance(given, tuple) else (given,):
                    seen.add(evidence.writers.get((key, value), number))
        fresh = sorted(seen - evidence.happened)


def _all_reads(evidence: _Evidence) -> Iterable[tuple[int, Any, Any, bool]]:
    for number in sorted(evidence.happened):
        for key, given, own in _reads(evidence.calls[number]):
            yield number, key, given, own


def _reads(call: Call) -> Iterable[tuple[Any, Any, bool]]:
    """Key, what was read, and whether the transaction had written the key before."""
    if call.result is None:
        return
    written: set[Any] = set()
    for step, given in zip(call.operation[1], call.result, strict=True):
        if step[0] == "r":
            yield step[1], given, step[1] in written
        else:
            written.add(step[1])


def _list_orders(evidence: _Evidence) -> None:
    longest: dict[Any, tuple[tuple[Any, ...], int]] = {}
    for number, key, given, own in _all_reads(evidence):
        known, other = longest.get(key, ((), number))
        short, long = sorted((known, given), key=len)
        if long[: len(short)] != short:
            text = f"two orders of {key!r}: {known!r} and {given!r}"
            evidence.anomaly("incompatible order", text, other, number)
        if len(set(given)) < len(given):
            evidence.anomaly("duplicate", f"{key!r} has an element twice: {given!r}", number)
        longest[key] = (given, number) if len(given) >= len(known) else (known, other)
        if not own:
            evidence.readers[key, given[-1] if given else None].append(number)
    for key, (given, _) in longest.items():
        evidence.order[key] = list(dict.fromkeys(given))


def _register_orders(evidence: _Evidence, initial: Any) -> None:
    after: dict[tuple[Any, Any], tuple[Any, int]] = {}
    for number, key, given, own in _all_reads(evidence):
        if not own:
            evidence.readers[key, None if given == initial else given].append(number)
    for number in sorted(evidence.happened):
        for key, before, value in _replaced(evidence.calls[number], initial):
            known = after.setdefault((key, before), (value, number))
            if known[1] != number:
                text = f"both replace {before!r} of {key!r}"
                evidence.anomaly("lost update", text, known[1], number)
    for key in {key: None for key, _ in after}:
        latest: Any = None
        chain = evidence.order[key]
        while (key, latest) in after and len(chain) <= len(after):
            latest = after[key, latest][0]
            chain.append(latest)


def _replaced(call: Call, initial: Any) -> Iterable[tuple[Any, Any, Any]]:
    """Key, the version that was read, and the one that the transaction left."""
    read = {key: given for key, given, own in _reads(call) if not own}
    for key, value in {step[1]: step[2] for step in call.operation[1] if step[0] == "w"}.items():
        if key in read:
            yield key, None if read[key] == initial else read[key], value


def _aborted_and_middle_reads(evidence: _Evidence) -> None:
    """G1a and G1b (Adya 1999)."""
    for number, key, given, own in _all_reads(evidence):
        seen = given if isinstance(given, tuple) else (given,)
        for value in seen:
            if (key, value) in evidence.aborted and (key, value) not in evidence.writers:
                other = evidence.aborted[key, value]
                evidence.anomaly("G1a", f"read {value!r} of {key!r}, aborted", other, number)
        if not own and seen and (key, seen[-1]) in evidence.middle:
            evidence.anomaly("G1b", f"read {seen[-1]!r} of {key!r}, halfway", number)


# --- cycles --------------------------------------------------------------------------------------


def _dependencies(evidence: _Evidence) -> dict[str, set[tuple[int, int]]]:
    edges: dict[str, set[tuple[int, int]]] = {kind: set() for kind in _ORDER}
    seen = {(key, value) for key, order in evidence.order.items() for value in order}
    unseen: dict[Any, list[int]] = defaultdict(list)
    for (key, value), author in evidence.writers.items():
        if (key, value) not in seen and evidence.calls[author].outcome == OK:
            unseen[key].append(author)
    for key in {**dict.fromkeys(evidence.order), **dict.fromkeys(unseen)}:
        order = evidence.order.get(key, [])
        for before, value in zip([None, *order], [*order, None], strict=True):
            # What nobody has seen came after all that was seen, else it would be in there.
            after = evidence.writers.get((key, value))
            following: list[int | None] = [*unseen[key]] if value is None else [after]
            writer = evidence.writers.get((key, before))
            readers = evidence.readers.get((key, before), [])
            if writer is not None:
                edges[WR] |= {(writer, reader) for reader in readers}
            for later in following:
                if later is None:
                    continue
                edges[RW] |= {(reader, later) for reader in readers}
                if writer is not None:
                    edges[WW].add((writer, later))
    return edges


def _real_time(calls: Sequence[Call], taking_part: set[int]) -> set[tuple[int, int]]:
    """Who had ended before who began, without what follows from the rest."""
    ends = deadlines(calls)
    frontier: list[int] = []
    edges: set[tuple[int, int]] = set()
    events = sorted(
        [(calls[n].began, 0, n) for n in taking_part] + [(ends[n], 1, n) for n in taking_part]
    )
    for _, ended, number in events:
        if not ended:
            edges |= {(before, number) for before in frontier}
        elif ends[number] < float("inf"):
            covered = {n for n in frontier if ends[n] < calls[number].began}
            frontier = [n for n in frontier if n not in covered] + [number]
    return edges


def _cycles(evidence: _Evidence, real_time: bool) -> list[Anomaly]:
    calls = evidence.calls
    kinds = _dependencies(evidence)
    if real_time:
        known = {n for pairs in kinds.values() for pair in pairs for n in pair}
        kinds[REAL_TIME] = _real_time(calls, known | evidence.happened)
    found: list[Anomaly] = []
    for kept in ((WW,), (WW, WR), (WW, WR, RW), (WW, WR, REAL_TIME), _ORDER):
        edges: Edges = defaultdict(dict)
        for kind in (k for k in _ORDER if k in kept):
            for before, after in sorted(kinds[kind]):
                if before != after:
                    edges[before].setdefault(after, kind)
        for component in strong_components(edges):
            cycle = shortest_cycle(edges, component)
            around = [edges[a][b] for a, b in zip(cycle, [*cycle[1:], cycle[0]], strict=True)]
            found.append(Anomaly(_name(around), " ".join(around), tuple(calls[n] for n in cycle)))
        if found:
            break  # the others contain these
    return found


def _name(around: list[str]) -> str:
    anti = around.count(RW)
    name = ("G0" if WR not in around else "G1c") if not anti else "G-single" if anti == 1 else "G2"
    return f"{name}, against real time" if REAL_TIME in around else name
