"""`run --record`, `[record]` and `replay` (system reference §10)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from somac.cli import run_command

SOURCE = """
cell Dice {
    memory { rolls: Map<String, Int> [persistent] }
    on roll(who: String) {
        print("rolling")
        rolls.set(who, random(1000000))
        list(rolls.get(who), random(), now(), now_ms(), today(), rolls.len)
    }
    on slow(who: String) [record] {
        sleep(1)
        rolls.set(who, random(5, 1000000))
        fast(7)
    }
    on fast(n: Int) [native] { return n + 1 }
    on fail() { require 1 == 2 else "no" }
}
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SOMA_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "app.cell").write_text(SOURCE, encoding="utf-8")
    return tmp_path


def records(project: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (project / "app.somalog").read_text("utf-8").splitlines()]


def record(*words: str) -> None:
    assert run_command(["run", "app.cell", *words, "--record"]) == 0


def test_a_record_has_all_that_a_replay_needs(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record("roll", "ann")
    out, err = capsys.readouterr()
    assert err == "[record] writing replay log → app.somalog\n"
    [line] = records(project)
    assert list(line) == ["args", "cell", "handler", "nondet", "result", "ts", "v"]
    assert (line["args"], line["cell"], line["handler"], line["v"]) == (["ann"], "Dice", "roll", 1)
    assert line["result"] == json.loads(out.splitlines()[1])
    taken = line["nondet"]
    assert isinstance(taken, list)
    assert [item["fn"] for item in taken] == ["random", "random", "now", "now_ms", "today"]


def test_a_replay_has_the_same_results(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record("roll", "ann")
    record("roll", "bob")
    assert run_command(["run", "app.cell", "slow", "cyd"]) == 0
    assert run_command(["run", "app.cell", "fast", "1"]) == 0
    capsys.readouterr()
    assert run_command(["replay", "app.cell"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        '#1 Dice.roll("ann") ok',
        '#2 Dice.roll("bob") ok',
        '#3 Dice.slow("cyd") ok',
        "replayed 3 entries: 3 ok, 0 diverged",
    ]


def test_a_call_that_fails_is_not_recorded(project: Path) -> None:
    assert run_command(["run", "app.cell", "fail", "--record"]) == 1
    assert not (project / "app.somalog").exists()


def test_another_result_is_a_divergence(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record("fast", "1")
    record("roll", "ann")
    (project / "app.cell").write_text(SOURCE.replace("n + 1", "n + 2"), encoding="utf-8")
    capsys.readouterr()
    assert run_command(["replay", "app.cell"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "#1 Dice.fast(1) DIVERGED",
        "  recorded: 2",
        "  replayed: 3",
        '#2 Dice.roll("ann") ok',
        "replayed 2 entries: 1 ok, 1 diverged",
    ]


def test_a_divergence_names_what_came_from_outside(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record("roll", "ann")
    [line] = records(project)
    line["nondet"] = ["random", "now"]  # names only: nothing to give back
    (project / "old.log").write_text(json.dumps(line) + "\n", encoding="utf-8")
    capsys.readouterr()
    assert run_command(["replay", "app.cell", "--log", "old.log"]) == 1
    out = capsys.readouterr().out
    assert "  from outside: now now_ms random today\n" in out
    assert out.endswith("replayed 1 entries: 0 ok, 1 diverged\n")


def test_at_stops_at_a_time(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record("fast", "1")
    record("fast", "2")
    first, second = (line["ts"] for line in records(project))
    assert isinstance(first, int)
    assert isinstance(second, int)
    capsys.readouterr()
    for at, count in ((first - 1, 0), (max(first, second - 1), 1), (second, 2)):
        assert run_command(["replay", "app.cell", "--at", str(at)]) == 0
        assert f"replayed {count} entries: {count} ok" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{}\n", "app.somalog:1 is no recorded call: 'v'"),
        (b"\n[1\n", "app.somalog:2 is no recorded call: "),
        (b"\xff", "'app.somalog' is not UTF-8 (byte 0)"),
        (b'{"v": 2}', "app.somalog:1 is no recorded call: version 2, this is version 1"),
        (None, "cannot read 'app.somalog': No such file or directory (os error 2)"),
    ],
)
def test_a_log_that_cannot_be_read(
    content: bytes | None, message: str, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if content is not None:
        (project / "app.somalog").write_bytes(content)
    assert run_command(["replay", "app.cell"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"error: {message}")
