"""The writer of packages: it replaces its own files, spares all others, stays in its folder."""

from __future__ import annotations

import ast
import json
import keyword
import sys
import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from somac.codegen.package import (
    WRITTEN,
    ForeignFiles,
    PackageOptions,
    package_files,
    package_name,
    project_name,
    write_package,
)

MODULES = {"program.py": "PROGRAM = None\n"}


def test_files_arrive_with_a_list_of_what_was_written(tmp_path: Path) -> None:
    out = tmp_path / "dist"
    assert write_package({"app/a.py": "x = 1\n", "b.bin": b"\x00"}, out) == 2
    assert (out / "app/a.py").read_text() == "x = 1\n"
    assert set(json.loads((out / WRITTEN).read_text())["files"]) == {"app/a.py", "b.bin"}


def test_a_second_build_writes_only_what_changed(tmp_path: Path) -> None:
    write_package({"a.py": "1", "b.py": "2"}, tmp_path)
    assert write_package({"a.py": "1", "b.py": "3"}, tmp_path) == 1


def test_files_of_an_earlier_build_go_and_foreign_ones_stay(tmp_path: Path) -> None:
    write_package({"app/old.py": "1", "app/deep/gone.py": "1"}, tmp_path)
    (tmp_path / "app" / "mine.txt").write_text("keep")
    write_package({"app/new.py": "2"}, tmp_path)
    assert not (tmp_path / "app/old.py").exists()
    assert not (tmp_path / "app/deep").exists()
    assert (tmp_path / "app/mine.txt").read_text() == "keep"


def test_a_foreign_folder_is_refused_whole(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years")
    with pytest.raises(ForeignFiles, match="holds files that somac did not write"):
        write_package({"a.py": "1"}, tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_force_writes_beside_foreign_files(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years")
    write_package({"a.py": "1"}, tmp_path, force=True)
    assert (tmp_path / "thesis.tex").read_text() == "years"


def test_a_foreign_file_in_the_way_is_refused(tmp_path: Path) -> None:
    write_package({"a.py": "1"}, tmp_path)
    (tmp_path / "b.py").write_text("mine")
    with pytest.raises(ForeignFiles, match=r"b\.py was not written by somac"):
        write_package({"a.py": "2", "b.py": "2"}, tmp_path)
    assert (tmp_path / "a.py").read_text() == "1"


def test_a_file_as_target_is_refused(tmp_path: Path) -> None:
    target = tmp_path / "dist"
    target.write_text("x")
    with pytest.raises(ForeignFiles, match="is a file"):
        write_package({"a.py": "1"}, target)


@pytest.mark.parametrize("path", ["../evil.py", "/etc/evil", "a/../../evil", "a\\..\\b", ""])
def test_no_path_leaves_the_folder(path: str, tmp_path: Path) -> None:
    out = tmp_path / "dist"
    with pytest.raises(ValueError, match="inside it"):
        write_package({path: "1"}, out)
    assert not out.exists()


def test_a_forged_list_deletes_nothing_outside(tmp_path: Path) -> None:
    out = tmp_path / "dist"
    write_package({"a.py": "1"}, out)
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (out / WRITTEN).write_text(json.dumps({"files": {"../victim": "0", "a.py": "0"}}))
    write_package({"a.py": "2"}, out, force=True)
    assert victim.read_text() == "precious"


def test_a_link_in_the_way_deletes_nothing_behind_it(tmp_path: Path) -> None:
    out, elsewhere = tmp_path / "dist", tmp_path / "elsewhere"
    write_package({"sub/a.py": "1", "b.py": "1"}, out)
    (out / "sub/a.py").unlink()
    (out / "sub").rmdir()
    elsewhere.mkdir()
    (elsewhere / "a.py").write_text("precious")
    (out / "sub").symlink_to(elsewhere)
    write_package({"b.py": "2"}, out)
    assert (elsewhere / "a.py").read_text() == "precious"


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=20))
def test_any_stem_gives_an_importable_name(stem: str) -> None:
    name = package_name(stem)
    assert name.isidentifier()
    assert name.isascii()
    assert not keyword.iskeyword(name)
    assert name not in sys.stdlib_module_names


@pytest.mark.parametrize(
    ("stem", "name"),
    [("app", "app"), ("My-App", "my_app"), ("7up", "cell_7up"), ("json", "json_app"),
     ("class", "class_app"), ("../../etc", "etc"), ("é", "app"), ("dist", "dist_app")],
)  # fmt: skip
def test_names_of_packages(stem: str, name: str) -> None:
    assert package_name(stem) == name


def test_names_of_projects() -> None:
    assert project_name("My Shop!") == "my-shop"
    assert project_name("…") == "app"


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=40))
def test_texts_cannot_leave_their_place(description: str, version: str, source: str) -> None:
    """Descriptions, versions and file names reach TOML strings and docstrings, nothing else."""
    options = PackageOptions(
        "app", "shop", version=version, description=description, source=source, shared_runtime=True
    )
    files = package_files(MODULES, options)
    project = tomllib.loads(str(files["pyproject.toml"]))
    assert project["project"]["name"] == "shop"
    assert project["project"]["version"] == version
    assert set(project) == {"build-system", "project", "tool"}
    assert project["project"]["scripts"] == {"shop": "app.__main__:main"}
    harmless = package_files(MODULES, PackageOptions("app", "shop", shared_runtime=True))
    for name in ("app/__init__.py", "app/__main__.py"):
        code = ast.parse(str(files[name])).body[1:]  # all but the docstring
        assert [*map(ast.dump, code)] == [*map(ast.dump, ast.parse(str(harmless[name])).body[1:])]


def test_the_runtime_is_vendored_unless_shared() -> None:
    vendored = package_files(MODULES, PackageOptions("app", "shop"))
    shared = package_files(MODULES, PackageOptions("app", "shop", shared_runtime=True))
    assert "app/_somart/__init__.py" in vendored
    assert not any(name.startswith("app/_somart/simulate/") for name in vendored)
    assert not [path for path in shared if "_somart" in path]
    packages = tomllib.loads(str(vendored["pyproject.toml"]))["tool"]["setuptools"]["packages"]
    assert {"app", "app._somart"} <= set(packages)
    assert "from somart.node import" in str(shared["app/__main__.py"])
