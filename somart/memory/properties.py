"""The memory properties of a slot, as rules that the runtime enforces (spec 3 §1.2-1.4)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ..spec import Prop

IMPLIES = {
    "immutable": ("consistent",),
    "retain": ("persistent",),
    "replicated": ("persistent",),
}
EVICTION = ("lru", "lfu", "fifo", "random")


@dataclass(frozen=True, slots=True)
class SlotRules:
    """What is enforced on one slot. Times are in milliseconds, sizes in bytes of UTF-8."""

    persistent: bool = False
    immutable: bool = False
    versioned: bool = False
    encrypted: bool = False
    ttl: int | None = None
    retain: int | None = None
    capacity: int | None = None
    evict: str | None = None
    max_key_bytes: int | None = None
    max_value_bytes: int | None = None
    max_element_bytes: int | None = None

    @property
    def timed(self) -> bool:
        """Whether entries need the time of their last write."""
        return self.ttl is not None or self.retain is not None

    @property
    def measured(self) -> bool:
        """Whether sizes are limited."""
        return (
            self.max_key_bytes is not None
            or self.max_value_bytes is not None
            or self.max_element_bytes is not None
        )


PLAIN = SlotRules()


def with_implied(names: Iterable[str]) -> frozenset[str]:
    """The names with all that they imply."""
    found = set(names)
    queue = list(found)
    while queue:
        for name in IMPLIES.get(queue.pop(), ()):
            if name not in found:
                found.add(name)
                queue.append(name)
    return frozenset(found)


def rules_of(props: Iterable[Prop]) -> SlotRules:
    """The rules that the properties of a slot amount to; advisory ones have no part in them.

    `persistent`, written or implied, always means the durable backend (§1.4 [do]).
    """
    args = {prop.name: prop.args for prop in props}
    names = with_implied(args)
    return SlotRules(
        persistent="persistent" in names,
        immutable="immutable" in names,
        versioned="versioned" in names,
        encrypted="encrypted" in names,
        ttl=_number(args.get("ttl")),
        retain=_number(args.get("retain")),
        capacity=_number(args.get("capacity")),
        evict=_policy(args.get("evict")),
        max_key_bytes=_number(args.get("max_key_bytes")),
        max_value_bytes=_number(args.get("max_value_bytes")),
        max_element_bytes=_number(args.get("max_element_bytes")),
    )


def _number(args: tuple[Any, ...] | None) -> int | None:
    if args and isinstance(args[0], int | float) and not isinstance(args[0], bool):
        return int(args[0])
    return None


def _policy(args: tuple[Any, ...] | None) -> str | None:
    if args is None:
        return None
    return args[0] if args and args[0] in EVICTION else "lru"
