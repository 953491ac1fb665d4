"""The bus between nodes: links are made, kept, mended and bounded, over real sockets."""

from __future__ import annotations

import time

import pytest
import trio
import trio.testing
from bus_parts import SECRET, Memo, connect, hello, ignore, run, running_bus, stranger, until

from somart.cluster.channel import LinkError
from somart.cluster.config import ClusterConfig
from somart.cluster.messages import Alive, Batch, Heartbeat, Status
from somart.cluster.outputs import Dial, Drop, Note, Send, Undial
from somart.cluster.protection import is_loopback, require_protection


@pytest.mark.parametrize("secret", [None, SECRET])
def test_two_nodes_talk(secret: bytes | None) -> None:
    async def test() -> None:
        a, b = Memo(), Memo()
        b.echo = lambda peer, message: [Send(peer, Alive(message.number, "b", []))]  # type: ignore
        async with (
            running_bus(b, id="b", secret=secret) as on_b,
            running_bus(a, id="a", secret=secret) as on_a,
        ):
            a.outputs.append(Dial(on_b.address))
            on_a.bus.pump()
            await until(lambda: a.hellos and b.hellos)
            assert a.hellos["b"].address == on_b.address
            a.outputs += [Send("b", Heartbeat(n, [])) for n in range(500)]
            on_a.bus.pump()
            await until(lambda: len(a.heard) == 500)
            assert [message for _, message in a.heard] == [Alive(n, "b", []) for n in range(500)]
            assert on_a.bus.peers == ("b",)
            assert a.events == ["+b"]

    run(test)


def test_a_seed_that_comes_later_is_found_and_found_again() -> None:
    async def test() -> None:
        a = Memo()
        async with running_bus() as reserved:
            port = reserved.port
        a.outputs.append(Dial(f"127.0.0.1:{port}"))
        async with running_bus(a, id="a") as on_a:
            await until(lambda: on_a.log)
            for _ in range(2):
                async with running_bus(Memo(), id="b", port=port):
                    await until(lambda: a.hellos)
                await until(lambda: not a.hellos)
            assert a.events == ["+b", "-b", "+b", "-b"]
            refused = f"bus: cannot link with 127.0.0.1:{port}: Connection refused (os error 111)"
            assert on_a.log[0] == refused
            assert on_a.log.count(refused) <= 3  # once per absence, not once per attempt

    run(test)


@pytest.mark.parametrize("attempt", range(5))
def test_of_two_links_that_cross_one_is_kept(attempt: int) -> None:
    async def test() -> None:
        a, b = Memo(), Memo()
        async with running_bus(a, id="a") as on_a, running_bus(b, id="b") as on_b:
            a.outputs.append(Dial(on_b.address))
            b.outputs.append(Dial(on_a.address))
            on_a.bus.pump()
            on_b.bus.pump()
            await until(lambda: a.hellos and b.hellos)
            await trio.sleep(0.03)  # whichever is to be closed has been
            assert (on_a.bus.peers, on_b.bus.peers) == (("b",), ("a",))
            a.outputs.append(Send("b", Heartbeat(attempt, [])))
            on_a.bus.pump()
            await until(lambda: b.heard)
            assert max(len(a.events), len(b.events)) <= 3
            assert not on_a.log + on_b.log

    run(test)


def test_a_node_that_lost_its_link_gets_a_new_one() -> None:
    """A second link from the same dialler, or from a new process, takes the place of the first."""

    async def test() -> None:
        a = Memo()
        async with running_bus(a, id="a") as on_a, trio.open_nursery() as nursery:
            me = hello("b")
            for who in (me, me, hello("b")):
                channel = await connect(on_a, who)
                nursery.start_soon(channel.run, ignore)
                await until(lambda who=who: a.hellos.get("b") == who)
            assert a.events == ["+b", "-b", "+b", "-b", "+b"]
            nursery.cancel_scope.cancel()

    run(test)


def test_undial_and_drop() -> None:
    async def test() -> None:
        a, b = Memo(), Memo()
        async with running_bus(a, id="a") as on_a, running_bus(b, id="b") as on_b:
            a.outputs.append(Dial(on_b.address))
            on_a.bus.pump()
            await until(lambda: a.hellos)
            a.outputs += [Undial(on_b.address), Drop("b", "no longer wanted"), Note("dropped")]
            on_a.bus.pump()
            await until(lambda: not b.hellos)
            await trio.sleep(0.05)
            assert a.events == ["+b", "-b"]
            assert on_a.log == ["dropped", "bus: link with 'b' closed: no longer wanted"]

    run(test)


def test_the_core_is_woken_when_it_wants() -> None:
    async def test() -> None:
        a = Memo()
        async with running_bus(a) as on_a:
            await trio.testing.wait_all_tasks_blocked()
            assert a.ticks == 0
            a.wakeup = time.monotonic_ns() // 1_000_000 + 30
            on_a.bus.pump()
            due = a.wakeup
            await until(lambda: a.ticks)
            assert time.monotonic_ns() // 1_000_000 >= due

    run(test)


def test_who_is_refused_and_why() -> None:
    async def test() -> None:
        digests = {"scale of Q": "1", "slot jobs of Q": "2"}
        a = Memo()
        async with running_bus(a, id="a", digests=digests) as on_a:
            for me, reason in [
                (hello("b", digests={**digests, "slot jobs of Q": "3"}), "slot jobs of Q differs"),
                (hello("a", digests=digests), "another process has the id 'a' of this node"),
                (hello("b", role="link"), "no links here"),
                (hello("b", role="status"), "not a node of a cluster"),
            ]:
                with pytest.raises(LinkError, match=reason):
                    await connect(on_a, me)
                await until(lambda reason=reason: on_a.log and reason in on_a.log[-1])
            a.refuses = "not today"
            with pytest.raises(LinkError, match="refused: not today"):
                await connect(on_a, hello("b", digests=digests))
            await until(lambda: len(on_a.log) == 5)
        async with running_bus() as alone:
            with pytest.raises(LinkError, match="not a node of a cluster"):
                await connect(alone)
        assert a.events == []

    run(test)


def test_dialling_itself_ends() -> None:
    async def test() -> None:
        a = Memo()
        async with running_bus(a, id="a") as on_a:
            a.outputs.append(Dial(on_a.address))
            on_a.bus.pump()
            await until(lambda: on_a.log)
            await trio.sleep(0.05)
            assert on_a.log == ["bus: refused 127.0.0.1: it is this node itself"]

    run(test)


def test_the_http_address_of_a_node_will_do() -> None:
    async def web(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await stream.send_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

    async def test() -> None:
        a = Memo()
        async with (
            running_bus(Memo(), id="b") as on_b,
            running_bus(a, id="a") as on_a,
            trio.open_nursery() as nursery,
        ):
            try:
                listeners = await trio.open_tcp_listeners(on_b.port - 2, host="127.0.0.1")
            except OSError:
                pytest.skip("the port below is taken")
            nursery.start_soon(trio.serve_listeners, web, listeners)
            a.outputs.append(Dial(f"127.0.0.1:{on_b.port - 2}"))
            on_a.bus.pump()
            await until(lambda: a.hellos)
            nursery.cancel_scope.cancel()

    run(test)


def test_a_slow_reader_loses_its_link_and_memory_stays_bounded() -> None:
    config = ClusterConfig(queue_frames=100, queue_bytes=1024 * 1024)

    async def test() -> None:
        a = Memo()
        async with running_bus(a, id="a", config=config) as on_a:
            channel = await connect(on_a, hello("b"))  # it never reads
            await until(lambda: a.hellos)
            most, sent = (0, 0), 0
            while a.hellos:
                a.outputs.append(Send("b", Batch("a", sent, 0, {"x" * 200: 1}, [])))
                on_a.bus.pump()
                most = max(most, on_a.bus.backlog("b"))
                sent += 1
                assert sent < 1_000_000
                if sent % 20 == 0:
                    await trio.lowlevel.checkpoint()
            assert most[0] <= 100
            assert most[1] <= 1024 * 1024
            await until(lambda: on_a.log)
            assert len(on_a.log) == 1
            assert on_a.log[0].startswith("bus: link with 'b' closed: it reads too slowly: 100 fr")
            channel.close("done")
            await channel.run(ignore)

    run(test)


def test_what_is_queued_is_sent_before_a_node_stops() -> None:
    async def test() -> None:
        a, b = Memo(), Memo()
        async with running_bus(b, id="b") as on_b, running_bus(a, id="a") as on_a:
            a.outputs.append(Dial(on_b.address))
            on_a.bus.pump()
            await until(lambda: a.hellos)
            b.outputs += [Send("a", Heartbeat(n, [])) for n in range(300)]
            a.outputs += [Send("b", Heartbeat(n, [])) for n in range(300)]
            on_a.bus.stop()
            await until(lambda: not b.hellos)
            assert len(b.heard) == 300
            assert on_b.log == []

    run(test)


def test_a_bus_that_stops_dials_nobody_any_more() -> None:
    async def test() -> None:
        a, b = Memo(), Memo()
        async with running_bus(b, id="b") as on_b, running_bus(a, id="a") as on_a:
            on_a.bus.stop()
            a.outputs.append(Dial(on_b.address))
            on_a.bus.pump()
            await trio.testing.wait_all_tasks_blocked()
            assert b.events == []
            assert on_a.log == []

    run(test)


def test_who_only_looks_leaves_no_line() -> None:
    async def test() -> None:
        async with running_bus(Memo(), id="a") as on_a:
            for _ in range(3):
                async with stranger(on_a):
                    await until(lambda: on_a.bus.pending)
                await until(lambda: not on_a.bus.pending)
            assert on_a.log == []

    run(test)


def test_a_fault_of_the_core_costs_one_link() -> None:
    async def test() -> None:
        a = Memo()
        a.echo = lambda peer, message: [][1]
        async with running_bus(a, id="a") as on_a, trio.open_nursery() as nursery:
            channel = await connect(on_a, hello("b"))
            nursery.start_soon(channel.run, ignore)
            channel.send(Heartbeat(1, []))
            await channel.ended.wait()
            assert on_a.log == ["internal error: IndexError('list index out of range')"]
            again = await connect(on_a, hello("b"))
            nursery.start_soon(again.run, ignore)
            await until(lambda: a.events == ["+b", "-b", "+b"])
            nursery.cancel_scope.cancel()

    run(test)


def test_status_is_told_and_the_link_ends() -> None:
    async def test() -> None:
        heard: list[object] = []

        async def receive(batch: object) -> None:
            heard.extend(message for message, _ in batch)  # type: ignore[attr-defined]

        async with running_bus(Memo(), secret=SECRET, status=lambda: '{"node": "x"}') as on_a:
            channel = await connect(on_a, hello("", role="status"), SECRET)
            await channel.run(receive)
            assert heard == [Status('{"node": "x"}')]

    run(test)


@pytest.mark.parametrize(
    ("host", "secret", "tls", "insecure", "allowed"),
    [
        ("127.0.0.1", None, False, False, True),
        ("localhost", None, False, False, True),
        ("::1", None, False, False, True),
        ("[::1]", None, False, False, True),
        ("0.0.0.0", None, False, False, False),
        ("::", None, False, False, False),
        ("10.1.2.3", None, False, False, False),
        ("node1.example.org", None, False, False, False),
        ("10.1.2.3", b"secret", False, False, True),
        ("10.1.2.3", None, True, False, True),
        ("10.1.2.3", None, False, True, True),
    ],
)
def test_who_may_listen_where(
    host: str, secret: bytes | None, tls: bool, insecure: bool, allowed: bool
) -> None:
    reason = require_protection(host, secret, tls, insecure)
    assert (reason is None) == allowed
    assert reason is None or ("--cluster-secret-file" in reason and host in reason)
    assert is_loopback(host) == (host in ("127.0.0.1", "localhost", "::1", "[::1]"))
