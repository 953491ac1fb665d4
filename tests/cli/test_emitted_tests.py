"""`soma verify --emit-tests DIR`: the tests that it writes pass, because the defects are real."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from somac.cli.walking import built, journey, walk
from somart.errors import SomaError

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
QUEUE = """\
cell Queue {
    memory { tries: Map<String, Int> }
    state job {
        initial: new
        new -> running
        running -> failed
        failed -> running
        running -> done
    }
    on start(id: String) { transition(id, "running") }
    on fail(id: String) {
        tries.set(id, (tries.get(id) ?? 0) + 1)
        transition(id, "failed")
    }
    on finish(id: String, ok: Bool) { transition(id, "done") }
}
"""
PACKAGE = '[package]\nname = "app"\n[verify]\n'


def passes(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "."],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.slow
def test_the_papers_bug_happens_in_the_running_program(soma, tmp_path: Path) -> None:
    done = soma("verify", EXAMPLES / "pricing-paper" / "app.cell", "--emit-tests", "found")
    assert done.code == 1
    assert done.err.endswith("tests: 1 written to found\n")
    (path,) = (tmp_path / "found").iterdir()
    assert path.name == "test_trade_lifecycle_after_executed_state_cancelled.py"
    states = re.findall(r'^        "(\w+)",$', path.read_text("utf-8"), re.MULTILINE)
    assert states == ["pending", "confirmed", "executed", "failed", "pending", "cancelled"]
    assert " passed" in passes(tmp_path / "found").stdout
    again = path.read_bytes()
    soma("verify", EXAMPLES / "pricing-paper" / "app.cell", "--emit-tests", "found")
    assert path.read_bytes() == again


@pytest.mark.slow
def test_lassos_and_formulas_are_walked_too_and_fail_once_mended(
    soma, cell, tmp_path: Path
) -> None:
    path = cell(QUEUE)
    formulas = 'ctl = { safe = "AG !done", "sa fe" = "AG !failed" }\n'
    cell(f'{PACKAGE}eventually = ["done"]\nnever = ["done"]\n{formulas}', "soma.toml")
    assert soma("verify", path, "--emit-tests", "deep/tests").code == 1
    folder = tmp_path / "deep" / "tests"
    assert len(list(folder.glob("test_*.py"))) == 4
    lasso = (folder / "test_job_eventually_state_in_done.py").read_text("utf-8")
    states = re.findall(r'^        "(\w+)",$', lasso, re.MULTILINE)
    assert states == ["new", "running", *["failed", "running"] * 2]
    done = passes(folder)
    assert done.returncode == 0, done.stdout
    (tmp_path / "app.cell").write_text(QUEUE.replace("failed -> running\n", "\n"), "utf-8")
    done = passes(folder)
    assert "1 failed, 3 passed" in done.stdout
    assert "invalid transition: failed → running" in done.stdout


@pytest.mark.slow
def test_handlers_take_the_steps_that_they_can(tmp_path: Path) -> None:
    source = tmp_path / "app.cell"
    counting = QUEUE.replace(
        "failed -> running\n", "failed -> running { guard { tries.len == 1 } }\n"
    )
    source.write_text(counting, "utf-8")
    start, fail = [("start", [["e"]])], [("fail", [["e"]])]
    finish = [("finish", [["e"], [True]])]
    steps = [("new", "running", start), ("running", "failed", fail)]
    back, end = ("failed", "running", start), ("running", "done", finish)
    path = ["new", "running", "failed", "running", "done"]
    assert walk(source, "job", "e", [*steps, back, end]) == path
    taken = [visit.by for visit in journey(source, "job", "e", [*steps, back, end])]
    assert taken == ["", "start", "fail", "start", "finish"]
    with pytest.raises(SomaError, match="guard failed"):  # nobody has counted
        walk(source, "job", "e", [steps[0], ("running", "failed", []), back])
    with pytest.raises(ValueError, match="no state machine 'other'"):
        walk(source, "other", "e", steps)


# Handlers that want more than an entity, or want it in another place.
CASES = {
    "branches": (
        """\
cell Parcel {
    state parcel { packed -> shipped shipped -> delivered shipped -> lost }
    on ship(carrier: String, id: String, weight: Int) {
        require weight > 30 else "too light"
        require carrier == "ACME" else "unknown carrier"
        transition(id, "shipped")
    }
    on close(id: String, ok: Bool, note: List) {
        if ok { transition(id, "delivered") } else { transition(id, "lost") }
    }
}
""",
        "lost",
        ["ship", "close"],
    ),
    "numbers": (
        """\
cell Orders {
    memory { seen: Map<Int> }
    state order { new -> paid paid -> sent sent -> returned }
    on pay(amount: Float, id: Int) {
        if amount >= 9.5 { seen.set(to_string(id + 1), 1) transition(id, "paid") }
    }
    on send(order: Map) {
        let id = to_string(order.id)
        require order.weight < 5 else "too heavy"
        transition(id, "sent")
    }
    on give_back(id: Int, reason: String) { _move(id, "returned") }
    on _move(id: Int, to: String) { transition(id, to) }
}
""",
        "returned",
        ["pay", "send", "_move"],
    ),
    "one of a kind": (
        """\
cell Door {
    state door { closed -> open open -> broken }
    on push() { transition("front", "open") }
    on kick(force: Int) {
        match force { 7 -> transition("front", "broken") _ -> () }
    }
}
""",
        "broken",
        ["push", "kick"],
    ),
    "refused": (
        """\
cell Vault {
    memory { keys: Map<String> }
    state vault { shut -> open open -> empty }
    on unlock(id: String, key: String) {
        require keys.get(id) == key && keys.has(id) else "wrong key"
        transition(id, "open")
    }
    on take(id: String, who: String) { transition(id, "empty") }
    on next() { transition(next_id(), "open") }
}
""",
        "empty",
        ["transition", "take"],
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_handlers_are_called_with_arguments_that_they_take(
    soma, cell, tmp_path: Path, name: str
) -> None:
    text, forbidden, takers = CASES[name]
    path = cell(text)
    cell(f'{PACKAGE}never = ["{forbidden}"]\n', "soma.toml")
    assert soma("verify", path, "--emit-tests", "found").code == 1
    done = passes(tmp_path / "found")
    assert done.returncode == 0, done.stdout
    (test,) = (tmp_path / "found").glob("test_*.py")
    found = runpy.run_path(str(test))
    machine = re.findall(r"^    state (\w+)", text, re.MULTILINE)[0]
    visits = journey(found["SOURCE"], machine, found["ENTITY"], found["STEPS"])
    assert [visit.by for visit in visits[1:]] == takers


def test_the_package_is_built_and_what_cannot_be_built_is_told(tmp_path: Path) -> None:
    source = tmp_path / "app.cell"
    source.write_text(QUEUE, "utf-8")
    program = built(source)
    assert built(source) is program
    module = sys.modules[program.cells[0].__module__]
    assert (module.__file__ or "").endswith("app/queue.py")
    assert walk(program, "job", "e", [("new", "running", [])]) == ["new", "running"]
    wrong = tmp_path / "wrong.cell"
    wrong.write_text("cell A { on f() { nobody() } }", "utf-8")
    with pytest.raises(ValueError, match="cannot build"):
        built(wrong)


def test_what_no_path_shows_has_no_test_and_that_is_said(soma, cell) -> None:
    path = cell(QUEUE)
    cell(f'{PACKAGE}ctl = {{ back = "EF(done & EF new)" }}\n', "soma.toml")
    done = soma("verify", path, "--emit-tests", "found")
    assert done.err.splitlines()[-2:] == [
        "tests: 0 written to found",
        "tests: none for back: EF(done & EF(new)): there is no path to walk",
    ]


@pytest.mark.slow
def test_a_folder_that_is_none_is_an_error(soma, cell, tmp_path: Path) -> None:
    path = cell(QUEUE)
    cell(f'{PACKAGE}never = ["done"]\n', "soma.toml")
    (tmp_path / "taken").write_text("x")
    done = soma("verify", path, "--emit-tests", "taken")
    assert done.code == 1
    assert "error: cannot write tests to 'taken': File exists" in done.err


@pytest.mark.slow
def test_files_of_others_are_left_alone(soma, cell, tmp_path: Path) -> None:
    path = cell(QUEUE)
    cell(f'{PACKAGE}never = ["done"]\n', "soma.toml")
    mine = tmp_path / "test_job_never_state_done.py"
    mine.write_text("mine")
    done = soma("verify", path, "--emit-tests", ".")
    assert (done.code, mine.read_text()) == (1, "mine")
    assert "it is there, and not one of these tests" in done.err


@pytest.mark.slow
def test_several_files_are_refused(soma, cell) -> None:
    done = soma("verify", cell(QUEUE), cell(QUEUE, "b.cell"), "--emit-tests", "found")
    assert (done.out, done.code) == ("", 1)
    assert "error: --emit-tests takes one file at a time" in done.err
