"""Every command with right and wrong input: what it prints, where, and its exit code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

HELLO = 'cell Main { on run() { print("hello") 42 } on twice(n: Int) { n * 2 } }'
WRONG = "cell Main { memory { s: Map [ephemeral, persistent] } on run() { 1 } }"
BROKEN = "cell Main {\n    on run() {\n        let = 5\n    }\n}\n"
TESTED = (
    "cell Main { on one() { 1 } } cell test T { rules { assert one() == 1 assert one() == 2 } }"
)


# --- run -----------------------------------------------------------------------------------------


def test_run_prints_what_the_program_prints_and_its_result(soma, cell) -> None:
    done = soma("run", cell(HELLO))
    assert (done.out, done.err, done.code) == ("hello\n42\n", "", 0)


def test_run_takes_arguments_and_a_handler(soma, cell) -> None:
    path = cell(HELLO)
    assert soma("run", path, "twice", "21").out == "42\n"
    assert soma("run", path, "21", "--signal", "twice").out == "42\n"
    assert soma("run", path, "--signal", "twice", "--", "-4").out == "-8\n"
    assert soma("run", path, "--jit").out == "hello\n42\n"


def test_run_wants_a_double_dash_before_negative_arguments(soma, cell) -> None:
    assert soma("run", cell(HELLO), "-4").code == 2


def test_run_reports_an_error_with_its_place(soma, cell) -> None:
    done = soma("run", cell("cell Main {\n    on run() {\n        1 / 0\n    }\n}\n"))
    assert done.code == 1
    assert done.out == ""
    lines = done.err.splitlines()
    assert lines[0] == "error: division by zero"
    assert lines[1] == "  --> app.cell:3:9"
    assert lines[3] == "3 |         1 / 0"


def test_run_of_nothing_runnable(soma, cell) -> None:
    done = soma("run", cell("cell type T { variants { A } }"))
    assert (done.err, done.code) == ("error: no runnable cell found\n", 1)


def test_an_unknown_signal(soma, cell) -> None:
    done = soma("run", cell(HELLO), "--signal", "nope")
    assert done.err.startswith("error: no handler found for signal 'nope' in cell 'Main'")
    assert done.code == 1


def test_a_wrong_call_from_the_command_line_says_what_can_be_called(soma, cell) -> None:
    path = cell(HELLO)
    known = "  = hint: cell 'Main' handles run(), twice(n)"
    for args in (["nope"], ["twice"], ["twice", "1", "2"], ["--signal", "nope"]):
        done = soma("run", path, *args)
        assert done.code == 1
        assert done.err.splitlines()[-1] == known, args
    fails = cell("cell Main { on run(n: Int) { 1 / n } }", "fails.cell")
    assert "hint" not in soma("run", fails, "0").err


def test_slots_survive_between_runs(soma, cell) -> None:
    path = cell(
        "cell Main { memory { n: Map<String, Int> [persistent] }"
        ' on run() { n.set("k", (n.get("k") ?? 0) + 1) n.get("k") } }'
    )
    assert [soma("run", path).out for _ in range(3)] == ["1\n", "2\n", "3\n"]


def test_deep_recursion_is_an_error_of_the_program_not_of_the_process(soma, cell) -> None:
    done = soma(
        "run", cell("cell Main { on run() { down(0) } on down(n: Int) { 1 + down(n + 1) } }")
    )
    assert done.err.startswith("error: stack overflow (recursion depth exceeded)")
    assert done.code == 1


def test_recursion_through_lambdas_does_not_crash(soma, cell) -> None:
    source = "cell Main { on run() { f(0) } on f(n: Int) { list(n) |> map(x => f(x + 1)) } }"
    done = soma("run", cell(source))
    assert done.err.startswith("error: stack overflow (recursion depth exceeded)")
    assert done.code == 1


def test_at_least_512_activations_work(soma, cell) -> None:
    source = (
        "cell Main { on run() { d(510) } on d(n: Int) { if n == 0 { 0 } else { 1 + d(n - 1) } } }"
    )
    assert soma("run", cell(source)).out == "510\n"


def test_native_recursion_goes_deep(soma, cell) -> None:
    source = (
        "cell Main { on run() { sum(20000) }"
        " on sum(n: Int) [native] { if n == 0 { return 0 } return n + sum(n - 1) } }"
    )
    assert soma("run", cell(source)).out == "200010000\n"


def test_huge_integers_print(soma, cell) -> None:
    source = "cell Main { on run() { let n = 1 for i in range(0, 20000) { n = n * 10 } n } }"
    assert len(soma("run", cell(source)).out) == 20_002


def test_a_reader_that_goes_away_is_no_traceback(tmp_path: Path, cell) -> None:
    path = cell('cell Main { on run() { for i in range(0, 200000) { print("line {i}") } } }')
    command = f"{sys.executable} -m somac run {path} | head -1"
    done = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert (done.stdout, done.stderr) == ("line 0\n", "")


def test_ctrl_c_ends_quietly(tmp_path: Path, cell) -> None:
    path = cell('cell Main { on run() { print("started") while true { let x = 1 } } }')
    process = subprocess.Popen(
        [sys.executable, "-m", "somac", "run", path],
        cwd=tmp_path,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"started\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (130, b"")


# --- check and parse -----------------------------------------------------------------------------


def test_check_of_a_good_program(soma, cell) -> None:
    done = soma("check", cell(HELLO))
    assert (done.out, done.err, done.code) == ("✓ All checks passed.\n", "", 0)


def test_check_of_a_wrong_program(soma, cell) -> None:
    done = soma("check", cell(WRONG))
    assert done.out.startswith(
        "error: contradictory memory properties on 's': ephemeral and persistent cannot coexist\n"
    )
    assert done.out.endswith("✗ 1 error(s), 0 warning(s).\n")
    assert done.code == 1


def test_check_shows_the_place_of_each_finding_on_stderr(soma, cell) -> None:
    path = cell('cell Main {\n    face { promise "kind" }\n    on run() { nope(1) }\n}\n')
    done = soma("check", path)
    assert done.out.splitlines() == [
        "warning: promise on 'Main' is descriptive only, not machine-verifiable: \"kind\"",
        "error: undefined function: nope",
        "✗ 1 error(s), 1 warning(s).",
    ]
    places = [line for line in done.err.splitlines() if "-->" in line]
    assert places == ["  --> app.cell:2:12", "  --> app.cell:3:16"]
    assert "  = fix: " in done.err
    assert "error" not in done.err
    assert soma("check", path) == done  # remembered


def test_places_stand_below_their_findings_on_a_terminal(tmp_path: Path, cache: Path, cell) -> None:
    path = cell("cell Main {\n    on run() { nope(1) }\n}\n")
    done = subprocess.run(
        [sys.executable, "-m", "somac", "check", path],
        cwd=tmp_path,
        env={**os.environ, "SOMA_CACHE_DIR": str(cache), "NO_COLOR": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        timeout=60,
    )
    lines = done.stdout.splitlines()
    assert lines[0] == "error: undefined function: nope"
    assert lines[1] == "  --> app.cell:2:16"
    assert lines[-2:] == ["✗ 1 error(s), 0 warning(s).", "more: soma explain E202"]


def test_check_counts_what_is_wrong_with_the_manifest(soma, cell) -> None:
    path = cell(HELLO)
    cell("[package\n", "soma.toml")
    done = soma("check", path)
    assert done.out.startswith("error: soma.toml: ")
    assert done.out.endswith("✗ 1 error(s), 0 warning(s).\n")
    assert "  --> soma.toml:1:9" in done.err
    assert json.loads(soma("check", path, "--json").out)["passed"] is False
    assert done.code == 1


def test_check_as_json(soma, cell) -> None:
    done = soma("check", cell(WRONG), "--json")
    found = json.loads(done.out)
    assert list(found) == ["error_count", "errors", "passed", "warning_count", "warnings"]
    assert found["error_count"] == 1
    assert found["errors"][0]["kind"] == "property_contradiction"
    assert found["passed"] is False
    assert done.code == 1


def test_a_syntax_error_ends_every_command(soma, cell) -> None:
    path = cell(BROKEN)
    commands = [["check"], ["check", "--json"], ["run"], ["test"], ["describe"], ["ast"], ["build"]]
    for command in commands:
        done = soma(*command, path)
        assert (done.out, done.code) == ("", 1), command
        assert done.err.startswith("error: expected ")
        assert "\n  --> app.cell:3:13\n" in done.err


def test_an_unreadable_file(soma) -> None:
    done = soma("check", "nowhere.cell")
    assert done.err == "error: cannot read 'nowhere.cell': No such file or directory (os error 2)\n"
    assert (done.out, done.code) == ("", 1)


@pytest.mark.parametrize("command", ["check", "run", "test", "serve", "ast", "tokens", "describe"])
def test_every_command_tells_what_it_cannot_read(soma, tmp_path: Path, command: str) -> None:
    (tmp_path / "folder.cell").mkdir()
    (tmp_path / "bytes.cell").write_bytes(b"\x00\xff\xfe")
    expected = {
        "folder.cell": "Is a directory (os error 21)",
        "bytes.cell": "stream did not contain valid UTF-8",
        "gone.cell": "No such file or directory (os error 2)",
        "no/folder.cell": "No such file or directory (os error 2)",
    }
    for name, reason in expected.items():
        done = soma(command, name)
        assert (done.out, done.code) == ("", 1)
        assert done.err == f"error: cannot read '{name}': {reason}\n"


def test_a_manifest_that_is_a_folder(soma, cell, tmp_path: Path) -> None:
    (tmp_path / "soma.toml").mkdir()
    done = soma("check", cell(HELLO))
    assert done.out.startswith("error: cannot read 'soma.toml': Is a directory")
    assert (done.err, done.code) == ("", 1)


def test_data_that_cannot_be_kept(soma, cell, tmp_path: Path) -> None:
    path = cell(
        'cell Main { memory { n: Map [persistent] } on run() { n.set("k", 1) } on two() { 2 } }'
    )
    (tmp_path / ".soma_data").write_text("in the way", "utf-8")
    for command in (["run", path], ["serve", path, "-p", "0"]):
        done = soma(*command)
        assert done.err == "error: storage error: cannot create '.soma_data': File exists\n"
        assert done.code == 1
    (tmp_path / ".soma_data").unlink()
    (tmp_path / ".soma_data").mkdir()
    (tmp_path / ".soma_data/soma.db").write_text("no database" * 100, "utf-8")
    done = soma("run", path)
    assert done.err == (
        "error: storage error: cannot use '.soma_data/soma.db': file is not a database\n"
    )
    assert done.code == 1


def test_watching_ends_its_server(tmp_path: Path, cell) -> None:
    path = cell(HELLO)
    process = subprocess.Popen(
        [sys.executable, "-m", "somac", "serve", path, "-p", "0", "--watch"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    while process.stderr.readline() not in (b"---\n", b""):
        pass
    process.send_signal(signal.SIGTERM)
    with process.stderr:
        rest = process.stderr.read()  # ends when the server behind it has ended, too
    assert process.wait(timeout=30) == 0
    assert rest.endswith(b"stopping\n")


def test_watching_does_not_wait_for_a_wrong_command_line(soma, cell) -> None:
    assert soma("serve", cell(HELLO), "--watch", "--join", "nowhere").code == 2


def test_parse_says_one_line_per_file(soma, cell) -> None:
    good, bad = cell(HELLO, "good.cell"), cell(BROKEN, "bad.cell")
    done = soma("parse", good, bad, "gone.cell")
    lines = done.out.splitlines()
    assert lines[0] == "ok good.cell"
    assert lines[1].startswith("error bad.cell: expected ")
    assert lines[2].startswith("error gone.cell: cannot read 'gone.cell'")
    assert len(lines) == 3
    assert done.code == 1
    assert soma("parse", good).code == 0


def test_check_remembers_by_content(soma, cell) -> None:
    path = cell(HELLO)
    first = soma("check", path)
    assert soma("check", path) == first
    cell(WRONG)
    assert soma("check", path).code == 1
    cell(HELLO)
    assert soma("check", path) == first


def test_check_notices_a_changed_import_and_manifest(soma, cell) -> None:
    cell("cell A { on a() { 1 } }", "lib/a.cell")
    path = cell("use lib::a\ncell Main { on run() { a() } }")
    assert soma("check", path).code == 0
    cell(WRONG.replace("Main", "A"), "lib/a.cell")
    assert soma("check", path).code == 1
    cell("cell A { on a() { 1 } }", "lib/a.cell")
    assert soma("check", path).code == 0
    cell("[package\n", "soma.toml")
    assert soma("check", path).code == 1


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path: Path, cell) -> None:
    path = cell(HELLO)
    environment = {k: v for k, v in os.environ.items() if k not in ("HOME", "XDG_CACHE_HOME")}
    for folder in (os.devnull, str(tmp_path / "app.cell" / "below-a-file")):
        done = subprocess.run(
            [sys.executable, "-m", "somac", "check", path],
            cwd=tmp_path,
            env={**environment, "SOMA_CACHE_DIR": folder},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert (done.stdout, done.stderr) == ("✓ All checks passed.\n", "")


def test_run_records_calls(soma, cell, tmp_path: Path) -> None:
    done = soma("run", cell("cell Main { on run(n: Int) { n + 1 } }"), "4", "--record")
    assert (done.out, done.err) == ("5\n", "[record] writing replay log → app.somalog\n")
    line = json.loads((tmp_path / "app.somalog").read_text("utf-8"))
    assert list(line) == ["args", "cell", "handler", "nondet", "result", "ts", "v"]
    assert (line["args"], line["handler"], line["result"]) == ([4], "run", 5)


# --- test ----------------------------------------------------------------------------------------


def test_test_says_what_holds(soma, cell) -> None:
    done = soma("test", cell(TESTED))
    assert done.out == (
        "test T ...\n  ✓ assert one() == 1\n  ✗ assert one() == 2 — FAILED\n"
        "\n2 tests: 1 passed, 1 failed\n"
    )
    assert done.err == "         left:  1\n         right: 2\n"
    assert done.code == 1


def test_test_without_test_cells(soma, cell) -> None:
    done = soma("test", cell(HELLO))
    assert done.err == "no test cells found (use `cell test MyTests { ... }`)\n"
    assert done.code == 1


# --- showing -------------------------------------------------------------------------------------


def test_describe_is_json(soma, cell) -> None:
    done = soma("describe", cell(HELLO))
    found = json.loads(done.out)
    assert found["file"] == "app.cell"
    assert [h["name"] for h in found["cells"][0]["handlers"]] == ["run", "twice"]


def test_props_lists_the_catalogue(soma) -> None:
    done = soma("props")
    assert done.out.startswith("Registered properties (18 total):\n")
    assert done.code == 0


def test_ast_shows_the_tree(soma, cell) -> None:
    done = soma("ast", cell(HELLO))
    assert "Main" in done.out
    assert "twice" in done.out


def test_explain_tells_about_a_code(soma) -> None:
    done = soma("explain", "e001")
    assert done.out.startswith("E001: ")
    assert "Wrong:" in done.out
    assert done.code == 0


def test_explain_of_an_unknown_code(soma) -> None:
    done = soma("explain", "E999")
    assert (done.out, done.err, done.code) == ("", "error: there is no diagnostic 'E999'\n", 1)
    assert soma("explain", "E0101").err.endswith("'E0101' (did you mean 'E101'?)\n")


# --- init and repl -------------------------------------------------------------------------------


def test_init_makes_a_project_that_passes_its_tests(soma, tmp_path: Path) -> None:
    assert soma("init", "shop").code == 0
    assert soma("check", "shop/main.cell").out == "✓ All checks passed.\n"
    assert soma("test", "shop/main.cell").code == 0
    assert (tmp_path / "shop/.soma_env/packages").is_dir()


def test_init_refuses_what_exists(soma, cell) -> None:
    assert soma("init", "shop").code == 0
    done = soma("init", "shop")
    assert (done.err, done.code) == ("error: directory 'shop' already exists\n", 1)
    assert soma("init", "").err == "error: a project needs a name\n"
    cell("", "soma.toml")
    assert soma("init").err == "error: soma.toml already exists\n"


def test_repl_keeps_what_was_said(soma) -> None:
    lines = ["let x = 20", "x * 2 + 2", "1 / 0", "x = x + 1", "x"]
    lines += ["cell A { on dbl(n: Int) { n * 2 } }", "dbl(x)", "let", ":quit", "99"]
    done = soma("repl", stdin="\n".join(lines) + "\n")
    assert "42" in done.out
    assert "error: division by zero" in done.err
    assert "\n21" in done.out.replace("> ", "")
    assert "99" not in done.out
    assert done.code == 0


def test_repl_survives_lines_that_return(soma) -> None:
    lines = ["let x = 1", "return 5", "return [1, 2]", 'map("error", "bad")?', "break", "x"]
    done = soma("repl", stdin="\n".join(lines) + "\n")
    assert done.out == '5\n[1, 2]\n{"error": "bad"}\n1\n'
    assert done.err == "error: break outside of loop\n"


def test_repl_shows_errors_in_the_line_itself(soma) -> None:
    done = soma("repl", stdin='let y = 2\n1 +\ny + "abc\ncell A { on f( { 1 } }\n')
    assert done.err == (
        "error: expected expression, found end of line\n"
        "  --> line:1:4\n  |\n1 | 1 +\n  |    ^\n"
        "error: unterminated string\n"
        '  --> line:1:5\n  |\n1 | y + "abc\n  |     ^\n  = hint: close it with `"`\n'
        "error: expected ')', found '{'\n"
        "  --> line:1:16\n  |\n1 | cell A { on f( { 1 } }\n  |                ^\n"
    )


def test_a_file_name_that_is_no_text(soma, tmp_path: Path) -> None:
    odd = os.fsdecode(b"b\xffd.cell")
    (tmp_path / odd).write_text(HELLO, "utf-8")
    assert soma("run", odd).out == "hello\n42\n"
    assert soma("check", odd).code == 0
    done = soma("build", odd)
    assert "internal" not in done.err
    assert done.code == 1


# --- misuse --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "args",
    [["run"], ["check"], ["nonsense"], ["check", "a.cell", "--nope"], ["explain"], ["parse"],
     ["check", "a", "b"], ["build", "a.cell", "--runtime", "stolen"], ["verify"], []],
)  # fmt: skip
def test_misuse_of_the_command_line(soma, args: list[str]) -> None:
    done = soma(*args)
    assert done.code == 2
    assert done.err or args == []


def test_help_and_version(soma) -> None:
    done = soma("--help")
    for command in ("build", "run", "serve", "test", "check", "parse", "explain", "init", "repl"):
        assert f"  {command}" in done.out
    assert soma("--version").out.startswith("soma ")


def test_soma_and_somac_are_the_same(cache: Path) -> None:
    folder = Path(sys.executable).parent
    outputs = {
        subprocess.run([folder / name, "props"], capture_output=True, timeout=60).stdout
        for name in ("soma", "somac")
    }
    assert len(outputs) == 1
