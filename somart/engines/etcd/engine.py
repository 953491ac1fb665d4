"""The engine of a node whose strong cells keep their memory in etcd.

It meets the app as the embedded one does: a transaction gets a negative ticket, and its answer
waits until etcd has decided. Rows lie in memory on every node, fed by a watch; none of them is on
the node's disk. Cells that are not strong are replicated by the nodes themselves, as ever.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from ...cluster.clocks import Clock
from ...consensus.proposal import Key, Proposal, TransactionId
from ...consensus.service import Failure
from ...consensus.state import Outcome
from ...errors import type_error
from ...memory.codec import check_key
from ...memory.properties import SlotRules
from ...memory.table import Table
from ...spec import ProgramSpec
from ...transaction import Transaction
from ..cluster import ClusterEngine
from ..consensus import ConsensusEngine, Fence
from ..remote import Waiter, trio_waiter
from .client import EtcdClient
from .ids import IdBlocks
from .leases import Session
from .mirror import Mirror, too_large
from .order import EtcdOrder, Times
from .settings import EtcdOptions

if TYPE_CHECKING:
    from ..database import DatabaseFactory

SWEPT = 50
"""Expired entries that one transaction deletes: with their compares within etcd's limit."""


class EtcdEngine(ConsensusEngine):
    """A node's engine; `run` has to go on beside it. Raises OSError for TLS files that cannot be
    used."""

    logs_events = False

    def __init__(
        self,
        spec: ProgramSpec,
        node_id: str,
        data_dir: str | Path | None = None,
        *,
        etcd: EtcdOptions,
        note: Callable[[str], None],
        times: Times | None = None,
        key_file: str | Path | None = None,
        clock: Clock | None = None,
        database_factory: DatabaseFactory | None = None,
        waiter: Callable[[], Waiter] = trio_waiter,
    ) -> None:
        self.blocks = IdBlocks()
        super().__init__(
            spec,
            node_id,
            data_dir,
            key_file=key_file,
            clock=clock,
            database_factory=database_factory,
            waiter=waiter,
        )
        prefix = etcd.prefix or f"/soma/{quote(spec.manifest.name or spec.name, safe='')}/"
        self.mirror = Mirror(prefix, self.strong, note)
        client = EtcdClient(etcd)
        self.session = Session(client, self.mirror, node_id, self.blocks, note)
        self.etcd = EtcdOrder(client, self.mirror, self.session, note, times or Times())
        self._sized: Proposal | None = None

    async def run(self) -> None:
        """Keeps the connection with etcd until it is cancelled."""
        await self.etcd.run()

    @property
    def order(self) -> EtcdOrder:
        """Decides on everything strong."""
        return self.etcd

    @property
    def revision(self) -> int:
        """That of etcd, as far as it is mirrored."""
        return self.mirror.applied

    def fence(self) -> Fence:
        """For the timers of strong cells: the term is the revision at which the leader began."""
        return Fence(self.mirror.ticks, self.session.leads, self.session.term)

    def unready(self) -> str:
        """Why strong cells had better not be asked now; empty if they may."""
        ready = self.etcd.loaded.is_set() and self.session.begun.is_set() and self.blocks.ready
        return "" if ready else "etcd has not answered yet"

    @property
    def leader(self) -> tuple[str | None, int]:
        """Who runs the schedules of strong cells, and in which term, as far as is known here."""
        return self.session.leader or None, self.session.term

    def view(self) -> tuple[int, str] | None:
        """How many nodes live, and who leads; None until etcd has said."""
        found = self.session.nodes
        return (len(found), self.session.leader) if found else None

    def status(self) -> dict[str, object]:
        """What `/__soma/cluster` shows of etcd: who is alive, by their leases, and how far the
        mirror has come."""
        return {
            "endpoint": str(self.etcd.endpoint),
            "prefix": self.mirror.prefix,
            "loaded": self.etcd.loaded.is_set(),
            "revision": self.mirror.applied,
            "nodes": {name: self.session.nodes[name] for name in sorted(self.session.nodes)},
        }

    # --- tables ----------------------------------------------------------------------------------

    def table(self, name: str, rules: SlotRules, log: bool = False) -> Table:
        """The table of that name; strong ones are in etcd, whatever their slot says.

        Raises SomaError for an encrypted one: who can read etcd would read it.
        """
        if name in self._tables or name not in self.strong_names:
            return super().table(name, rules, log)
        if rules.encrypted:
            raise type_error(f"'{name}' is [encrypted]: with etcd it would be kept as plain text")
        table = ClusterEngine.table(self, name, replace(rules, persistent=False), log)
        self.strong.add(table)
        return table

    def open(self) -> None:
        """Opens the data directory for what is not strong."""
        super().open()
        self.strong.stored = None
        for table in self._counters:
            table.ready()
            entry = table.entries.get("next_id")
            self.blocks.watch(table.name, 0 if entry is None else int(entry.value))

    def id_after(self, table: Table, last: int) -> int:
        """The id that follows one; those of cells with `scale` come from etcd, in blocks."""
        if table not in self._counters:
            return last + 1
        return self.blocks.after(table.name, last)

    # --- commits ---------------------------------------------------------------------------------

    def _commit(self, transaction: Transaction) -> int:
        ticket = super()._commit(transaction)
        for table in self._counters:
            pending = transaction.writes.get(table)
            entry = None if pending is None else pending.data.get("next_id")
            if entry is not None and self.blocks.used(table.name, int(entry.value)):
                self.session.hurry()
        return ticket

    def _propose(self, transaction: Transaction) -> int:
        for table, pending in transaction.writes.items():
            if table in self.strong and not table.log:
                for key in pending.data:
                    check_key(key)
        proposal = super()._proposal(transaction, 0)(TransactionId("", 0, 0), 0)
        why = too_large(self.mirror.plan(proposal, ""))
        if why:
            raise type_error(why)
        self._sized = proposal
        return super()._propose(transaction)

    def _proposal(
        self, transaction: Transaction, at: int
    ) -> Callable[[TransactionId, int], Proposal]:
        proposal = self._sized
        assert proposal is not None
        return lambda given, oldest: proposal

    def sweep(self) -> None:
        """Forgets expired entries; those in etcd are deleted by the node that leads."""
        super().sweep()
        if not self.session.leads:
            return
        for table in self.strong.tables.values():
            late = self.mirror.overdue(table.name, self.clock())[:SWEPT]
            if late:
                self._delete(table.name, late)

    def _delete(self, table: str, late: list[Key]) -> None:
        keys = tuple((table, key) for key in late)
        writes = tuple((table, key, None) for key in late)
        proposal = Proposal(TransactionId("", 0, 0), 0, 0, keys, (), (), writes)
        try:
            self.etcd.propose(lambda given, oldest: proposal, _forget, 0)
        except Failure:
            return  # much is in flight: the next sweep will do


def _forget(_outcome: Outcome | Failure) -> None:
    return
