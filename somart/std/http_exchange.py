"""One HTTP/1.1 request and its answer over trio: connection, parsing, limits, redirects.

A small client for `http_get` and `http_post`: every request has its own connection.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from ..calls import HEADER, header_for
from .sockets import ConnectionFailed, open_tcp

if TYPE_CHECKING:
    import trio

MAX_REDIRECTS = 5
MAX_BODY = 10 * 1024 * 1024  # an answer that no program handles as one String in memory
MAX_HEADERS = 64 * 1024  # as servers limit requests: what is longer is an attack or an error
CHUNK = 64 * 1024

_PATH_CHARACTERS = "/%:@!$&'()*+,;=~?-._"
_REDIRECTS = (301, 302, 303, 307, 308)


class HTTPFailure(Exception):
    """The exchange failed; the text says why and names the URL."""


@dataclass(frozen=True)
class Request:
    """What to send. `max_bytes` cuts the answer's body; without it a long one is an error."""

    method: str
    url: str
    body: bytes | None = None
    max_bytes: int | None = None


@dataclass
class Answer:
    """What came back, filled in by the parser's call-backs; interim answers (1xx) are forgotten."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)
    header_bytes: int = 0
    headers_done: bool = False
    complete: bool = False

    def on_message_begin(self) -> None:
        self.headers.clear()
        self.headers_done = self.complete = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.header_bytes += len(name) + len(value)
        self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self.headers_done = True

    def on_body(self, data: bytes) -> None:
        self.body += data

    def on_message_complete(self) -> None:
        self.complete = True

    @property
    def done(self) -> bool:
        return self.complete and self.status >= 200

    @property
    def ends_with_connection(self) -> bool:
        """Whether the end of the connection is the end of the body."""
        framed = "content-length" in self.headers or "transfer-encoding" in self.headers
        return self.headers_done and not framed


async def fetch(request: Request) -> str:
    """The body of the answer to a request, redirects followed. Raises HTTPFailure."""
    for _ in range(MAX_REDIRECTS + 1):
        answer = await _exchange(request)
        location = answer.headers.get("location")
        if answer.status not in _REDIRECTS or location is None:
            break
        request = _redirected(request, answer.status, location)
    else:
        raise HTTPFailure(f"{request.url}: Too Many Redirects")
    if answer.status >= 400:
        raise HTTPFailure(f"{request.url}: status code {answer.status}")
    return bytes(answer.body).decode("utf-8", "replace")


def _redirected(request: Request, status: int, location: str) -> Request:
    url = urljoin(request.url, location)
    if status in (307, 308):
        return Request(request.method, url, request.body, request.max_bytes)
    return Request("GET", url, None, request.max_bytes)


async def _exchange(request: Request) -> Answer:
    target = _split(request.url)
    try:
        stream = await _connect(target)
    except ConnectionFailed as error:
        raise HTTPFailure(f"{request.url}: Connection Failed: {error}") from error
    try:
        async with stream:
            await stream.send_all(_head(request, target) + (request.body or b""))
            return await _receive(stream, request)
    except HTTPFailure as error:
        raise HTTPFailure(f"{request.url}: {error}") from error
    except _network_errors() as error:
        raise HTTPFailure(f"{request.url}: Network Error: {error}") from error


def _network_errors() -> tuple[type[Exception], ...]:
    import httptools
    import trio

    return (trio.BrokenResourceError, OSError, httptools.HttpParserError)


def _split(url: str) -> SplitResult:
    try:
        target = urlsplit(url)
        target.port  # noqa: B018 - raises for a port that is no number
    except ValueError as error:
        raise HTTPFailure(f"{url}: Bad URL: {error}") from error
    if target.scheme not in ("http", "https"):
        raise HTTPFailure(f"{url}: Unknown Scheme: '{target.scheme}'")
    if not target.hostname:
        raise HTTPFailure(f"{url}: Bad URL: no host")
    return target


async def _connect(target: SplitResult) -> trio.abc.Stream:
    return await open_tcp(target.hostname or "", _port(target), target.scheme == "https")


def _port(target: SplitResult) -> int:
    return target.port or (443 if target.scheme == "https" else 80)


def _head(request: Request, target: SplitResult) -> bytes:
    path = quote(target.path or "/", safe=_PATH_CHARACTERS)
    if target.query:
        path += f"?{quote(target.query, safe=_PATH_CHARACTERS)}"
    host = target.netloc.rpartition("@")[2]
    lines = [
        f"{request.method} {path} HTTP/1.1",
        f"Host: {host.encode('idna').decode() if not host.isascii() else host}",
        "User-Agent: somart",
        "Accept: */*",
        "Connection: close",
    ]
    call = header_for(target.hostname or "", _port(target))
    if call is not None:
        lines.append(f"{HEADER}: {call}")
    if request.body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(request.body)}"]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


async def _receive(stream: trio.abc.Stream, request: Request) -> Answer:
    import httptools

    answer = Answer()
    parser = httptools.HttpResponseParser(answer)
    limit = request.max_bytes or MAX_BODY
    while not answer.done and len(answer.body) <= limit:
        data = await stream.receive_some(CHUNK)
        if not data:
            if answer.ends_with_connection:
                break
            raise HTTPFailure("connection closed before the response was complete")
        parser.feed_data(bytes(data))
        answer.status = parser.get_status_code()
        if answer.header_bytes > MAX_HEADERS:
            raise HTTPFailure("response headers too large")
    if len(answer.body) > limit:
        if request.max_bytes is None:
            raise HTTPFailure("response too big")
        del answer.body[limit:]
    return answer
