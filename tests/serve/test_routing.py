"""Spec 3 §8.2: which handler, which arguments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from somart.errors import SomaError
from somart.serve.message import Refused, Request, Response
from somart.serve.routing import Call, Router, StaticFile, SystemPage


@dataclass(frozen=True)
class Info:
    name: str
    params: tuple[str, ...]


PLAIN = Router(
    "Shop",
    [Info("add", ("a", "b")), Info("one", ("v",)), Info("none", ()), Info("_hidden", ())],
)


def with_request(*params: str) -> Router:
    return Router("Shop", [Info("add", ("a", "b")), Info("request", params)])


def route(method: str, target: str, body: bytes = b"", router: Router = PLAIN) -> Any:
    return router.route(Request(method, target, {}, body))


@pytest.mark.parametrize(
    ("method", "target", "body", "handler", "args"),
    [
        ("GET", "/add/1/2", b"", "add", [1, 2]),
        ("GET", "/add/1/2/", b"", "add", [1, 2]),
        ("GET", "/add/-1/+2", b"", "add", [-1, 2]),
        ("GET", "/add/1?b=2", b"", "add", [1, "2"]),
        ("GET", "/add?x=1&y=2", b"", "add", ["1", "2"]),
        ("GET", "/add/1.5/true", b"", "add", ["1.5", "true"]),
        ("GET", "/one/9223372036854775807", b"", "one", [2**63 - 1]),
        ("GET", "/one/9223372036854775808", b"", "one", ["9223372036854775808"]),
        ("GET", "/one/a%20b%2Fc", b"", "one", ["a b/c"]),
        ("GET", "/one?v=a+b%2Bc", b"", "one", ["a b+c"]),
        ("GET", "/one?v", b"", "one", [""]),
        ("HEAD", "/none", b"", "none", []),
        ("PUT", "/one/1", b'{"v": 2}', "one", [1]),
        ("POST", "/add", b'{"b": 2, "a": 1}', "add", [1, 2]),
        ("POST", "/add", b"b=2&a=x+y", "add", ["x y", "2"]),
        ("POST", "/add", b'{"a": 1}', "add", [1, None]),
        ("POST", "/add/5", b'{"b": 2}', "add", [5, 2]),
        ("POST", "/add/5", b'{"z": 2}', "add", [5, {"z": 2}]),
        ("POST", "/one", b'{"z": 1, "c": 2}', "one", [{"c": 2, "z": 1}]),
        ("POST", "/one", b'{"v": 1, "c": 2}', "one", [1]),
        ("POST", "/one", b"[1, 2]", "one", [[1, 2]]),
        ("POST", "/one", b"hello", "one", ["hello"]),
        ("POST", "/one", b"{broken", "one", ["{broken"]),
        ("POST", "/none", b'{"z": 1}', "none", []),
        ("GET", "/signal/add?x=1&y=2", b"", "add", ["1", "2"]),
        ("DELETE", "/signal/none", b"", "none", []),
        ("GET", "http://here/add/1/2", b"", "add", [1, 2]),
    ],
)
def test_calls(method: str, target: str, body: bytes, handler: str, args: list[Any]) -> None:
    call = route(method, target, body)
    assert call == Call(handler, args)
    assert [type(arg) for arg in call.args] == [type(arg) for arg in args]


def test_keys_of_a_json_body_come_sorted() -> None:
    call = route("POST", "/one", b'{"z": {"b": 1, "a": [{"d": 1, "c": 2}]}, "a": 1}')
    assert str(call.args) == "[{'a': 1, 'z': {'a': [{'c': 2, 'd': 1}], 'b': 1}}]"


@pytest.mark.parametrize(
    ("target", "body", "message"),
    [
        ("/add/1", b"", "add() expected 2 arguments, got 1"),
        ("/one", b"", "one() expected 1 argument, got 0"),
        ("/none/1", b"", "none() expected 0 arguments, got 1"),
        ("/none", b"hello", "none() expected 0 arguments, got 1"),
        ("/one/1/2", b'{"v": 1}', "one() expected 1 argument, got 2"),
        ("/signal/nobody", b"", "no handler found for signal 'nobody' in cell 'Shop'"),
    ],
)
def test_wrong_calls_are_errors_of_the_program(target: str, body: bytes, message: str) -> None:
    with pytest.raises(SomaError) as failed:
        route("POST", target, body)
    assert str(failed.value) == message


def test_private_handlers_cannot_be_reached() -> None:
    assert route("GET", "/_hidden").status == 404
    assert route("GET", "/%5fhidden").status == 404
    found = route("GET", "/signal/_hidden")
    assert (found.status, found.body) == (
        404,
        b"""{"error": "no handler for '/signal/_hidden'"}""",
    )
    assert route("GET", "/signal/%5Fhidden").status == 404


def test_not_found_names_the_public_handlers_in_one_string() -> None:
    found = route("GET", '/nope?"=1')
    assert found.status == 404
    assert found.body == (
        b'{"error": "no handler for \'/nope?\\"=1\'", "available": ["add, one, none"]}'
    )


def test_request_catches_what_no_handler_takes() -> None:
    three = with_request("method", "path", "body")
    assert route("GET", "/a%20b?x=1", router=three) == Call("request", ["GET", "/a%20b", ""])
    assert route("PUT", "/a", b"x=1", router=three) == Call("request", ["PUT", "/a", {"x": "1"}])
    assert route("GET", "/", router=three) == Call("request", ["GET", "/", ""])
    assert route("HEAD", "/", router=three) == Call("request", ["GET", "/", ""])
    assert route("GET", "/add/1/2", router=three) == Call("add", [1, 2])


def test_request_gets_the_query_iff_it_declares_it() -> None:
    four = with_request("method", "path", "body", "query")
    wanted = ["POST", "/a", [1], {"x": "2", "y": "a b"}]
    assert route("POST", "/a?x=1&y=a+b&x=2", b"[1]", router=four) == Call("request", wanted)
    assert route("GET", "/a", router=four) == Call("request", ["GET", "/a", "", {}])


def test_pages_and_files_come_before_handlers() -> None:
    router = Router("C", [Info("static", ()), Info("signal", ()), Info("request", ("m", "p", "b"))])
    assert route("GET", "/static/a%20b.css?v=1", router=router) == StaticFile("a b.css")
    assert route("GET", "/__soma", router=router) == SystemPage("")
    assert route("GET", "/__soma/", router=router) == SystemPage("")
    assert route("GET", "/__soma/health", router=router) == SystemPage("health")
    assert route("GET", "/__soma/ready", router=router) == SystemPage("ready")
    assert route("GET", "/__soma/other").status == 404
    assert route("POST", "/__soma/", router=router).status == 405
    assert route("POST", "/static/a", router=router).status == 405
    other = Call("request", ["GET", "/__soma/other", ""])
    assert route("GET", "/__soma/other", router=router) == other
    assert route("GET", "/__somatic", router=router) == Call("request", ["GET", "/__somatic", ""])
    assert route("GET", "/static", router=router) == Call("static", [])


def test_options_is_answered_without_a_handler() -> None:
    found = route("OPTIONS", "/add/1/2")
    assert isinstance(found, Response)
    assert (found.status, found.body) == (204, b"")
    assert not [name for name, _ in found.headers if name.startswith("Access-Control")]


@pytest.mark.parametrize("target", ["/one/%ff", "/one?v=%ff", "/static/%ff", "/a#b", "one"])
def test_unreadable_urls_are_refused(target: str) -> None:
    with pytest.raises(Refused) as refused:
        route("GET", target)
    assert refused.value.status == 400


def test_a_body_that_is_not_utf_8_is_refused() -> None:
    for body in (b"\xff", b'{"a": "\xff"}', b"a=\xff"):
        with pytest.raises(Refused) as refused:
            route("POST", "/one", body)
        assert refused.value.status == 400
