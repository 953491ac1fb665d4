"""What the sans-I/O parts of the cluster ask of the shell that drives them."""

from __future__ import annotations

from typing import NamedTuple

from .messages import Message


class Send(NamedTuple):
    """Give a message to the link with a peer; lost, like any message, when the link is down."""

    to: str
    message: Message


class Dial(NamedTuple):
    """Try to have a link with this bus address, until `Undial`; the shell backs off."""

    address: str


class Undial(NamedTuple):
    """Stop trying."""

    address: str


class Drop(NamedTuple):
    """Close the link with a peer."""

    peer: str
    reason: str


class Note(NamedTuple):
    """A line for the log of the node."""

    text: str


Output = Send | Dial | Undial | Drop | Note
