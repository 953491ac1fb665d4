"""Turns clients away from a listening socket before it is closed.

A connection that the system has completed and nobody has accepted is reset when the socket closes,
and its client cannot know whether the request was carried out. Between the last `accept` and the
close there is always room for one more. On Linux a filter on the socket drops what asks for a new
connection, as if it were lost on the way: the client's system asks again a second later, and then
finds a closed port, or the next process.
"""

from __future__ import annotations

import ctypes
import socket
import struct
import sys
from typing import Protocol

_SO_ATTACH_FILTER = 26
_FLAGS_AT = 13  # the byte of a TCP header with its flags
_SYN, _ACK = 0x02, 0x10
_LOAD_BYTE, _AND, _JUMP_IF_EQUAL, _RETURN = 0x30, 0x54, 0x15, 0x06  # of classic BPF
_ALL_BYTES = 0xFFFFFFFF
_PROGRAM = (
    (_LOAD_BYTE, 0, 0, _FLAGS_AT),
    (_AND, 0, 0, _SYN | _ACK),
    (_JUMP_IF_EQUAL, 0, 1, _SYN),
    (_RETURN, 0, 0, 0),
    (_RETURN, 0, 0, _ALL_BYTES),
)


class _Socket(Protocol):
    def setsockopt(self, level: int, option: int, value: bytes, /) -> None: ...


def turn_away(listener: _Socket) -> bool:
    """From now on no connection begins; those that have begun go on. False: not to be had here."""
    if sys.platform != "linux":
        return False
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *one) for one in _PROGRAM))
    program = struct.pack("HP", len(_PROGRAM), ctypes.addressof(code))
    try:
        listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
    except OSError:
        return False
    return True
