"""`somac cluster` against wrong addresses, and against a node without a cluster."""

from __future__ import annotations

import errno
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from somac.cli import dialling, run_command
from somac.cli.process import BROKEN_PIPE
from somart.cluster.handshake import Hello
from somart.cluster.messages import Traffic

PROGRAM = "cell Hello { on greet() { 1 } }"


@pytest.mark.slow
@pytest.mark.parametrize("words", [("status", "nowhere"), ("leave", "h:99999")])
def test_misuse(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["cluster", *words]) == 2
    assert "is no address: HOST:PORT" in capsys.readouterr().err


@pytest.mark.slow
def test_half_of_the_tls_files_is_misuse(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["cluster", "status", "localhost:9", "--tls-cert", "x.pem"]) == 2
    assert "TLS needs all of" in capsys.readouterr().err


@pytest.mark.parametrize("words", [("bus", "tail", "h:1"), ("cluster", "status", "h:1")])
def test_a_secret_that_cannot_be_read_is_misuse(
    words: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "no-such"
    assert run_command([*words, "--secret-file", str(file)]) == 2
    assert capsys.readouterr().err == (
        f"error: --secret-file: cannot read '{file}': No such file or directory"
        " (give the file that the nodes have as --cluster-secret-file)\n"
    )


class Readerless(io.StringIO):
    """An output that nobody reads any more."""

    def flush(self) -> None:
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")


def test_a_tail_ends_silently_when_nobody_reads_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Chatty:
        peer = Hello("node", "n1")
        reason = ""

        async def run(self, receive: Any) -> None:
            monkeypatch.setattr(sys, "stdout", Readerless())
            await receive([(Traffic(0, "out", "n2", "EVENT x", 1, "x", 0), 1)])

    async def dial(*_: object) -> Any:
        return Chatty()

    monkeypatch.setattr(dialling, "_dial", dial)
    assert run_command(["bus", "tail", "localhost:1"]) == BROKEN_PIPE
    assert capsys.readouterr().err == "watching n1\n"


@pytest.mark.slow
def test_nobody_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["cluster", "remove", "127.0.0.1:9", "n1"]) == 1
    assert "cannot command 127.0.0.1:9: Connection refused" in capsys.readouterr().err


@pytest.mark.slow
def test_a_node_without_a_cluster_is_its_only_member(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "hello.cell").write_text(PROGRAM, encoding="utf-8")
    command = [sys.executable, "-m", "somac", "serve", "hello.cell", "-p", "0", "--quiet"]
    node = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    assert node.stderr is not None
    try:
        line = next(line for line in node.stderr if line.startswith("bus: listening on :"))
        address = f"localhost:{line.strip().rpartition(':')[2]}"
        assert run_command(["cluster", "status", address, "--json"]) == 0
        status = json.loads(capsys.readouterr().out)
        assert [member["status"] for member in status["members"]] == ["alive"]
        assert status["phase"] == "single"
        assert run_command(["cluster", "status", address]) == 0
        assert f"{address}  ready" in capsys.readouterr().out
        assert run_command(["cluster", "leave", address]) == 1
        assert "not a node of a cluster" in capsys.readouterr().err
    finally:
        node.terminate()
        node.wait(timeout=20)
        node.stderr.close()
