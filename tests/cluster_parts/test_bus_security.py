"""Who is not trusted learns nothing, changes nothing, and costs little (issue 4: security)."""

from __future__ import annotations

import resource
from contextlib import suppress
from pathlib import Path

import pytest
import trio
import trio.lowlevel
from authority import Authority
from bus_parts import (
    CONFIG,
    SECRET,
    Memo,
    between,
    connect,
    hello,
    ignore,
    run,
    running_bus,
    stranger,
    until,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from somart.cluster.channel import LinkError
from somart.cluster.config import ClusterConfig
from somart.cluster.frames import HEADER, FrameWriter
from somart.cluster.messages import Handled, Heartbeat
from somart.cluster.options import TlsFiles
from somart.cluster.outputs import Send
from somart.cluster.protection import Protection, ProtectionError, tls_of
from somart.cluster.quiet import INTERVAL_MS, LINES, Complaints


async def all_of(stream: trio.abc.ReceiveStream) -> bytes:
    """What is sent until the other side closes."""
    received = bytearray()
    try:
        while data := await stream.receive_some():
            received += data
    except trio.BrokenResourceError:
        pass
    return bytes(received)


def test_a_stranger_learns_nothing_and_changes_nothing() -> None:
    async def test() -> None:
        core = Memo()
        secret_bus = running_bus(
            core, id="node-of-this-test", secret=SECRET, digests={"scale": "1"}
        )
        async with secret_bus as on_a:
            await trio.lowlevel.checkpoint()
            async with stranger(on_a) as stream:
                with trio.move_on_after(0.05):  # who connects and waits hears nothing at all
                    assert await stream.receive_some() == b"nothing"
                await stream.send_all(FrameWriter(1000).frame(Heartbeat(1, [])))
                assert await all_of(stream) == b""
            for me in (None, b"the wrong secret, quite wrong"):
                with pytest.raises(LinkError, match=r"^refused: not authenticated$"):
                    await connect(on_a, hello("b"), me)
            await until(lambda: len(on_a.log) == 3)
            assert on_a.log[0].startswith("bus: refused 127.0.0.1: no handshake")
            expected = "bus: refused 127.0.0.1: the other side does not know the cluster secret"
            assert on_a.log[1:] == [expected, expected]
            assert core.events == []
            assert core.heard == []

    run(test)


def test_a_recorded_handshake_opens_nothing() -> None:
    async def test() -> None:
        core = Memo()
        said: list[bytes] = []
        async with running_bus(core, secret=SECRET) as on_a:
            async with between(on_a, said) as address, trio.open_nursery() as nursery:
                channel = await connect(address, hello("b"), SECRET)
                channel.send(Heartbeat(7, []))
                nursery.start_soon(channel.run, ignore)
                await until(lambda: core.heard)
                channel.close("done")
                await until(lambda: not core.hellos)
            async with stranger(on_a) as replay:
                for piece in said:
                    await replay.send_all(piece)
                assert b"not authenticated" in await all_of(replay)
            assert core.events == ["+b", "-b"]
            assert len(core.heard) == 1

    run(test)


def test_nobody_in_between_can_say_anything() -> None:
    """After the handshake a forged frame costs the link, and is not delivered."""

    async def test() -> None:
        core = Memo()
        async with running_bus(core, secret=SECRET) as on_a:
            channel = await connect(on_a, hello("b"), SECRET)
            forged = FrameWriter(1000).frame(Heartbeat(1, []))
            await channel._stream.send_all(forged)  # as somebody on the wire could
            await channel.run(ignore)
            await until(lambda: core.events == ["+b", "-b"])
            assert core.heard == []
            await until(lambda: on_a.log)
            assert on_a.log == ["bus: link with 'b' closed: a frame whose seal is wrong"]

    run(test)


async def push(stream: trio.abc.SendStream, data: bytes, pause: float = 0) -> None:
    """Sends until the other side has had enough."""
    for _ in range(100):
        await stream.send_all(data)
        await trio.sleep(pause)


def test_an_oversize_frame_is_not_buffered() -> None:
    async def test() -> None:
        async with running_bus(Memo(), secret=SECRET) as on_a:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            async with stranger(on_a) as stream:
                await stream.send_all(HEADER.pack(2**31))
                with pytest.raises(trio.BrokenResourceError):
                    await push(stream, bytes(1024 * 1024))
            after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            assert after - before < 20 * 1024  # KiB
            assert on_a.log == [
                "bus: refused 127.0.0.1: a frame of 2147483648 bytes, 65536 are allowed"
            ]
            channel = await connect(on_a, hello("b"), SECRET)
            await channel._stream.send_all(HEADER.pack(CONFIG.frame_bytes + 1))
            await channel.run(ignore)
            await until(lambda: len(on_a.log) == 2)
            assert "closed: a frame of 67108865 bytes, 67108864 are allowed" in on_a.log[1]

    run(test)


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=4), st.booleans())
def test_garbage_is_closed_with_one_line(pieces: list[bytes], framed: bool) -> None:
    async def test() -> None:
        core = Memo()
        config = ClusterConfig(handshake_ms=40)  # an incomplete frame may wait for its rest
        async with running_bus(core, secret=SECRET, config=config) as on_a:
            async with stranger(on_a) as stream:
                with suppress(trio.BrokenResourceError):
                    for piece in pieces:
                        await stream.send_all(HEADER.pack(len(piece)) + piece if framed else piece)
                await all_of(stream)
            await until(lambda: on_a.log)
            assert len(on_a.log) == 1
            assert on_a.log[0].startswith("bus: refused 127.0.0.1: ")
            assert core.events == []

    run(test)


@pytest.mark.slow
def test_half_open_handshakes_are_few_and_short() -> None:
    config = ClusterConfig(pending_links=8, handshake_ms=300)

    async def test() -> None:
        core = Memo()
        async with running_bus(core, secret=SECRET, config=config) as on_a:
            flood = [await trio.open_tcp_stream("127.0.0.1", on_a.port) for _ in range(100)]
            await until(lambda: on_a.bus.pending == 8)
            channel = await connect(on_a, hello("b"), SECRET)  # a node gets through
            await until(lambda: core.hellos)
            await until(lambda: on_a.bus.pending == 0)
            assert len(on_a.log) == LINES  # not a line for each
            assert {line.rpartition(": ")[2] for line in on_a.log} == {
                "too many connections wait to be trusted"
            }
            channel.close("done")
            await channel.run(ignore)
            for stream in flood:
                await trio.aclose_forcefully(stream)

    run(test)


def test_a_handshake_that_drips_ends_in_time() -> None:
    config = ClusterConfig(handshake_ms=100)

    async def test() -> None:
        async with running_bus(Memo(), secret=SECRET, config=config) as on_a:
            async with stranger(on_a) as stream:
                await stream.send_all(HEADER.pack(1_000))
                with pytest.raises(trio.BrokenResourceError):
                    await push(stream, b"\0", pause=0.02)
            assert on_a.log == ["bus: refused 127.0.0.1: the handshake took too long"]

    run(test)


class Hand:
    """A clock that is set by hand."""

    now = 0

    def monotonic(self) -> int:
        return self.now

    def wall(self) -> int:
        return self.now


def test_complaints_are_counted_when_there_are_too_many() -> None:
    clock, lines = Hand(), []
    complaints = Complaints(clock, lines.append)
    for number in range(LINES + 7):
        complaints.say(f"line {number}")
    assert lines == [f"line {number}" for number in range(LINES)]
    clock.now = INTERVAL_MS
    complaints.say("later")
    assert lines[LINES:] == ["bus: 7 more lines like these were left out", "later"]


# --- TLS -----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_tls_lets_in_whom_the_authority_has_signed(tmp_path: Path) -> None:
    ours, theirs = Authority(tmp_path, "ours"), Authority(tmp_path, "theirs")
    of_a = Protection(tls=tls_of(ours.node("a")))
    of_b = Protection(SECRET, tls_of(ours.node("b")))
    stranger_tls = Protection(tls=tls_of(theirs.node("x")))

    async def test() -> None:
        core = Memo()
        async with running_bus(core, protection=of_a) as on_a, trio.open_nursery() as nursery:
            channel = await connect(on_a, hello("b"), protection=of_a)
            nursery.start_soon(channel.run, ignore)
            channel.send(Heartbeat(1, []))
            await until(lambda: core.heard)
            for wrong in (stranger_tls, Protection(), Protection(SECRET)):
                with pytest.raises(LinkError):
                    await connect(on_a, hello("c"), protection=wrong)
            await until(lambda: len(on_a.log) >= 3)
            assert all("refused 127.0.0.1: no TLS" in line for line in on_a.log)
            assert core.events == ["+b"]
            nursery.cancel_scope.cancel()
        async with running_bus(core, protection=of_b) as on_b:
            with pytest.raises(LinkError, match="not authenticated"):  # both, where both are set
                await connect(on_b, hello("c"), protection=of_a)

    run(test)


def test_tls_files_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "ours")
    a, b = authority.node("a"), authority.node("b")
    with pytest.raises(ProtectionError, match="TLS files do not fit"):
        tls_of(TlsFiles(a.certificate, b.key, a.authority))
    with pytest.raises(ProtectionError, match="TLS files do not fit"):
        tls_of(TlsFiles(a.certificate, a.key, tmp_path / "missing.pem"))


def test_only_this_machine_may_watch_an_unprotected_bus() -> None:
    async def test() -> None:
        async with running_bus(Memo()) as open_bus:
            judge = open_bus.bus._judge
            reason = "only this machine may watch a bus without secret and TLS"
            assert judge(hello(role="tail"), "10.1.2.3") == reason
            assert judge(hello(role="tail"), "127.0.0.1") is None
            assert judge(hello(role="admin"), "10.1.2.3") == reason.replace("watch", "command")
            assert judge(hello(role="admin"), "127.0.0.1") == "not a node of a cluster"
        async with running_bus(Memo(), secret=SECRET) as closed_bus:
            assert closed_bus.bus._judge(hello(role="tail"), "10.1.2.3") is None

    run(test)


def test_messages_of_the_wrong_role_close_the_link() -> None:
    """A link cannot speak as a node: what it says never reaches the core."""

    async def test() -> None:
        core = Memo()
        async with running_bus(core) as on_a:
            watcher = await connect(on_a, hello("w", role="tail"))
            watcher.send(Heartbeat(1, []))
            watcher.send(Handled(1))
            watcher.finish()
            await watcher.run(ignore)
            core.outputs.append(Send("w", Heartbeat(1, [])))
            on_a.bus.pump()
            assert core.heard == []
            assert core.events == []

    run(test)
