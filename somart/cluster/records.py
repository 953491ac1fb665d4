"""What a node remembers of itself and of the other members, to find its cluster again."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from .members import Change, Identity, Joined, MadeReady, Removed, Returned
from .messages import MemberState
from .replica import SystemRows
from .rows import ClusterEngineDoor, Rows

MEMBERS = "members"
"""System table: a row per member, this node's own under `#me`."""

_ME = "#me"
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(MemberState).decode


def stored_record(engine: ClusterEngineDoor) -> MemberState | None:
    """This node's own record, as it was in its last life; None in its first one."""
    row = Rows(engine, (MEMBERS,)).row(MEMBERS, _ME)
    return None if row is None else _decode(row)


def stored_members(engine: ClusterEngineDoor) -> list[MemberState]:
    """The other members that it knew."""
    rows = Rows(engine, (MEMBERS,)).rows(MEMBERS)
    return [_decode(row) for key, row in sorted(rows.items()) if key != _ME]


def rows_of(changes: Iterable[Change], state: Callable[[str], MemberState | None]) -> SystemRows:
    """What to store when the membership has changed; `state` is what is known of a member now."""
    rows: dict[tuple[str, str], str | None] = {}
    for change in changes:
        match change:
            case Identity(me):
                rows[MEMBERS, _ME] = _encode(me).decode()
            case Joined(member) | Returned(member):
                rows[MEMBERS, member.id] = _encode(member).decode()
            case MadeReady(id):
                if (found := state(id)) is not None:
                    rows[MEMBERS, id] = _encode(found).decode()
            case Removed(id):
                rows[MEMBERS, id] = None
            case _:
                pass
    return rows
