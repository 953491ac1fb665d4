"""Which addresses a node tries to have a link with: seeds, and all members that it has none with.

A member that is dead is dialled too: that is how partitions heal. Dialling ends with the link, with
the member's leave or removal, or when somebody else lives at its address.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from .outputs import Dial, Output, Undial


class Surroundings(Protocol):
    """What dialling needs to know of members."""

    def is_linked(self, id: str) -> bool:
        """Whether there is a link with a member."""

    def is_dialled(self, id: str) -> bool:
        """Whether it is time that a member without a link is dialled."""


class Dialling:
    """The addresses wanted, the members at each; `outputs` gets a `Dial` or `Undial` when one comes
    or goes."""

    def __init__(
        self, own: str, seeds: Iterable[str], outputs: list[Output], around: Surroundings
    ) -> None:
        self._own = own
        self._outputs = outputs
        self._around = around
        self._members: dict[str, list[str]] = {}
        self._seeds: dict[str, str] = {seed: "" for seed in seeds if seed != own}
        self._reached: dict[str, list[str]] = {}
        self._wanted: dict[str, None] = {}
        for seed in self._seeds:
            self.review(seed)

    def review(self, address: str) -> None:
        """Something about the address has changed."""
        wanted = self._is_wanted(address)
        if wanted and address not in self._wanted:
            self._wanted[address] = None
            self._outputs.append(Dial(address))
        elif not wanted and address in self._wanted:
            del self._wanted[address]
            self._outputs.append(Undial(address))

    def moved(self, id: str, old: str, new: str) -> None:
        """A member lives at another address now; empty: it is new."""
        if old:
            self._members[old].remove(id)
            self.review(old)
        self._members.setdefault(new, []).append(id)

    def reached(self, peer: str, address: str) -> None:
        """There is a link with a peer now, and that address led to it. A seed may be another name
        of a member's address: it is left alone while the member has a link."""
        if self._seeds.get(address) == "":
            self._seeds[address] = peer
            self._reached.setdefault(peer, []).append(address)
            self.review(address)

    def lost(self, peer: str) -> None:
        """The link with a peer has gone."""
        for address in self._reached.pop(peer, []):
            self._seeds[address] = ""
            self.review(address)

    def stop(self) -> None:
        """No more dialling at all."""
        for address in list(self._wanted):
            del self._wanted[address]
            self._outputs.append(Undial(address))
        self._seeds.clear()

    def _is_wanted(self, address: str) -> bool:
        if address == self._own or not address:
            return False
        ids = self._members.get(address, ())
        if any(self._around.is_linked(id) for id in ids):
            return False
        return self._seeds.get(address) == "" or any(self._around.is_dialled(id) for id in ids)
