"""Reads of keys that lie on other nodes, and the answers to those of others (decision 012, 8).

Whether of one key (`questions.py`) or of all (`listings.py`), they see the newest of what the
owners with a link know. What nobody answers for is an error that names the nodes and the segments:
never a shorter list.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..errors import SomaError
from .antientropy import KEYS_MOST
from .causal import Causality
from .context import Context
from .digests import size_of
from .fetching import Fetching
from .handover import Handover
from .hashing import segment_of
from .listings import DIGESTS, LEN, VALUES, Many, Part, Plan
from .messages import (
    Get,
    GetReply,
    Values,
    ValuesReply,
    Write,
)
from .questions import One
from .replica import to_wire


class Reads:
    """The questions of this node, and its answers to others."""

    def __init__(
        self,
        context: Context,
        causality: Causality,
        fetching: Fetching,
        handover: Handover,
        number: Callable[[], int],
    ) -> None:
        self.context = context
        self.causality = causality
        self._fetching = fetching
        self.handover = handover
        self.number = number
        self.open: dict[int, One | Part] = {}
        self._view: tuple[object, ...] = ()
        self._viewed: frozenset[int] = frozenset()
        self._plan = Plan([], {}, [], {})

    # --- questions -------------------------------------------------------------------------------

    def serves(self, table: str, segment: int) -> bool:
        """Whether this node can speak for a segment now."""
        if not self.causality.caught_up():
            return False
        return self._fetching.serves(table, segment)

    def settled(self, table: str, key: str) -> bool:
        """Whether the local answer for a key is as good as any."""
        if not self.serves(table, segment_of(key)):
            return False
        replica = self.context.replica
        return replica.copies(table) is None or replica.version(table, key) is not None

    def whole(self, table: str) -> bool:
        """Whether this node can speak for all of a table."""
        context = self.context
        copies = context.replica.copies(table)
        others = any(member in context.linked for member in context.others())
        if copies is None or (len(context.ring.ids) <= copies and not others):
            return self.causality.caught_up() and self._fetching.whole_table(table)
        return False  # the other owners may know more

    def get(self, table: str, key: str, answer: Callable[[Write | SomaError | None], None]) -> None:
        """Asks the owners of a key; see `engines.remote.Remote`."""
        One(self, table, key, answer).begin()

    def entries(
        self, table: str, what: str, answer: Callable[[list[Write] | int | SomaError], None]
    ) -> None:
        """Asks for all entries of a table, or for their number."""
        Many(self, table, what, answer).begin()

    def answered(self, peer: str, message: GetReply | ValuesReply) -> None:
        """A peer's answer; late ones are ignored."""
        question = self.open.get(message.request)
        if question is not None:
            question.answered(peer, message)

    def disconnected(self, peer: str) -> None:
        """A peer will not answer."""
        for request in list(self.open):
            question = self.open.get(request)  # the end of one may be the end of others
            if question is not None:
                question.lost(peer)

    def plan(self, table: str, copies: int) -> Plan:
        """Which segments are here, which are asked of which first owner, and who else holds them;
        the rest has no owner with a link. Made once per view of the members."""
        context = self.context
        served = self.served(table)
        view = (copies, context.ring.ids, context.ready_ring.ids, tuple(sorted(context.linked)))
        if self._view == view and self._viewed is served:
            return self._plan
        local: list[int] = []
        asked: dict[str, list[int]] = {}
        orphans: list[int] = []
        checked: dict[str, list[int]] = {}
        known: dict[tuple[tuple[str, ...], tuple[str, ...]], list[str]] = {}
        places = zip(context.ready_ring.table(copies), context.ring.table(copies), strict=True)
        for segment, place in enumerate(places):
            if place not in known:
                owners = dict.fromkeys((*place[0], *place[1]))
                known[place] = [o for o in owners if o in context.linked and o != context.me]
            others = known[place]
            if segment in served:
                local.append(segment)
            elif others:
                asked.setdefault(others[0], []).append(segment)
                others = others[1:]
            else:
                orphans.append(segment)
            for owner in others:
                checked.setdefault(owner, []).append(segment)
        self._view, self._viewed = view, served
        self._plan = Plan(local, asked, orphans, checked)
        return self._plan

    # --- answers ---------------------------------------------------------------------------------

    def asked(self, peer: str, message: Get) -> None:
        """A peer wants to know a key."""

        def reply(ok: bool) -> None:
            refused = "not up to date" if not ok else ""
            write = None
            if message.table not in self.context.replica.placements:
                refused = "no such slot"
            elif ok:
                write = self.context.replica.write_of(message.table, message.key)
                if not self.serves(message.table, segment_of(message.key)):
                    refused = "not held"
            seen = self.causality.vector()
            self.context.send(peer, GetReply(message.request, write, refused, seen))
            self.context.wake()

        self.causality.wait(message.after, reply)

    def asked_many(self, peer: str, message: Values) -> None:
        """A peer wants a page of entries."""

        def reply(ok: bool) -> None:
            if message.table not in self.context.replica.placements:
                answer = ValuesReply(message.request, [], "", message.segments, "no such slot")
            elif not ok:
                answer = ValuesReply(message.request, [], "", message.segments, "not up to date")
            else:
                answer = self._page(message)
            self.context.send(peer, answer)
            self.context.wake()

        self.causality.wait(message.after, reply)

    def served(self, table: str) -> frozenset[int]:
        """The segments of a sharded table that this node can speak for now."""
        return self._fetching.served(table) if self.causality.caught_up() else frozenset()

    def _page(self, message: Values) -> ValuesReply:
        """Entries from the cursor on, until the page is full; it ends between two segments."""
        replica, table = self.context.replica, message.table
        lacking: list[int] = []
        segments: list[int] = replica.segments(table)
        if message.segments:
            served, asked = self.served(table), frozenset(message.segments)
            lacking = sorted(asked - served)
            segments = [s for s in segments if s in asked and s in served]
        elif not self.serves(table, 0):
            return ValuesReply(message.request, [], "", [0], "not held")
        begin = int(message.cursor) if message.cursor else 0
        writes: list[Write] = []
        told: list[tuple[int, int, int]] = []
        size = 0
        cursor = ""
        for segment in segments:
            if segment < begin:
                continue
            if size > self.context.config.page_bytes or len(writes) >= KEYS_MOST:
                cursor = str(segment)
                break
            found = self.local(table, segment, message.what, message.deleted)
            writes.extend(found)
            size += sum(map(size_of, found))
            if message.segments and not message.deleted:
                counting = message.what == LEN
                told.append((segment, *self.told(table, segment, counting)))
        seen = self.causality.vector()
        return ValuesReply(message.request, writes, cursor, lacking, "", seen, told)

    def told(self, table: str, segment: int, counting: bool = True) -> tuple[int, int]:
        """How many keys of a segment are shown here, and the digest of all that are not deleted."""
        replica = self.context.replica
        count = replica.count(table, segment) if counting else 0
        return count, replica.present(table).get(segment, 0)

    def local(self, table: str, segment: int, what: str, deleted: bool = False) -> list[Write]:
        """What lies here of a segment."""
        replica = self.context.replica
        if what in (LEN, DIGESTS):
            return []
        keys: Iterable[str] = replica.visible(table, segment)
        if deleted:
            keys = [key for key in replica.keys_of(table, segment) if key[:2] != "__"]
        if what == VALUES:
            return replica.writes_of(table, keys)
        listed = []
        for key in keys:
            version = replica.version(table, key)
            if version is not None:
                kind = None if deleted and not replica.shows(table, key) else ""
                listed.append(Write(table, key, to_wire(version), kind, ""))
        return listed
