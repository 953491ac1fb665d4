"""Bytes to requests: what is refused, and that splits make no difference."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from serve_cells import opening_of_a_bus

from somart.serve.limits import ServeLimits
from somart.serve.parsing import RequestParser

HOST = b"Host: here\r\n"
POST = b"POST /x HTTP/1.1\r\n" + HOST
CHUNKED = b"Transfer-Encoding: chunked\r\n"


def parse(*parts: bytes, limits: ServeLimits | None = None) -> RequestParser:
    parser = RequestParser(limits or ServeLimits())
    for part in parts:
        parser.feed(part)
    return parser


SMUGGLING = {
    "length and chunks": POST + b"Content-Length: 3\r\n" + CHUNKED + b"\r\n0\r\n\r\n",
    "chunks and length": POST + CHUNKED + b"Content-Length: 3\r\n\r\n0\r\n\r\n",
    "two lengths": POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
    "the same length twice": POST + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    "list of lengths": POST + b"Content-Length: 3, 3\r\n\r\nabc",
    "signed length": POST + b"Content-Length: +3\r\n\r\nabc",
    "negative length": POST + b"Content-Length: -3\r\n\r\nabc",
    "hexadecimal length": POST + b"Content-Length: 0x3\r\n\r\nabc",
    "empty length": POST + b"Content-Length: \r\n\r\nabc",
    "length with an underscore": POST + b"Content-Length: 1_0\r\n\r\n0123456789",
    "chunks twice": POST + CHUNKED + CHUNKED + b"\r\n0\r\n\r\n",
    "chunked, identity": POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "xchunked": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "vertical tab before chunked": POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "chunks in HTTP/1.0": b"POST /x HTTP/1.0\r\n" + CHUNKED + b"\r\n0\r\n\r\n",
    "white space before the colon": POST + b"Content-Length : 3\r\n\r\nabc",
    "folded header": POST + b"X: a\r\n b\r\n\r\n",
    "blank before the first header": b"POST /x HTTP/1.1\r\n Host: here\r\n\r\n",
    "NUL in a value": POST + b"X: a\x00b\r\n\r\n",
    "NUL in a name": POST + b"X\x00: a\r\n\r\n",
    "bare CR in a value": POST + b"X: a\rContent-Length: 3\r\n\r\n",
    "bare LF line ends": b"POST /x HTTP/1.1\nHost: here\n\n",
    "bare LF after a header": POST + b"X: a\nY: b\r\n\r\n",
    "empty header name": POST + b": a\r\n\r\n",
    "no colon": POST + b"chunked\r\n\r\n",
    "bad chunk size": POST + CHUNKED + b"\r\nzz\r\n",
    "blank after the chunk size": POST + CHUNKED + b"\r\n3 \r\nabc\r\n0\r\n\r\n",
    "bare LF after the chunk size": POST + CHUNKED + b"\r\n3\nabc\r\n0\r\n\r\n",
    "chunk longer than it says": POST + CHUNKED + b"\r\n3\r\nabcd\r\n0\r\n\r\n",
    "chunk size overflow": POST + CHUNKED + b"\r\nfffffffffffffffff\r\nabc\r\n",
    "prefixed chunk size": POST + CHUNKED + b"\r\n0x3\r\nabc\r\n0\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "raw bytes in the URL": b"GET /\xff HTTP/1.1\r\n" + HOST + b"\r\n",
    "control character in the URL": b"GET /\x01 HTTP/1.1\r\n" + HOST + b"\r\n",
    "unknown method": b"SMUGGLE / HTTP/1.1\r\n" + HOST + b"\r\n",
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}


@pytest.mark.parametrize("name", SMUGGLING)
@pytest.mark.parametrize("step", [1, 7, 10_000])
def test_ambiguous_framing_is_refused(name: str, step: int) -> None:
    data = SMUGGLING[name]
    parser = parse(*(data[i : i + step] for i in range(0, len(data), step)))
    assert parser.refusal is not None
    assert parser.refusal.status == (501 if parser.refusal.reason.startswith("unknown tr") else 400)
    assert not parser.requests


def test_the_opening_of_a_bus_is_known_as_such() -> None:
    parser = parse(opening_of_a_bus())
    assert parser.refusal is not None
    assert (parser.refusal.status, parser.refusal.silent) == (400, True)
    assert "the bus listens on this port + 2" in parser.refusal.reason
    other = parse(SMUGGLING["TLS"])
    assert other.refusal is not None
    assert not other.refusal.silent


def test_a_smuggled_request_is_never_seen() -> None:
    inner = b"GET /admin HTTP/1.1\r\n" + HOST + b"\r\n"
    for head in (
        b"Content-Length: %d\r\n" % len(inner) + CHUNKED,
        CHUNKED + b"Content-Length: %d\r\n" % len(inner),
        b"Content-Length: 0\r\nContent-Length: %d\r\n" % len(inner),
    ):
        assert not parse(POST + head + b"\r\n0\r\n\r\n" + inner).requests


def test_gzip_transfer_encoding_is_unknown() -> None:
    parser = parse(POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n")
    assert parser.refusal is not None
    assert parser.refusal.status == 501


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414),
        (POST + b"X: " + b"a" * 40_000 + b"\r\n\r\n", 431),
        (POST + b"X: a\r\n" * 101 + b"\r\n", 431),
        (POST + b"X: " + b"a" * 200_000, 431),
        (POST + b"Content-Length: 9000000\r\n\r\n", 413),
        (POST + b"Content-Length: 9999999999999999999\r\n\r\n", 413),
        (POST + b"Content-Length: 99999999999999999999999\r\n\r\n", 400),
        (POST + b"Expect: tea\r\n\r\n", 417),
        (b"GET / HTTP/2.0\r\n" + HOST + b"\r\n", 505),
    ],
)
def test_limits(data: bytes, status: int) -> None:
    parser = parse(*(data[i : i + 65_536] for i in range(0, len(data), 65_536)))
    assert parser.refusal is not None
    assert parser.refusal.status == status


def test_a_chunked_body_has_the_same_limit() -> None:
    limits = ServeLimits(body_bytes=10)
    body = b"8\r\n01234567\r\n8\r\n01234567\r\n0\r\n\r\n"
    parser = parse(POST + CHUNKED + b"\r\n" + body, limits=limits)
    assert parser.refusal is not None
    assert parser.refusal.status == 413


def test_framing_cannot_outgrow_the_body() -> None:
    parser = parse(POST + CHUNKED + b"\r\n")
    for _ in range(200):
        parser.feed(b"1;" + b"x" * 8000 + b"\r\na\r\n")
    assert parser.refusal is not None
    assert parser.refusal.status == 400


def test_trailers_are_counted_and_dropped() -> None:
    parser = parse(POST + CHUNKED + b"\r\n3\r\nabc\r\n0\r\nT: v\r\n\r\n")
    (request,) = parser.requests
    assert request.body == b"abc"
    assert b"t" not in request.headers
    many = parse(POST + CHUNKED + b"\r\n0\r\n" + b"T: v\r\n" * 200 + b"\r\n")
    assert many.refusal is not None


def test_requests_before_a_refusal_are_kept() -> None:
    parser = parse(b"GET /a HTTP/1.1\r\n" + HOST + b"\r\nnonsense\r\n\r\n")
    assert [request.target for request in parser.requests] == ["/a"]
    assert parser.refusal is not None
    parser.feed(b"GET /b HTTP/1.1\r\n" + HOST + b"\r\n")
    assert len(parser.requests) == 1


def test_nothing_is_read_after_an_upgrade() -> None:
    head = b"GET /a HTTP/1.1\r\nHost: here\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
    parser = parse(head + b"GET /b HTTP/1.1\r\n" + HOST + b"\r\n")
    assert [request.target for request in parser.requests] == ["/a"]
    assert parser.upgrade


def test_repeated_headers_are_joined() -> None:
    (request,) = parse(POST + b"X: 1\r\nx: 2\r\nCookie: a\r\nCookie: b\r\n\r\n").requests
    assert request.headers[b"x"] == b"1, 2"
    assert request.headers[b"cookie"] == b"a; b"


@pytest.mark.parametrize(
    ("lines", "keep"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", True),
        (b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", False),
        (b"GET / HTTP/1.0\r\n\r\n", False),
        (b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", True),
    ],
)
def test_keep_alive(lines: bytes, keep: bool) -> None:
    (request,) = parse(lines).requests
    assert request.keep_alive is keep


METHODS = st.sampled_from([b"GET", b"POST", b"PUT", b"DELETE"])
WORD = st.text("abcXYZ019-", min_size=1, max_size=12).map(str.encode)


@st.composite
def messages(draw: st.DrawFn) -> tuple[bytes, tuple[bytes, bytes]]:
    """A valid request, and its path and body."""
    path = b"/" + draw(WORD)
    body = draw(st.binary(max_size=60))
    head = draw(METHODS) + b" " + path + b" HTTP/1.1\r\n" + HOST
    head += b"".join(
        b"X-%b: %b\r\n" % (draw(WORD), draw(WORD)) for _ in range(draw(st.integers(0, 3)))
    )
    if draw(st.booleans()):
        framed = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
        return head + CHUNKED + b"\r\n" + framed + b"0\r\n\r\n", (path, body)
    return head + b"Content-Length: %d\r\n\r\n%b" % (len(body), body), (path, body)


@pytest.mark.slow
@given(st.lists(messages(), min_size=1, max_size=4), st.lists(st.integers(1, 400), max_size=12))
@settings(max_examples=60, deadline=None)
def test_splits_do_not_matter(
    sent: list[tuple[bytes, tuple[bytes, bytes]]], cuts: list[int]
) -> None:
    data = b"".join(message for message, _ in sent)
    edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    parser = parse(*(data[a:b] for a, b in pairwise(edges)))
    assert parser.refusal is None
    got = [(request.path.encode(), request.body) for request in parser.requests]
    assert got == [wanted for _, wanted in sent]
    assert not parser.receiving


@given(st.binary(max_size=300))
@settings(max_examples=80, deadline=None)
def test_garbage_is_a_request_or_a_refusal(data: bytes) -> None:
    parser = parse(b"GET / HTTP/1.1\r\n" + data)
    assert parser.refusal is None or 400 <= parser.refusal.status < 600


BODIES = st.sampled_from([b"", b"abc", b"xyz", b"{}", b"GET / HTTP/1.1\r\n\r\n"])
HEADS = st.sampled_from([b"", b"Expect: 100-continue\r\n", b"Connection: close\r\n", b"X: y\r\n"])


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(BODIES, HEADS), min_size=1, max_size=6))
def test_a_head_that_is_known_means_what_it_meant(messages: list[tuple[bytes, bytes]]) -> None:
    """A connection reads each request as a new connection would, until one ends it."""
    old = RequestParser(ServeLimits())
    for body, more in messages:
        data = POST + more + b"Content-Length: %d\r\n\r\n" % len(body) + body
        new = parse(data)
        old.feed(data)
        seen, wanted = old.requests.pop(), new.requests.pop()
        for name in ("method", "target", "path", "headers", "body", "keep_alive", "http10"):
            assert getattr(seen, name) == getattr(wanted, name)
        assert not old.requests
        assert old.expects_continue == new.expects_continue
        if not wanted.keep_alive:
            break


def test_a_known_head_does_not_hide_what_follows() -> None:
    request = POST + b"Content-Length: 3\r\n\r\nabc"
    parser = parse(request, request + request, request[:-1], b"d" + request)
    assert [r.body for r in parser.requests] == [b"abc", b"abc", b"abc", b"abd", b"abc"]
    parser = parse(request, POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc")
    assert parser.refusal is not None
