"""Reading files and following `use` (core 2.1)."""

from __future__ import annotations

from pathlib import Path

import pytest

from somac.frontend.load import Loaded, load, load_text


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def names(loaded: Loaded) -> list[str]:
    assert loaded.program is not None, [d.message for d in loaded.diagnostics]
    return [cell.name for cell in loaded.program.cells]


def messages(loaded: Loaded) -> list[str]:
    assert loaded.program is None
    return [d.message for d in loaded.diagnostics]


@pytest.mark.parametrize(
    ("use", "file"),
    [
        ("lib::a", "lib/a.cell"),
        ("lib::a::b", "lib/a/b.cell"),
        ("lib::a", "lib/a/z.cell"),
        ("std::text", ".soma_env/stdlib/text.cell"),
        ("std::text", "stdlib/text.cell"),
        ("pkg::a", ".soma_env/packages/a/x.cell"),
        ("a", "packages/a/x.cell"),
        ("x::y", "x/y.cell"),
        ("x.y", "x/y/one.cell"),
        ('"x/y"', "x/y.cell"),
        ('"x/y.cell"', "x/y.cell"),
        ('"x"', "x/y.cell"),
    ],
)
def test_where_an_import_leads(tmp_path: Path, use: str, file: str) -> None:
    write(tmp_path, {"app.cell": f"use {use}\ncell Main {{ }}", file: "cell Other { }"})
    assert names(load(tmp_path / "app.cell")) == ["Main", "Other"]


def test_imported_cells_follow_in_import_order_each_file_once(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "app.cell": "use lib::b use lib::a use lib::b cell Main { }",
            "lib/a.cell": 'use "b.cell" use "../app" cell A { }',
            "lib/b.cell": "use d::all cell B { }",
            "lib/d/all/2.cell": "cell D2 { }",
            "lib/d/all/1.cell": "cell D1 { }",
            "lib/d/all/note.txt": "no cell",
        },
    )
    assert names(load(tmp_path / "app.cell")) == ["Main", "B", "D1", "D2", "A"]


@pytest.mark.parametrize(
    ("use", "message"),
    [
        ("std::nope", "stdlib module 'nope' not found"),
        ("pkg::nope", "package 'nope' not installed (run `soma install`)"),
        ("nope", "package 'nope' not installed (run `soma install`)"),
    ],
)
def test_what_is_not_there(tmp_path: Path, use: str, message: str) -> None:
    write(tmp_path, {"app.cell": f"use {use}"})
    assert messages(load(tmp_path / "app.cell")) == [message]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    write(tmp_path, {"app.cell": "use lib::nope"})
    path = tmp_path / "lib/nope.cell"
    loaded = load(tmp_path / "app.cell")
    assert messages(loaded) == [f"cannot import '{path}': No such file or directory (os error 2)"]
    assert loaded.diagnostics[0].span is not None


def test_an_error_in_an_import_names_its_file(tmp_path: Path) -> None:
    write(tmp_path, {"app.cell": "use x::y cell A { ; }", "x/y.cell": "cell"})
    loaded = load(tmp_path / "app.cell")
    places = [d.span.source.path for d in loaded.diagnostics if d.span]
    assert places == [str(tmp_path / "app.cell")]
    write(tmp_path, {"app.cell": "use x::y cell A { }"})
    loaded = load(tmp_path / "app.cell")
    places = [d.span.source.path for d in loaded.diagnostics if d.span]
    assert places == [str(tmp_path / "x/y.cell")]


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    missing = tmp_path / "none.cell"
    assert messages(load(missing)) == [
        f"cannot read '{missing}': No such file or directory (os error 2)"
    ]
    assert messages(load(tmp_path)) == [f"cannot read '{tmp_path}': Is a directory (os error 21)"]
    binary = tmp_path / "binary.cell"
    binary.write_bytes(b"cell A { \xff }")
    assert messages(load(binary)) == [f"cannot read '{binary}': stream did not contain valid UTF-8"]
    assert messages(load("a\0b"))[0].startswith("cannot read ")


def test_an_import_that_names_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("", "a\0b"):
        write(tmp_path, {"app.cell": f'use "{name}" cell A {{ }}'})
        assert messages(load("app.cell")) == [f"cannot import '{name}': this names no file"]
    write(tmp_path, {"app.cell": 'use "." cell A { }', "b.cell": "cell B { }"})
    assert names(load("app.cell")) == ["A", "B"]


def test_a_program_from_a_text_has_its_tables() -> None:
    program = load_text("cell A { on f() { } } cell test T { } protocol p { }").program
    assert program is not None
    assert [c.name for c in program.live] == ["A"]
    assert list(program.handlers) == ["f"]
    assert [p.name for p in program.protocols] == ["p"]
