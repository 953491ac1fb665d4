"""Spec 3 §8.3: values as responses, and responses as bytes that nothing can break out of."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from somart.errors import SomaError
from somart.serve.message import DateLine, Request, Response, encode
from somart.serve.replies import error_reply, reply
from somart.std import html, redirect, response, sse
from somart.values import Variant


@pytest.mark.parametrize(
    ("value", "body"),
    [
        ({"a": 1, "b": [1, "x"]}, '{"a": 1, "b": [1, "x"]}'),
        ([], "[]"),
        ({"u": None}, '{"u": null}'),
        (None, "{}"),
        ('{"raw":1}', '{"raw":1}'),
        ("[1,2", "[1,2"),
        ("plain", '{"result": "plain"}'),
        ('a"b\\c\n', '{"result": "a\\"b\\\\c\\n"}'),
        ("", '{"result": ""}'),
        (42, '{"result": 42}'),
        (2**70, '{"result": 1180591620717411303424}'),
        (1.5, '{"result": 1.5}'),
        (float("nan"), '{"result": null}'),
        (True, '{"result": true}'),
        (Variant("T", "High"), '{"result": "High"}'),
        ([Variant("T", "High", (1,))], '["High(1)"]'),
        ("ünï", '{"result": "ünï"}'),
    ],
)
def test_values(value: Any, body: str) -> None:
    got = reply(value)
    assert (got.status, got.content_type, got.body.decode()) == (200, "application/json", body)


def test_response_sets_status_body_and_headers() -> None:
    got = reply(response(201, {"id": 1}, "X-Rate", 5, "Location", "/a"))
    assert (got.status, got.body) == (201, b'{"id": 1}')
    assert got.headers == (("X-Rate", "5"), ("Location", "/a"))
    assert reply(response(204)).body == b"{}"


def test_html_is_sent_as_it_is() -> None:
    got = reply(html("<p>{}</p>"))
    assert (got.content_type, got.body) == ("text/html; charset=utf-8", b"<p>{}</p>")


def test_text_of_another_type_is_sent_as_it_is() -> None:
    got = reply(response(200, "a,b", "Content-Type", "text/csv"))
    assert (got.content_type, got.body, got.headers) == ("text/csv", b"a,b", ())


def test_redirect() -> None:
    got = reply(redirect("/there"))
    assert (got.status, got.body, got.headers) == (
        302,
        b'{"result": ""}',
        (("Location", "/there"),),
    )


def test_a_stream_names_its_events() -> None:
    assert reply(sse("a", "b")).stream == ("a", "b")


@pytest.mark.parametrize("status", [0, 100, 199, 600, 99999])
def test_unusable_status(status: Any) -> None:
    with pytest.raises(SomaError, match="response status"):
        reply({"_status": status})


@pytest.mark.parametrize("status", ["x", "404", None, 2.5, True, {"error": "no"}])
def test_a_status_that_is_no_int_means_200(status: Any) -> None:
    assert reply({"_status": status, "_body": ()}).status == 200


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X", "a\r\nSet-Cookie: b"),
        ("X", "a\nb"),
        ("X", "a\x00b"),
        ("X\r\nY", "a"),
        ("X Y", "a"),
        ("X:", "a"),
        ("", "a"),
        ("Ünï", "a"),
        ("Content-Length", "5"),
        ("transfer-encoding", "chunked"),
        ("Connection", "close"),
        ("Content-Type", "text/html\r\n\r\n<script>"),
    ],
)
def test_headers_cannot_be_injected(name: str, value: str) -> None:
    with pytest.raises(SomaError, match="response header"):
        reply({"_status": 200, name: value})


def test_an_error_is_escaped() -> None:
    got = error_reply(SomaError('say "no"\n\\'))
    assert json.loads(got.body) == {"error": 'say "no"\n\\'}
    assert (got.status, got.error) == (500, 'say "no"\n\\')


@given(st.text(max_size=20), st.text(max_size=20))
@settings(max_examples=100, deadline=None)
def test_no_header_adds_a_line(name: str, value: str) -> None:
    try:
        got = reply({"_status": 200, "_body": "x", "X-" + name: value})
    except SomaError:
        return
    head, _, body = encode(got, None, True).partition(b"\r\n\r\n")
    assert len(head.split(b"\r\n")) == len(head.splitlines()) == 5
    assert body == b'{"result": "x"}'


@pytest.mark.slow
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=8,
    )
)
@settings(max_examples=60, deadline=None)
def test_every_body_is_json(value: Any) -> None:
    if isinstance(value, dict) and ("_status" in value or "_sse" in value):
        return
    if isinstance(value, str) and value[:1] in ("{", "["):
        return
    json.loads(reply(value).body)


def test_bodies_that_are_not_sent() -> None:
    body = Response(200, b"abc")
    head = encode(body, Request("HEAD", "/"), True)
    assert b"Content-Length: 3\r\n" in head
    assert head.endswith(b"\r\n\r\n")
    empty = encode(Response(204, b"abc"), Request("GET", "/"), True)
    assert b"Content-Length" not in empty
    assert empty.endswith(b"\r\n\r\n")


def test_http_1_0_is_told_about_keep_alive() -> None:
    request = Request("GET", "/", http10=True)
    assert b"Connection: keep-alive\r\n" in encode(Response(), request, True)
    assert b"Connection: close\r\n" in encode(Response(), request, False)
    assert b"Connection" not in encode(Response(), Request("GET", "/"), True)


def test_the_date_follows_the_clock() -> None:
    now = [0.0]
    line = DateLine(lambda: now[0])
    assert line() == b"Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
    now[0] = 86_400.5
    assert line() == b"Date: Fri, 02 Jan 1970 00:00:00 GMT\r\n"
