"""Who wants to connect while the server stops: nobody is accepted by the system and then reset."""

from __future__ import annotations

import errno
import select
import socket
import sys

import pytest

from somart.serve.newcomers import turn_away

SYN_SENT = b"\x02"  # of TCP_INFO's first field
SECONDS = 10


@pytest.mark.skipif(sys.platform != "linux", reason="filters on sockets are Linux's")
def test_nobody_connects_any_more_and_who_has_connected_stays() -> None:
    with socket.socket() as listener, socket.socket() as late:
        listener.bind(("127.0.0.1", 0))
        listener.listen(8)
        address = listener.getsockname()
        with socket.create_connection(address, timeout=SECONDS) as early:
            assert turn_away(listener)
            late.setblocking(False)
            assert late.connect_ex(address) == errno.EINPROGRESS
            assert late.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1) == SYN_SENT
            early.sendall(b"question")
            served, _ = listener.accept()
            with served:
                listener.setblocking(False)
                with pytest.raises(BlockingIOError):
                    listener.accept()
                listener.close()
                assert served.recv(100) == b"question"
                served.sendall(b"answer")
                assert early.recv(100) == b"answer"
        assert select.select([], [late], [], SECONDS)[1], "its second try ends"
        assert late.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNREFUSED


def test_where_there_are_no_filters_everything_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "other")
    with socket.socket() as listener:
        assert not turn_away(listener)
    monkeypatch.setattr(sys, "platform", "linux")
    assert not turn_away(listener), "a closed socket takes none"
