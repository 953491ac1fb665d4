"""Members of etcd on the loopback address: bounded in time, ended by their own process group."""

from __future__ import annotations

import http.client
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

MEMBER_SECONDS = "240"
_PAUSE = threading.Event()  # never set
ETCD = shutil.which("etcd")
needs_etcd = pytest.mark.skipif(
    ETCD is None, reason="no `etcd` on this machine (Debian: apt-get install etcd-server)"
)


BELOW_EPHEMERAL = (12_000, 32_000)
"""Ports that the system gives to nobody by itself: a member that restarts finds its own free."""


def _free_ports(number: int) -> list[int]:
    found: list[int] = []
    while len(found) < number:
        port = random.randrange(*BELOW_EPHEMERAL)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            if port not in found:
                found.append(port)
    return found


def _stopped(parent: int) -> bool:
    """Whether all threads of the process that `timeout` has started have stopped."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    threads = [stat for child in children for stat in Path("/proc").glob(f"{child}/task/*/stat")]
    return all(stat.read_text().rpartition(")")[2].split()[0] == "T" for stat in threads)


class Members:
    """A cluster of etcd with some members."""

    def __init__(
        self, folder: Path, size: int, extra: tuple[str, ...] = (), tls: bool = False
    ) -> None:
        ports = _free_ports(2 * size)
        self._folder = folder
        self._extra = extra
        self._clients, self._peers = ports[:size], ports[size:]
        scheme = "https" if tls else "http"
        self.endpoints = tuple(f"{scheme}://127.0.0.1:{port}" for port in self._clients)
        self._tls = tls
        self._processes: list[subprocess.Popen[bytes] | None] = [None] * size
        for index in range(size):
            self.start(index)
        self.wait()

    def start(self, index: int) -> None:
        """Starts a member, with the data that it has."""
        names = [f"m{i}" for i in range(len(self._peers))]
        urls = [f"http://127.0.0.1:{port}" for port in self._peers]
        command = ["timeout", "-k", "1", MEMBER_SECONDS, ETCD or "etcd"]
        command += ["--name", names[index], "--data-dir", str(self._folder / names[index])]
        command += ["--listen-client-urls", self.endpoints[index]]
        command += ["--advertise-client-urls", self.endpoints[index]]
        command += ["--listen-peer-urls", urls[index]]
        command += ["--initial-advertise-peer-urls", urls[index]]
        command += ["--initial-cluster", ",".join(map("=".join, zip(names, urls, strict=True)))]
        command += ["--heartbeat-interval", "50", "--election-timeout", "500"]
        command += ["--logger", "zap", "--log-level", "error", *self._extra]
        with (self._folder / f"{names[index]}.log").open("ab") as log:
            self._processes[index] = subprocess.Popen(
                command, stdout=log, stderr=log, start_new_session=True
            )

    def signal(self, index: int, number: signal.Signals) -> None:
        """Sends a signal to a member; returns from SIGSTOP when nothing of it runs any more."""
        process = self._processes[index]
        assert process is not None
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        deadline = time.monotonic() + 20
        while number == signal.SIGSTOP and not _stopped(process.pid):
            assert time.monotonic() < deadline, "etcd does not stop"
            _PAUSE.wait(0.002)

    def kill(self, index: int) -> None:
        """Ends a member at once."""
        self.signal(index, signal.SIGKILL)
        process = self._processes[index]
        assert process is not None
        process.wait(5)
        self._processes[index] = None

    def leader(self, besides: int = -1) -> int:
        """The member that leads, as it says itself; waits for one `besides` another."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            for index, process in enumerate(self._processes):
                about = self._status(index) if process is not None and index != besides else {}
                if about and about["header"]["member_id"] == about.get("leader"):
                    return index
            _PAUSE.wait(0.02)
        raise AssertionError("no member of etcd leads")

    def _status(self, index: int) -> dict[str, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self._clients[index], timeout=1)
        try:
            connection.request("POST", "/v3/maintenance/status", "{}")
            found: dict[str, Any] = json.loads(connection.getresponse().read())
            return found if "header" in found else {}
        except (OSError, http.client.HTTPException, ValueError):
            return {}
        finally:
            connection.close()

    def wipe(self, index: int) -> None:
        """Takes away what a member had stored."""
        shutil.rmtree(self._folder / f"m{index}")

    def wait(self) -> None:
        """Until every member that runs says that it is healthy."""
        deadline = time.monotonic() + 20
        for index, process in enumerate(self._processes):
            while process is not None and not self._healthy(index):
                assert time.monotonic() < deadline, f"etcd does not start: {self._log(index)}"
                ended = process.poll() is not None
                if ended and "address already in use" in self._log(index):
                    self.start(index)  # by who was killed just now, or another who looks for a port
                    process = self._processes[index]
                else:
                    assert not ended, f"etcd has ended: {self._log(index)}"
                _PAUSE.wait(0.02)

    def _healthy(self, index: int) -> bool:
        if self._tls:  # whoever calls has the certificates, and asks until it answers
            return True
        connection = http.client.HTTPConnection("127.0.0.1", self._clients[index], timeout=1)
        try:
            connection.request("GET", "/health")
            return connection.getresponse().read() == b'{"health":"true"}'
        except OSError:
            return False
        finally:
            connection.close()

    def _log(self, index: int) -> str:
        return (self._folder / f"m{index}.log").read_text("utf-8", "replace")[-600:]

    def close(self) -> None:
        """Ends all members."""
        for index, process in enumerate(self._processes):
            if process is not None:
                self.signal(index, signal.SIGCONT)
                self.kill(index)

    def mend(self) -> None:
        """All members run again, and are healthy."""
        for index, process in enumerate(self._processes):
            if process is None:
                self.start(index)
            else:
                self.signal(index, signal.SIGCONT)
        self.wait()
