"""What a node of a program holds in etcd for as long as it lives: its lease, its place in the list
of nodes, perhaps the leadership, and blocks of ids."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import trio

from .client import NOT_FOUND, EtcdClient, EtcdError, Json, from_wire, to_wire
from .ids import IdBlocks
from .mirror import LEADER, Mirror

TTL_SECONDS = 5
"""How long a node counts as alive after it was last heard of."""
CALL_SECONDS = 2.0
NODES = "!node/"
IDS = "!ids/"


class Session:
    """A lease, renewed for ever; a new one when it was lost. `term` is that of this node's
    leadership: the revision at which it began, 0 without it."""

    def __init__(
        self,
        client: EtcdClient,
        mirror: Mirror,
        node: str,
        ids: IdBlocks,
        note: Callable[[str], None],
        ttl: int = TTL_SECONDS,
    ) -> None:
        self._client = client
        self._mirror = mirror
        self._node = node
        self._ids = ids
        self._note = note
        self._ttl = ttl
        self.lease = 0
        self.begun = trio.Event()
        """Set while there is a lease."""
        self.about: dict[str, Any] = {}
        """What the list of nodes says of this one."""
        self.nodes: dict[str, dict[str, Any]] = {}
        self.leader = ""
        self.on_change: Callable[[], None] = _nobody
        """Another node leads, or the list of nodes is another one."""
        self._term = 0
        self._valid_until = 0.0
        self._hurry = trio.Event()

    @property
    def leads(self) -> bool:
        """Whether this node may run schedules; etcd refuses the writes of one that errs."""
        return self._term > 0 and trio.current_time() < self._valid_until

    @property
    def term(self) -> int:
        return self._term if self.leads else 0

    def hurry(self) -> None:
        """There is something to do before the next renewal: ids, or a new lease."""
        self._hurry.set()

    def lost(self, lease: int) -> None:
        """etcd does not know the lease any more."""
        if lease == self.lease:
            self.lease, self._term = 0, 0
            self.begun = trio.Event()
            self.hurry()

    async def run(self) -> None:
        """Until it is cancelled; the lease is given back then."""
        failing = ""
        try:
            while True:
                try:
                    await self._turn()
                    failing = ""
                except EtcdError as error:
                    if not failing:
                        self._note(f"etcd: {error}")
                    failing = str(error)
                with trio.move_on_after(0.5 if failing else self._ttl / 3):
                    await self._hurry.wait()
                self._hurry = trio.Event()
        finally:
            await self._end()

    async def _turn(self) -> None:
        now = trio.current_time()
        if self.lease:
            await self._keep()
        if not self.lease:
            await self._begin()
        self._valid_until = now + self._ttl
        await self._campaign()
        await self._list()
        for counter in self._ids.wanting():
            await self._take_ids(counter)

    async def _begin(self) -> None:
        answer = await self._client.call("lease/grant", {"TTL": str(self._ttl)})
        lease = int(answer["ID"])
        about = msgspec.json.encode(self.about).decode()
        await self._client.ask(
            "kv/put",
            {
                "key": self._mirror.wire(NODES + self._node),
                "value": to_wire(about),
                "lease": str(lease),
            },
            CALL_SECONDS,
        )
        self.lease = lease
        self.begun.set()

    async def _keep(self) -> None:
        lease = self.lease
        try:
            answer = await self._client.ask("lease/keepalive", {"ID": str(lease)}, CALL_SECONDS)
        except EtcdError as error:
            if error.code == NOT_FOUND:
                self.lost(lease)
                return
            raise
        if int(answer.get("result", {}).get("TTL", 0)) <= 0:
            self.lost(lease)

    async def _campaign(self) -> None:
        """Leads if nobody does: the key of the leader exists as long as its lease."""
        key, mine = self._mirror.wire(LEADER), f"{self._node} {self.lease:x}"
        message = {
            "compare": [
                {"key": key, "target": "CREATE", "result": "EQUAL", "create_revision": "0"}
            ],
            "success": [
                {"request_put": {"key": key, "value": to_wire(mine), "lease": str(self.lease)}},
                {"request_range": {"key": key}},
            ],
            "failure": [{"request_range": {"key": key}}],
        }
        answer = await self._client.ask("kv/txn", message, CALL_SECONDS)
        pairs = answer["responses"][-1]["response_range"].get("kvs", [])
        holder = from_wire(pairs[0]["value"]) if pairs else ""
        term = int(pairs[0]["create_revision"]) if holder == mine else 0
        leader = holder.partition(" ")[0]
        if leader and leader != self.leader:
            self._note(f"cluster: '{leader}' leads in term {pairs[0]['create_revision']}")
        self.leader, self._term = leader, term

    async def _list(self) -> None:
        first = self._mirror.prefix + NODES
        message = {"key": to_wire(first), "range_end": to_wire(first[:-1] + "0")}
        answer = await self._client.ask("kv/range", message, CALL_SECONDS)
        found: dict[str, dict[str, Any]] = {}
        for pair in answer.get("kvs", []):
            name = from_wire(pair["key"])[len(first) :]
            found[name] = msgspec.json.decode(from_wire(pair["value"]), type=dict[str, Any])
        self.nodes = found
        self.on_change()

    async def _take_ids(self, counter: str) -> None:
        """Moves the end of what is given away, unless somebody has moved it meanwhile."""
        key = self._mirror.wire(IDS + counter)
        answer = await self._client.ask("kv/range", {"key": key}, CALL_SECONDS)
        pairs: list[Json] = answer.get("kvs", [])
        given = int(from_wire(pairs[0]["value"])) if pairs else 0
        at = pairs[0]["mod_revision"] if pairs else "0"
        first = max(given, self._ids.floor(counter)) + 1
        last = first + self._ids.wants(counter) - 1
        message = {
            "compare": [{"key": key, "target": "MOD", "result": "EQUAL", "mod_revision": at}],
            "success": [{"request_put": {"key": key, "value": to_wire(str(last))}}],
        }
        taken = await self._client.call("kv/txn", message)
        if taken.get("succeeded"):
            self._ids.took(counter, first, last)
        else:
            self.hurry()  # another node was first

    async def _end(self) -> None:
        """Leaves at once: nobody has to wait for the lease to run out."""
        lease, self.lease, self._term = self.lease, 0, 0
        with trio.move_on_after(1, shield=True):
            try:
                if lease:
                    await self._client.call("lease/revoke", {"ID": str(lease)})
            except EtcdError as error:
                self._note(f"etcd: {error}")


def _nobody() -> None:
    return
