"""Every limit of the servers, each with its reason."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ServeLimits:
    """Bounds for what one client may cost. Times in seconds, sizes in bytes."""

    target_bytes: int = 8 * 1024
    """Longest URL (else 414): what browsers and proxies agree to carry."""

    head_bytes: int = 32 * 1024
    """All header lines and the URL together (else 431): room for large cookies."""

    header_count: int = 100
    """Header lines (else 431): the parser keeps an object for each."""

    body_bytes: int = 8 * 1024 * 1024
    """Longest request body (else 413): it is held in memory and parsed at once."""

    framing_factor: int = 8
    """Bytes on the wire per byte of a chunked body; one-byte chunks need six (else 400)."""

    request_seconds: float = 30.0
    """From the first byte of a request to its last (else 408): ends slow senders."""

    idle_seconds: float = 75.0
    """Between two requests of a connection; a little more than proxies usually keep theirs."""

    send_seconds: float = 30.0
    """For a client to take one block of an answer: ends slow readers."""

    send_block: int = 64 * 1024
    """Size of such a block."""

    receive_bytes: int = 64 * 1024
    """Read from a socket at a time: bounds what waits in the process per connection."""

    turn_reads: int = 256
    """Sockets read before other tasks get a turn: some milliseconds of small requests."""

    connections: int = 960
    """Open at a time (else 503): below the usual 1024 files of a process."""

    grace_seconds: float = 10.0
    """For requests in flight when the server stops; container platforms kill after 30."""

    newcomer_seconds: float = 1.0
    """For the first byte of a client that has just connected when the server stops."""

    reap_seconds: float = 0.25
    """Between two looks at the deadlines: one sweep is cheaper than a timer per request."""

    keepalive_seconds: float = 15.0
    """Between comments on a silent event stream (spec 3 §8.4)."""

    message_bytes: int = 1024 * 1024
    """Longest WebSocket message (else close code 1009)."""

    ping_seconds: float = 20.0
    """Between WebSocket pings; a client that misses two of them is gone."""

    handshake_seconds: float = 10.0
    """For the opening handshake of a WebSocket."""

    static_inline_bytes: int = 256 * 1024
    """Static files up to this size are read on the event loop, larger ones in a thread."""

    static_bytes: int = 64 * 1024 * 1024
    """Largest static file: it passes through memory."""


DEFAULT_LIMITS = ServeLimits()
