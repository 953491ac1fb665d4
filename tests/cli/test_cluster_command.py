"""`somac cluster` against wrong addresses, and against a node without a cluster."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from somac.cli import run_command

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
