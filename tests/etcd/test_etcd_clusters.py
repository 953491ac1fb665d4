"""Three members of etcd, of which one dies or hangs; nodes that die; an example as processes."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import trio
from etcd_apps import ROOT, Node, nodes, run, until
from etcd_members import Members, needs_etcd

from somart import ProgramSpec, SomaError
from somart.errors import UNKNOWN

pytestmark = [pytest.mark.slow, needs_etcd]
_PAUSE = threading.Event()  # never set


@pytest.mark.parametrize("fault", ["kill", "stop"])
def test_no_acknowledged_addition_is_lost_when_a_member_fails(
    spec: ProgramSpec, three: Members, fault: str
) -> None:
    async def test() -> None:
        acknowledged, unknown = 0, 0

        async def add(node: Node, times: int) -> None:
            nonlocal acknowledged, unknown
            for _ in range(times):
                try:
                    await node.app.invoke("Bank", "add", ["sum", 1])
                    acknowledged += 1
                except SomaError as error:
                    unknown += error.kind == UNKNOWN

        async with nodes(spec, three.endpoints, 3, rotate=True) as found:
            async with trio.open_nursery() as clients:
                for node in found:
                    for _ in range(3):
                        clients.start_soon(add, node, 15)
                await until(lambda: acknowledged >= 20)
                if fault == "kill":
                    await trio.to_thread.run_sync(three.kill, 0)
                else:
                    three.signal(0, signal.SIGSTOP)
            results = [await node.app.invoke("Bank", "get", ["sum"]) for node in found]
            assert len(set(results)) == 1
            assert acknowledged <= results[0] <= acknowledged + unknown
            assert acknowledged >= 100
        if fault == "kill":
            three.start(0)
        else:
            three.signal(0, signal.SIGCONT)
        await trio.to_thread.run_sync(three.wait)

    run(test)


def test_a_watch_on_a_member_that_is_cut_off_moves_to_another_one(
    spec: ProgramSpec, three: Members
) -> None:
    async def test() -> None:
        async with nodes(spec, three.endpoints, 2, rotate=True) as (a, b):
            await a.app.invoke("Bank", "put", ["x", 1])
            assert await b.app.invoke("Bank", "get", ["x"]) == 1
            three.signal(0, signal.SIGSTOP)  # that of the first node's watch
            try:
                await b.app.invoke("Bank", "put", ["x", 2])
                began = trio.current_time()
                assert await a.app.invoke("Bank", "get", ["x"]) == 2
                assert trio.current_time() - began < 5
            finally:
                three.signal(0, signal.SIGCONT)
        await trio.to_thread.run_sync(three.wait)

    run(test)


# --- processes -----------------------------------------------------------------------------------

MANIFEST = """
[package]
name = "pricing"

[cluster]
engine = "etcd"
etcd_prefix = "/soma/processes/"
"""


class Served:
    """`soma serve` of the pricing example as a process."""

    def __init__(self, folder: Path, name: str, endpoints: tuple[str, ...]) -> None:
        self._log = folder / f"{name}.log"
        command = ["timeout", "-k", "1", "60", sys.executable, "-m", "somac", "serve", "app.cell"]
        command += ["-p", "0", "--data", name, "--node-id", name]
        environment = {**os.environ, "SOMA_ETCD_ENDPOINTS": ",".join(endpoints)}
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                cwd=folder,
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.port = self._wait()

    def _wait(self) -> int:
        for _ in range(1_000):
            text = self._log.read_text("utf-8")
            found = re.search(r"listening on http://localhost:(\d+)", text)
            if found:
                self.port = int(found[1])
                with suppress(OSError):
                    if self.get("/__soma/ready")[0] == 200:
                        return self.port
            assert self._process.poll() is None, text
            _PAUSE.wait(0.02)
        raise AssertionError(text)

    def get(self, path: str) -> tuple[int, Any]:
        return self._request("GET", path, None)

    def call(self, handler: str, **args: Any) -> tuple[int, Any]:
        return self._request("POST", f"/{handler}", json.dumps(args))

    def repeat(self, key: str, handler: str, **args: Any) -> tuple[int, Any]:
        return self._request("POST", f"/{handler}", json.dumps(args), {"Idempotency-Key": key})

    def _request(
        self, method: str, path: str, body: str | None, headers: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            text = answer.read()
            return answer.status, json.loads(text) if text[:1] in b"{[" else text
        finally:
            connection.close()

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(5)


def test_served_nodes_share_what_they_have_in_etcd_and_one_may_die(
    tmp_path: Path, three: Members
) -> None:
    source = (ROOT / "examples" / "pricing" / "app.cell").read_text("utf-8")
    (tmp_path / "app.cell").write_text(source, encoding="utf-8")
    (tmp_path / "soma.toml").write_text(MANIFEST, encoding="utf-8")
    found: list[Served] = []
    try:
        found += [Served(tmp_path, name, three.endpoints) for name in ("n1", "n2")]
        first, second = found
        trade = {"id": "T1", "symbol": "ACME", "quantity": 10, "price": 5.0}
        assert first.call("book_trade", data=trade)[0] == 200
        assert second.call("confirm", id="T1")[1]["status"] == "confirmed"
        assert first.call("trade", id="T1")[1]["status"] == "confirmed"
        status = second.get("/__soma/cluster")[1]
        assert status["leader"] == "n1"
        assert list(status["etcd"]["nodes"]) == ["n1", "n2"]
        moved = first.repeat("k1", "book_trade", data={"id": "T2", "symbol": "B"})
        assert moved[0] == 200
        assert second.repeat("k1", "book_trade", data={"id": "T2", "symbol": "B"}) == moved
        first.kill()
        assert second.call("execute", id="T1")[1]["status"] == "executed"
        for _ in range(1_000):  # until the lease of the first one has run out
            status = second.get("/__soma/cluster")[1]
            if status["leader"] == "n2" and list(status["etcd"]["nodes"]) == ["n2"]:
                break
            _PAUSE.wait(0.02)
        assert status["leader"] == "n2"
        assert list(status["etcd"]["nodes"]) == ["n2"]
        found.append(Served(tmp_path, "n1", three.endpoints))
        assert found[-1].call("trade", id="T1")[1]["status"] == "executed"
    finally:
        for node in found:
            node.kill()
