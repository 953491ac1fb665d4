"""Names and strings of a program reach Python, SQL, TOML, JSON and paths as data, never as code."""

from __future__ import annotations

import ast
import json
import sqlite3
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

CODE = "__import__('os').system('touch PWNED')"
STRINGS = [
    '"); ' + CODE + ' #',
    "'''" + CODE + "'''",
    '"""\n' + CODE + '\n"""',
    "\\",
    "\\N{BULLET} %s {:d} ${x}",
    "line\u2028break\u0085next\ttab",
    "𝔘𝔫𝔦 \u202e override",
    "'; DROP TABLE soma; --",
    "</script><script>alert(1)</script>",
    "{" + CODE + "}",
]  # fmt: skip
NAMES = ["self", "class", "None", "True", "__import__", "__class__", "__dunder", "exec", "print_",
         "ops", "std", "app", "lambda", "def", "import", "_somart", "Value", "match_", "nonlocal",
         "get", "emit_", "savepoint", "soma_name", "async", "yield", "del", "global"]  # fmt: skip


def literal(text: str) -> str:
    """A Soma string with that value; its braces may make a hole, so they stand apart."""
    escaped = (
        text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    )
    return '"' + escaped + '"'


def nasty_program() -> str:
    handlers = "\n".join(f"    on {n}(self: Int, cls: Int) {{ self + cls }}" for n in NAMES)
    keys = "\n".join(f"        hold.set({literal(s)}, {literal(s)})" for s in STRINGS)
    return f"""
cell __import__ {{
    memory {{
        hold: Map<String, String> [persistent]
        self: Map [persistent]
        select: Map [persistent]
    }}
{handlers}
    on run() {{
{keys}
        self.set("k", 1)
        select.set("k", 2)
        hold.values
    }}
}}
cell test class_ {{ rules {{ assert {literal(STRINGS[0])} != "x" }} }}
"""


@pytest.fixture
def built(soma, cell, tmp_path: Path) -> Path:
    """The nasty program, from a file with a nasty name and manifest, built into `dist`."""
    manifest = "[package]\nname = " + json.dumps('x"]\n' + CODE) + "\n"
    manifest += 'version = "1.0"\ndescription = ' + json.dumps('"""\n' + CODE) + "\n"
    cell(manifest, "soma.toml")
    path = cell(nasty_program(), "a'b\"; c.cell")
    done = soma("build", path, "-o", "dist")
    assert done.code == 0, done.err
    return tmp_path / "dist"


def packages(dist: Path) -> list[Path]:
    return [path for path in dist.iterdir() if (path / "__init__.py").exists()]


def test_the_package_is_data_and_plain_python(built: Path) -> None:
    (package,) = packages(built)
    assert package.name.isidentifier()
    tomllib.loads((built / "pyproject.toml").read_text("utf-8"))
    for module in package.glob("*.py"):
        tree = ast.parse(module.read_text("utf-8"))
        called = {ast.unparse(c.func) for c in ast.walk(tree) if isinstance(c, ast.Call)}
        assert not called & {"__import__", "exec", "eval", "os.system", "system"}


def test_the_strings_come_out_as_they_went_in(soma, cell, tmp_path: Path) -> None:
    done = soma("run", cell(nasty_program()))
    assert done.code == 0, done.err
    assert json.loads(done.out) == sorted(STRINGS, key=lambda s: s.encode())
    assert not (tmp_path / "PWNED").exists()


def test_the_database_holds_them_as_data(soma, cell, tmp_path: Path) -> None:
    assert soma("run", cell(nasty_program())).code == 0
    (database,) = (tmp_path / ".soma_data").glob("*.db")
    with sqlite3.connect(database) as connection:
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master")]
        text = "\n".join(connection.iterdump())
    connection.close()
    assert "DROP TABLE soma" in text
    assert len([name for name in tables if "hold" in name]) >= 1


def test_importing_the_package_runs_nothing_of_it(built: Path, tmp_path: Path) -> None:
    (package,) = packages(built)
    script = f"import {package.name}; print([c.soma_name for c in {package.name}.PROGRAM.cells])"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=built, capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "['__import__']\n", done.stderr
    assert not (built / "PWNED").exists()
    assert not (tmp_path / "PWNED").exists()


def test_imports_stay_text_in_messages(soma, cell) -> None:
    done = soma("check", cell('use "../../../../etc/passwd\\n"\ncell A { on a() { 1 } }'))
    assert done.code == 1
    assert "\x1b" not in done.err
    assert len(done.err.splitlines()[0]) < 300
