"""`soma lint`: each rule on code that it means and on code that it must leave alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from somac.cli.commands import invoke
from somac.frontend.load import load_text
from somac.linting import json_report, lint

ROOT = Path(__file__).resolve().parents[2]


def rules(text: str) -> list[tuple[str, int]]:
    program = load_text(text).program
    assert program is not None, text
    return [(found.rule, found.line) for found in lint(program)]


def in_handler(body: str) -> list[str]:
    """The rules that a handler's body breaks, in a cell with the slot `s`."""
    text = "cell A { memory { s: Map<String, Map> } on f(k: String, v: Map) { %s } }"
    return [rule for rule, _ in rules(text % body)]


@pytest.mark.parametrize(
    "body",
    [
        "s.set(k, to_json(v))",
        "s.set(k, v |> to_json())",
        "s.append(to_json(v))",
        "s.put(k, to_json(map(1, 2)))",
    ],
)
def test_redundant_to_json(body: str) -> None:
    assert in_handler(body) == ["redundant_to_json"]


def test_to_json_elsewhere_is_fine() -> None:
    assert in_handler("let t = to_json(v) print(t) s.set(k, v) to_json(v)") == []
    assert in_handler("let s = map() s.set(k, to_json(v))") == []  # a local wins over the slot
    assert in_handler("s.set(to_json(v), k)") == []


@pytest.mark.parametrize(
    "body",
    [
        "from_json(s.get(k))",
        "s.get(k) |> from_json()",
        "let x = from_json(s.get(k) ?? map())",
    ],
)
def test_redundant_from_json(body: str) -> None:
    assert in_handler(body) == ["redundant_from_json"]


def test_from_json_of_text_is_fine() -> None:
    assert in_handler("from_json(k)") == []
    hidden = (
        "cell A { memory { s: Map } on from_json(x: Map) { 1 } on f() { from_json(s.get(1)) } }"
    )
    assert rules(hidden) == []


@pytest.mark.parametrize(
    "body",
    [
        "s.get(k).name",
        "s.get(k) + 1",
        "1 < s.get(k)",
        "for x in s.get(k) { print(x) }",
        "let x = s.get(k) return x.name",
        "let x = s.get(k) return x * 2",
        "-s.get(k)",
    ],
)
def test_unchecked_get(body: str) -> None:
    assert in_handler(body) == ["unchecked_get"]


@pytest.mark.parametrize(
    "body",
    [
        "s.get(k)",
        "(s.get(k) ?? map()).name",
        "let x = s.get(k) ?? map() return x.name",
        "let x = s.get(k) if x == () { return 0 } return x.name",
        "let x = s.get(k) require x != () else Missing return x.name",
        "let x = s.get(k)? return x.name",
        "let x = s.get(k) match x { () -> 0 y -> y.name }",
        "if s.has(k) { return s.get(k).name } return 0",
        "let x = s.get(k) if is_null(x) { return 0 } return x.name",
        "v.get(k).name",
    ],
)
def test_a_get_that_is_checked_is_fine(body: str) -> None:
    assert in_handler(body) == []


CHAIN = 'if k == "a" { %s } else if k == "b" { %s } else if "c" == k { %s }'


def test_if_chain() -> None:
    assert in_handler(CHAIN % ("1", "2", "3")) == ["if_chain"]
    assert in_handler("return " + CHAIN % ("1", "2", "3") + " else { 4 }") == ["if_chain"]
    returning = 'if k == "a" { return 1 } if k == "b" { return 2 } if k == "c" { return 3 } 4'
    assert in_handler(returning) == ["if_chain"]


def test_shorter_or_mixed_chains_are_fine() -> None:
    assert in_handler('if k == "a" { 1 } else if k == "b" { 2 } else { 3 }') == []
    assert in_handler('if k == "a" { 1 } else if v == 2 { 2 } else if k == "c" { 3 }') == []
    assert in_handler('if k == "a" { print(1) } if k == "b" { print(2) } if k == "c" { 3 }') == []
    assert in_handler('if k < "a" { 1 } else if k < "b" { 2 } else if k < "c" { 3 }') == []


ROUTED = """cell A {
    face { signal open() }
    on request(method: String, path: String, body: String) {
        match path { "/used" -> used() "/named" -> delegate("A", "named") _ -> 0 }
    }
    on used() { 1 }
    on named() { 1 }
    on stray() { 1 }
    on _own() { 1 }
    on open() { 1 }
}
"""


def test_private_helper() -> None:
    assert rules(ROUTED) == [("private_helper", 8)]
    assert rules(ROUTED.replace("on request", "on other")) == []


def test_empty_handler() -> None:
    assert rules("cell A {\n    on f() {\n        // later\n    }\n}\n") == [("empty_handler", 2)]


def test_json_has_the_keys_of_the_reference() -> None:
    program = load_text("cell A { on f() { } }").program
    assert program is not None
    (row,) = json.loads(json_report(lint(program)))["lints"]
    assert list(row) == ["line", "message", "rule", "severity", "suggestion"]
    assert (row["line"], row["rule"], row["severity"]) == (1, "empty_handler", "warning")


def test_the_command_always_succeeds_on_a_program(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "app.cell"
    path.write_text("cell A {\n    on f() {}\n}\n", "utf-8")
    assert invoke(["lint", str(path)]) == 0
    assert capsys.readouterr().out == (
        "warning: handler 'f' is empty [empty_handler]\n"
        f"  --> {path}:2\n"
        "  = hint: write what `on f` does, or remove it\n"
        "1 lint(s).\n"
    )
    path.write_text("cell A { on f() { 1 } }", "utf-8")
    assert invoke(["lint", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"lints": []}
    assert invoke(["lint", str(path)]) == 0
    assert capsys.readouterr().out == "✓ No lints.\n"
    path.write_text("cell A {", "utf-8")
    assert invoke(["lint", str(path)]) == 1


# A transition before these reads vouches for the key; the rule does not know that.
@pytest.mark.parametrize(
    ("name", "lines"),
    [("pricing", []), ("jobqueue", [62]), ("chat", []), ("kv", []), ("inventory", [51, 52])],
)
def test_what_the_examples_are_told(name: str, lines: list[int]) -> None:
    text = (ROOT / "examples" / name / "app.cell").read_text("utf-8")
    told = [row for row in rules(text) if row[0] != "private_helper"]
    assert told == [("unchecked_get", line) for line in lines]
