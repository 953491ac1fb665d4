"""Frames of the bus: a length (u32, big-endian), a body, and a seal when the link has a key.

The body is msgpack, `[sequence number, message]`. The seal is an HMAC-SHA256 of the body, cut to
16 bytes, under a key of this link and direction: nobody in between can add, change, leave out or
repeat a frame, for the sequence number is under the seal. It hides nothing; TLS does.
"""

from __future__ import annotations

import hmac
from struct import Struct

from .messages import Message, decode, encode

HEADER = Struct(">I")
SEAL_BYTES = 16

Received = tuple[Message, int]
"""A message, and the bytes that it took on the wire."""


class FrameError(Exception):
    """What arrived is no frame; the text says why, for the log. The link must be closed."""


def frame(body: bytes) -> bytes:
    """A body with its length before it."""
    return HEADER.pack(len(body)) + body


def _seal(key: bytes, body: bytes | memoryview) -> bytes:
    return hmac.digest(key, body, "sha256")[:SEAL_BYTES]


class FrameReader:
    """Bytes in, frames out. At first bodies one by one (the handshake), then sealed messages.

    A frame that is too long is an error as soon as its length is there, before it is buffered.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._buffer = bytearray()
        self._key: bytes | None = None
        self._expected = 1

    def feed(self, data: bytes | bytearray) -> None:
        """Takes what has arrived."""
        self._buffer += data

    @property
    def beginning(self) -> bytes:
        """The first bytes of what is buffered, to tell other protocols."""
        return bytes(self._buffer[:8])

    def body(self) -> bytes | None:
        """The next whole body, if it is there. Raises FrameError."""
        buffer = self._buffer
        if len(buffer) < HEADER.size:
            return None
        end = self._end(buffer, 0)
        if len(buffer) < end:
            return None
        found = bytes(buffer[HEADER.size : end])
        del buffer[:end]
        return found

    def begin(self, most: int, key: bytes | None) -> None:
        """From now on frames are messages of up to `most` bytes, sealed if there is a key."""
        self._most = most
        self._key = key

    def messages(self) -> list[Received]:
        """All whole messages that have arrived, with their sizes. Raises FrameError."""
        buffer = self._buffer
        size = len(buffer)
        found: list[Received] = []
        at = 0
        with memoryview(buffer) as view:
            while size - at >= HEADER.size:
                end = self._end(buffer, at)
                if end > size:
                    break
                with view[at + HEADER.size : end] as body:
                    found.append((self._open(body), end - at))
                at = end
        del buffer[:at]
        return found

    def _end(self, buffer: bytearray, at: int) -> int:
        length: int = HEADER.unpack_from(buffer, at)[0]
        if length > self._most:
            raise FrameError(f"a frame of {length} bytes, {self._most} are allowed")
        return at + HEADER.size + length

    def _open(self, body: memoryview) -> Message:
        if self._key is not None:
            sealed = body[:-SEAL_BYTES]
            if not hmac.compare_digest(_seal(self._key, sealed), body[-SEAL_BYTES:]):
                raise FrameError("a frame whose seal is wrong")
            body = sealed
        try:
            number, message = decode(body)
        except ValueError as error:
            raise FrameError(f"no message: {error}") from error
        if number != self._expected:
            raise FrameError(f"frame {number} instead of {self._expected}")
        self._expected += 1
        return message


class FrameWriter:
    """Messages in, frames out: numbered, and sealed if there is a key."""

    def __init__(self, most: int, key: bytes | None = None) -> None:
        self._most = most
        self._key = key
        self._number = 0

    def frame(self, message: Message) -> bytes:
        """The next frame. Raises ValueError, and uses up no number, for what cannot travel."""
        body = encode(self._number + 1, message)
        if self._key is not None:
            body += _seal(self._key, body)
        if len(body) > self._most:
            raise ValueError(f"{type(message).__name__} of {len(body)} bytes cannot be sent")
        self._number += 1
        return HEADER.pack(len(body)) + body
