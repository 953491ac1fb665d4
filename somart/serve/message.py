"""Requests and responses as data, and a response as the bytes of HTTP/1.1 (RFC 9112)."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus

JSON_TYPE = "application/json"
TEXT_TYPE = "text/plain; charset=utf-8"
HTML_TYPE = "text/html; charset=utf-8"

Headers = tuple[tuple[str, str], ...]


class Request:
    """One received request. `target` is the URL as sent; header names are in lower case. `route`
    is kept for whoever goes on with it."""

    __slots__ = (
        "body",
        "headers",
        "http10",
        "keep_alive",
        "method",
        "path",
        "query",
        "route",
        "target",
    )

    def __init__(
        self,
        method: str,
        target: str,
        headers: dict[bytes, bytes] | None = None,
        body: bytes = b"",
        keep_alive: bool = True,
        http10: bool = False,
    ) -> None:
        self.method = method
        self.target = target
        self.path, _, self.query = target.partition("?")
        self.headers = headers if headers is not None else {}
        self.body = body
        self.keep_alive = keep_alive
        self.http10 = http10
        self.route: object = None


@dataclass(slots=True)
class Response:
    """An answer. `stream` names the events of a stream that follows instead of a body.

    `error` and `place` are what the log says about a failure; `close` ends the connection.
    """

    status: int = 200
    body: bytes = b""
    content_type: str = JSON_TYPE
    headers: Headers = ()
    stream: tuple[str, ...] | None = None
    error: str | None = None
    place: str | None = None
    close: bool = False


class Refused(Exception):
    """A request that the server does not answer in earnest; the connection closes after it.

    `silent`: it is no mistake of anybody's, and not worth a line in the log.
    """

    def __init__(self, status: int, reason: str, silent: bool = False) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.silent = silent


class BadHeader(ValueError):
    """A header that would break the framing of a response."""


_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_UNSAFE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_FRAMING = frozenset(
    {"connection", "content-length", "date", "keep-alive", "te", "trailer", "transfer-encoding"}
    | {"upgrade"}
)


def check_header(name: str, value: str) -> None:
    """Raises BadHeader for what could end the header, or contradict the server's own framing."""
    if _TOKEN.fullmatch(name) is None:
        raise BadHeader(f"invalid response header name {name!r}")
    if name.lower() in _FRAMING:
        raise BadHeader(f"response header '{name}' is set by the server")
    if _UNSAFE.search(value) is not None:
        raise BadHeader(f"invalid value of response header '{name}': control characters")


@lru_cache(maxsize=512)
def _header_line(name: str, value: str) -> bytes:
    check_header(name, value)
    return f"{name}: {value.strip(' ')}\r\n".encode("utf-8", "replace")


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


@lru_cache(maxsize=256)
def _opening(status: int, content_type: str) -> bytes:
    """The status line and the content type."""
    if _UNSAFE.search(content_type) is not None:
        raise BadHeader("invalid content type: control characters")
    line = f"HTTP/1.1 {status} {_reason(status)}\r\n"
    if status not in (204, 304) and content_type:
        line += f"Content-Type: {content_type.strip()}\r\n"
    return line.encode("utf-8", "replace")


class DateLine:
    """The `Date` header, formatted once a second."""

    __slots__ = ("_clock", "_line", "_second")

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._second = -1
        self._line = b""

    def __call__(self) -> bytes:
        now = int(self._clock())
        if now != self._second:
            self._second = now
            self._line = f"Date: {formatdate(now, usegmt=True)}\r\n".encode()
        return self._line


date_line = DateLine()

_CLOSE = b"Connection: close\r\n"
_KEEP_ALIVE_10 = b"Connection: keep-alive\r\n"


def encode(response: Response, request: Request | None, keep_alive: bool) -> bytes:
    """The bytes of a response with a body. Raises BadHeader for headers that are not safe.

    `request` is None when it could not be read. HEAD and 204 carry no body.
    """
    status = response.status
    body = response.body
    extra = _CLOSE if not keep_alive else b""
    if request is not None and request.http10 and keep_alive:
        extra = _KEEP_ALIVE_10
    if response.headers:
        extra = b"".join([_header_line(*header) for header in response.headers]) + extra
    opening = _opening(status, response.content_type)
    if status in (204, 304):
        return b"%b%b%b\r\n" % (opening, date_line(), extra)
    length = len(body)
    if request is not None and request.method == "HEAD":
        body = b""
    return b"%bContent-Length: %d\r\n%b%b\r\n%b" % (opening, length, date_line(), extra, body)


def encode_stream_head(response: Response, request: Request) -> bytes:
    """The head of a body of unknown length: chunked, or until the connection closes (HTTP/1.0)."""
    framing = _CLOSE if request.http10 else b"Transfer-Encoding: chunked\r\n"
    extra = b"".join([_header_line(*header) for header in response.headers])
    opening = _opening(response.status, response.content_type)
    return b"%b%b%b%b\r\n" % (opening, date_line(), extra, framing)
