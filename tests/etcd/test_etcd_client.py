"""The client of etcd's gateway: endpoints, fail-over, bounded waits, users, TLS, options."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import trio
import trio.testing

from somart.engines.etcd.client import EtcdClient, EtcdError, from_wire, key_after, to_wire
from somart.engines.etcd.connection import Connection, TransportError
from somart.engines.etcd.settings import EtcdOptions, endpoint_of, etcd_options_of
from somart.spec import EtcdSpec

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def answered(body: bytes, status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)


class Member:
    """A made-up member: answers what it is told to, one per request."""

    def __init__(self, answers: list[bytes | None]) -> None:
        self.answers = answers
        self.requests: list[bytes] = []
        self.connections = 0
        self.endpoint = ""

    async def serve(self, task_status: trio.TaskStatus[None]) -> None:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        self.endpoint = f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
        task_status.started()
        await trio.serve_listeners(self._connected, listeners)

    async def _connected(self, stream: trio.SocketStream) -> None:
        self.connections += 1
        while self.answers:
            request = b""
            while not _whole(request):
                data = await stream.receive_some()
                if not data:
                    return
                request += data
            self.requests.append(request)
            answer = self.answers.pop(0)
            if answer is None:  # says nothing
                await trio.sleep_forever()
                return
            await stream.send_all(answer)
        await stream.aclose()


def _whole(request: bytes) -> bool:
    head, found, body = request.partition(b"\r\n\r\n")
    if not found:
        return False
    length = next(int(line[15:]) for line in head.split(b"\r\n") if line[:15] == b"Content-Length:")
    return len(body) >= length


def run(
    members: list[Member], test: Callable[[EtcdClient], Awaitable[None]], user: str = ""
) -> None:
    async def bounded() -> None:
        with trio.fail_after(10):
            async with trio.open_nursery() as nursery:
                for member in members:
                    await nursery.start(member.serve)
                listed = tuple(endpoint_of(member.endpoint) for member in members)
                client = EtcdClient(EtcdOptions(listed, user=user, password="p"))
                await test(client)
                await client.aclose()
                nursery.cancel_scope.cancel()

    trio.run(bounded)


def test_connections_are_kept() -> None:
    member = Member([answered(b'{"n":1}'), answered(b'{"n":2}'), answered(b'{"n":3}')])

    async def test(client: EtcdClient) -> None:
        assert [(await client.call("kv/range", {}))["n"] for _ in range(3)] == [1, 2, 3]
        assert member.connections == 1

    run([member], test)


def test_a_connection_that_was_closed_at_rest_is_not_used_again() -> None:
    first = Member([answered(b"{}")])  # closes after its only answer

    async def test(client: EtcdClient) -> None:
        await client.call("kv/range", {})
        first.answers = [answered(b'{"n":2}')]
        await trio.testing.wait_all_tasks_blocked()
        assert (await client.call("kv/range", {}))["n"] == 2

    run([first], test)


def test_the_next_member_is_asked_when_one_says_nothing() -> None:
    silent, other = Member([None, None]), Member([answered(b'{"n":2}')])

    async def test(client: EtcdClient) -> None:
        with pytest.raises(EtcdError, match="no answer in time") as late:
            await client.call("kv/txn", {}, 0.1)
        assert late.value.sent
        assert (await client.call("kv/txn", {}))["n"] == 2

    run([silent, other], test)


@pytest.mark.parametrize(
    ("status", "code", "sent"),
    [(b"400 Bad Request", 3, False), (b"503 Service Unavailable", 14, True)],
)
def test_refusals_say_whether_anything_may_have_happened(
    status: bytes, code: int, sent: bool
) -> None:
    body = json.dumps({"error": "why", "message": "why", "code": code}).encode()

    async def test(client: EtcdClient) -> None:
        with pytest.raises(EtcdError, match="why") as refused:
            await client.call("kv/txn", {})
        assert (refused.value.code, refused.value.sent) == (code, sent)

    run([Member([answered(body, status)])], test)


@pytest.mark.parametrize(
    "answer", [b"nonsense\r\n\r\n", answered(b"<html>"), b"HTTP/1.1 200 OK\r\n"]
)
def test_what_is_not_etcd_is_an_error(answer: bytes) -> None:
    async def test(client: EtcdClient) -> None:
        with pytest.raises(EtcdError) as refused:
            await client.call("kv/txn", {}, 0.3)
        assert refused.value.sent

    run([Member([answer])], test)


def test_nobody_there_is_definite() -> None:
    async def test() -> None:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        port = listeners[0].socket.getsockname()[1]
        await listeners[0].aclose()
        client = EtcdClient(EtcdOptions((endpoint_of(f"127.0.0.1:{port}"),)))
        with pytest.raises(EtcdError) as refused:
            await client.call("kv/txn", {})
        assert not refused.value.sent
        with pytest.raises(TransportError):
            await Connection.open(endpoint_of(f"127.0.0.1:{port}"), None)

    trio.run(test)


def test_a_token_is_renewed_when_it_is_no_longer_good() -> None:
    bad = json.dumps({"error": "etcdserver: invalid auth token", "code": 16}).encode()
    member = Member(
        [
            answered(b'{"token":"one"}'),
            answered(bad, b"401 Unauthorized"),
            answered(b'{"token":"two"}'),
            answered(b'{"n":1}'),
        ]
    )

    async def test(client: EtcdClient) -> None:
        assert (await client.call("kv/range", {}))["n"] == 1
        assert b"Authorization: one\r\n" in member.requests[1]
        assert b"Authorization: two\r\n" in member.requests[3]

    run([member], test, user="u")


def test_a_watch_gives_one_result_after_the_other() -> None:
    lines = b'{"result":{"created":true}}\n{"result":{"events":[1]}}\n'
    halves = b'{"result":{"ev', b'ents":[2]}}\n'
    body = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (lines, *halves))
    member = Member([HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + body + b"0\r\n\r\n"])

    async def test(client: EtcdClient) -> None:
        found = [result async for result in client.watch(to_wire("a"), to_wire("b"), 5)]
        assert found == [{"created": True}, {"events": [1]}, {"events": [2]}]
        assert b'"start_revision":"5"' in member.requests[0]

    run([member], test)


def test_keys_travel_unharmed() -> None:
    assert from_wire(to_wire("ünï/\0x")) == "ünï/\0x"
    assert from_wire(key_after(to_wire("a"))) == "a\0"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://a:1", "http://a:1"),
        ("a:1", "http://a:1"),
        ("https://a", "https://a:2379"),
        ("http://[::1]:5", "http://[::1]:5"),
    ],
)
def test_endpoints_are_read(text: str, shown: str) -> None:
    assert str(endpoint_of(text)) == shown


@pytest.mark.parametrize("text", ["ftp://a:1", "http://", "http://a:1/x", "http://u@a:1", "a:b"])
def test_what_is_no_endpoint_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"endpoint|[Pp]ort"):
        endpoint_of(text)


def test_the_environment_comes_before_the_manifest() -> None:
    assert etcd_options_of(None, {"SOMA_ETCD_ENDPOINTS": "a:1"}) is None
    spec = EtcdSpec(endpoints=("http://a:1",), prefix="/x/", authority="ca.pem")
    found = etcd_options_of(spec, {"SOMA_ETCD_USER": "u", "SOMA_ETCD_PASSWORD": "secret"})
    assert found is not None
    assert [str(one) for one in found.endpoints] == ["http://a:1"]
    assert (found.user, found.password, found.prefix) == ("u", "secret", "/x/")
    assert found.authority == Path("ca.pem")
    assert "secret" not in repr(found)
    found = etcd_options_of(spec, {"SOMA_ETCD_ENDPOINTS": "b:1, c:2"})
    assert found is not None
    assert [str(one) for one in found.endpoints] == ["http://b:1", "http://c:2"]


@pytest.mark.parametrize("spec", [EtcdSpec(prefix="/x"), EtcdSpec(certificate="a.pem")])
def test_options_that_do_not_fit_are_refused(spec: EtcdSpec) -> None:
    with pytest.raises(ValueError, match="etcd_"):
        etcd_options_of(spec, {})
