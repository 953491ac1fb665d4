"""From bytes to requests: httptools does the syntax, this module the limits and the strictness.

No I/O and no clock: the driver feeds bytes and takes whole requests. Whatever two servers in a row
could read differently (RFC 9112 §11.2) is refused, and the connection is over.
"""

from __future__ import annotations

from collections import deque

import httptools

from .limits import ServeLimits
from .message import Refused, Request

_ONCE = frozenset({b"host", b"content-length", b"transfer-encoding", b"expect", b"content-type"})

_SPECIAL = frozenset({b"transfer-encoding", b"expect", b"upgrade", b"connection"})
_BUS = b"\x94\xa4SOMA"
"""With this, behind its length, begins the first frame that a bus is sent."""
_BUS_AT = 4
_KNOWN_HEAD_BYTES = 1024
_KNOWN_HEADS = 4


class RequestParser:
    """Reads the requests of one connection.

    After `feed`, `requests` holds those that are complete, in order; `refusal` is set when what
    follows them is not acceptable; then nothing more is read.
    """

    __slots__ = (
        "_body",
        "_body_bytes",
        "_header_count",
        "_headers",
        "_http10",
        "_in_head",
        "_known",
        "_limits",
        "_parser",
        "_size",
        "_target",
        "_wire",
        "expects_continue",
        "receiving",
        "refusal",
        "requests",
        "upgrade",
    )

    def __init__(self, limits: ServeLimits) -> None:
        self._limits = limits
        self._parser = httptools.HttpRequestParser(self)
        self.requests: deque[Request] = deque()
        self.refusal: Refused | None = None
        self.receiving = False
        self.expects_continue = False
        self.upgrade = False
        self._known: dict[bytes, tuple[Request, int]] = {}
        self._clear()

    def _clear(self) -> None:
        self._target = b""
        self._headers: dict[bytes, bytes] = {}
        self._header_count = 0
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._size = 0
        self._wire = 0
        self._in_head = True
        self._http10 = False

    def feed(self, data: bytes) -> None:
        """Takes the next bytes from the client, of any length."""
        if self.refusal is not None or self.upgrade:
            return
        fresh = not self.receiving
        if fresh and self._known and self._is_known(data):
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.upgrade = True  # answered as an ordinary request; the connection ends with it
        except httptools.HttpParserCallbackError as error:
            self.refusal = _refusal_behind(error)
        except httptools.HttpParserError as error:
            self.refusal = _refusal_of(error, data)
        else:
            if self.receiving:
                self._bound_unfinished(len(data))
            elif fresh and len(self.requests) == 1:
                self._remember(data, self.requests[0])

    @property
    def between(self) -> bool:
        """Whether what has arrived ends with a whole request, and another one may follow."""
        return not (self.receiving or self.upgrade or self.refusal is not None)

    # Clients send the same heads again and again. What was accepted at the beginning of a message
    # means the same at the beginning of another, and need not be read again.

    def _is_known(self, data: bytes) -> bool:
        """Takes a request that arrives whole behind a head that has come before."""
        end = data.find(b"\r\n\r\n") + 4
        known = self._known.get(data[:end])
        if known is None or len(data) != end + known[1]:
            return False
        before = known[0]
        self.requests.append(Request(before.method, before.target, before.headers, data[end:]))
        return True

    def _remember(self, data: bytes, request: Request) -> None:
        """Keeps the head of a plain request that arrived alone and whole."""
        head = data[: len(data) - len(request.body)]
        headers = request.headers
        if (
            request.keep_alive
            and not request.http10
            and not headers.keys() & _SPECIAL
            and len(head) <= _KNOWN_HEAD_BYTES
            and head.endswith(b"\r\n\r\n")
            and head.find(b"\r\n\r\n") == len(head) - 4
            and headers.get(b"content-length", b"0").isdigit()
            and int(headers.get(b"content-length", b"0")) == len(request.body)
        ):
            if len(self._known) >= _KNOWN_HEADS:
                del self._known[next(iter(self._known))]
            template = Request(request.method, request.target, headers)
            self._known[head] = template, len(request.body)

    def _bound_unfinished(self, received: int) -> None:
        """Limits what a message that never completes may send."""
        self._wire += received
        limits = self._limits
        if self._in_head:
            if self._wire > limits.head_bytes + limits.receive_bytes:
                self.refusal = Refused(431, "request header too large")
            elif not self._headers and self._wire > limits.target_bytes + limits.receive_bytes:
                self.refusal = Refused(414, "URL too long")
        elif self._wire > limits.framing_factor * (self._body_bytes + limits.receive_bytes):
            self.refusal = Refused(400, "too much framing for the body")

    # --- what httptools calls --------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self.receiving = True

    def on_url(self, part: bytes) -> None:
        self._target += part
        if len(self._target) > self._limits.target_bytes:
            raise Refused(414, "URL too long")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._header_count += 1
        self._size += len(name) + len(value) + 4
        limits = self._limits
        if self._size > limits.head_bytes or self._header_count > limits.header_count:
            raise Refused(431, "request header too large")
        if not self._in_head:  # a trailer: nobody reads it
            return
        name = name.lower()
        known = self._headers
        if name not in known:
            known[name] = value
        elif name in _ONCE:
            raise Refused(400, f"repeated header '{name.decode('latin-1')}'")
        else:
            separator = b"; " if name == b"cookie" else b", "
            known[name] = known[name] + separator + value

    def on_headers_complete(self) -> None:
        self._in_head = False
        headers = self._headers
        version = self._parser.get_http_version()
        if version not in ("1.1", "1.0"):
            raise Refused(505, "only HTTP/1.1 and HTTP/1.0 are spoken here")
        self._http10 = version == "1.0"
        if b"host" not in headers and not self._http10:
            raise Refused(400, "missing header 'host'")
        if b"transfer-encoding" in headers:
            self._check_encoding(headers[b"transfer-encoding"])
        elif b"content-length" in headers:
            self._check_length(headers[b"content-length"])
        if b"expect" in headers:
            self._check_expectation(headers[b"expect"])

    def _check_encoding(self, encoding: bytes) -> None:
        if self._http10:
            raise Refused(400, "transfer-encoding in HTTP/1.0")
        if encoding.strip(b" \t").lower() != b"chunked":
            raise Refused(501, "unknown transfer-encoding")

    def _check_length(self, length: bytes) -> None:
        digits = length.strip(b" \t")
        if not digits.isdigit():
            raise Refused(400, "invalid content-length")
        if len(digits) > 15 or int(digits) > self._limits.body_bytes:
            raise Refused(413, "request body too large")

    def _check_expectation(self, value: bytes) -> None:
        if value.strip().lower() != b"100-continue":
            raise Refused(417, "unknown expectation")
        self.expects_continue = not self._http10

    def on_body(self, part: bytes) -> None:
        self.expects_continue = False  # the client did not wait
        self._body_bytes += len(part)
        if self._body_bytes > self._limits.body_bytes:
            raise Refused(413, "request body too large")
        self._body.append(part)

    def on_message_complete(self) -> None:
        parser = self._parser
        body = self._body
        self.requests.append(
            Request(
                parser.get_method().decode("ascii"),
                self._target.decode("ascii"),
                self._headers,
                body[0] if len(body) == 1 else b"".join(body),
                parser.should_keep_alive(),
                self._http10,
            )
        )
        self.receiving = self.expects_continue = False
        self._clear()


def _refusal_of(error: httptools.HttpParserError, data: bytes) -> Refused:
    """Nodes and commands that were told the HTTP address try it first, and then the bus above."""
    if data.startswith(_BUS, _BUS_AT):
        return Refused(400, "this is the HTTP port: the bus listens on this port + 2", silent=True)
    return Refused(400, f"malformed request: {error}")


def _refusal_behind(error: httptools.HttpParserCallbackError) -> Refused:
    """The exception that a callback raised. Raises the error itself when it was another kind."""
    cause = error.__context__
    if isinstance(cause, Refused):
        return cause
    raise error
