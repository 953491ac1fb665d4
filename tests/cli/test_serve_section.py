"""`[serve]` of soma.toml takes effect in programs served from source and in built packages."""

from __future__ import annotations

import urllib.error
import urllib.request
from pathlib import Path

import pytest
from servers import Server, python_module

from somac.cli import run_command
from somac.cli.pipeline import compile_in_memory, read_runnable
from somac.manifest import INTERVALS, parse_manifest
from somart.cluster.boot import raft_config
from somart.options import make_parser, options_of
from somart.spec import ManifestSpec, ServeSpec

CELL = "cell S { on echo(v: Map) { v } }\n"
MANIFEST = """[package]
name = "srv"
[serve]
max_body = 100
timeout = 1.5
static = "web"
host = "127.0.0.2"
port = 4321
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "web").mkdir(parents=True)
    (folder / "web" / "hello.html").write_text("hello", encoding="utf-8")
    (folder / "app.cell").write_text(CELL, encoding="utf-8")
    (folder / "soma.toml").write_text(MANIFEST, encoding="utf-8")
    return folder


def manifest_spec(project: Path) -> ManifestSpec:
    unit = read_runnable(str(project / "app.cell"))
    assert unit is not None
    return compile_in_memory(unit).manifest


def test_the_manifest_gives_the_defaults_of_the_options(project: Path) -> None:
    declared = manifest_spec(project)
    assert declared.serve == ServeSpec(max_body=100, timeout=1.5, host="127.0.0.2", port=4321)
    parser = make_parser()
    options = options_of(parser, parser.parse_args([]), manifest=declared)
    assert (options.host, options.port) == ("127.0.0.2", 4321)
    assert options.limits.body_bytes == 100
    assert (options.limits.request_seconds, options.limits.send_seconds) == (1.5, 1.5)


def test_the_command_line_goes_before_the_manifest(project: Path) -> None:
    parser = make_parser()
    words = ["-p", "0", "--host", "localhost"]
    options = options_of(parser, parser.parse_args(words), manifest=manifest_spec(project))
    assert (options.host, options.port) == ("localhost", 0)


def test_without_a_manifest_all_is_as_ever(project: Path) -> None:
    (project / "soma.toml").unlink()
    parser = make_parser()
    options = options_of(parser, parser.parse_args([]), manifest=manifest_spec(project))
    assert options == options_of(parser, parser.parse_args([]))
    assert (options.host, options.port) == ("127.0.0.1", 8080)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("max_body = 0", "at least 1"),
        ("timeout = 0", "a number above 0"),
        ("timeout = inf", "a number above 0"),
        ("timeout = nan", "a number above 0"),
        ("port = 65536", "a port from 0 to 65535"),
        ("port = -1", "a port from 0 to 65535"),
    ],
)
def test_values_out_of_range_are_errors(line: str, words: str) -> None:
    text = f'[package]\nname = "a"\n[serve]\n{line}\n'
    _, found = parse_manifest(text, Path("soma.toml"), "a")
    name = line.split()[0]
    assert [(d.code, d.message) for d in found] == [
        ("E271", f"soma.toml: `{name}` in [serve] must be {words}")
    ]


def probe(command: list[str], folder: Path, data: Path) -> None:
    """The limits and the static folder of a running node."""
    server = Server([*command, "--host", "127.0.0.1"], folder, data)
    try:
        assert server.call("/echo", {"a": 1}) == {"a": 1}
        status, body = server.call("/echo", {"a": "x" * 200})
        assert (status, body) == (413, {"error": "request body too large"})
        with urllib.request.urlopen(f"{server.url}/static/hello.html", timeout=10) as answer:
            assert answer.read() == b"hello"
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"{server.url}/static/soma.toml", timeout=10)
        refused.value.close()
    finally:
        assert server.stop() == 0


@pytest.mark.slow
def test_a_program_served_from_source_obeys(project: Path, tmp_path: Path) -> None:
    probe([*python_module("somac"), "serve", "app.cell"], project, tmp_path / "data")


@pytest.mark.slow
def test_a_built_package_obeys(project: Path, tmp_path: Path) -> None:
    assert run_command(["build", str(project / "app.cell"), "-o", str(tmp_path / "dist")]) == 0
    assert (tmp_path / "dist" / "app" / "static" / "hello.html").read_bytes() == b"hello"
    probe(python_module("dist.app"), tmp_path, tmp_path / "data")


def test_the_intervals_of_a_cluster_are_fields_of_its_configuration(project: Path) -> None:
    lines = "".join(f"{key} = {number}\n" for number, key in enumerate(INTERVALS, 1))
    (project / "soma.toml").write_text(f'[package]\nname = "srv"\n[cluster]\n{lines}')
    parser = make_parser()
    config = options_of(parser, parser.parse_args([]), manifest=manifest_spec(project)).cluster
    assert [getattr(config.config, key) for key in INTERVALS] == [1, 2, 3, 4, 5, 6]


def test_an_option_says_after_how_long_a_dead_member_gives_up_its_place(project: Path) -> None:
    (project / "soma.toml").write_text('[package]\nname = "srv"\n[cluster]\nforget_ms = 9000\n')
    parser = make_parser()
    for words, wanted in (([], 9_000), (["--dead-after", "1.5"], 1_500)):
        found = parser.parse_args(words)
        config = options_of(parser, found, manifest=manifest_spec(project)).cluster.config
        assert config.forget_ms == wanted
    with_default = options_of(parser, parser.parse_args([])).cluster.config
    assert with_default.forget_ms == 600_000


def test_an_interval_of_no_time_is_an_error() -> None:
    text = '[package]\nname = "a"\n[cluster]\ndead_ms = 0\n'
    _, found = parse_manifest(text, Path("soma.toml"), "a")
    message = "soma.toml: `dead_ms` in [cluster] must be at least 1 millisecond"
    assert [(d.code, d.message) for d in found] == [("E271", message)]


@pytest.mark.parametrize(("lines", "wanted"), [("", 120), ("election_ms = 400\n", 400)])
def test_a_fast_cluster_elects_soon_unless_it_is_told_when(
    project: Path, lines: str, wanted: int
) -> None:
    text = f'[package]\nname = "srv"\n[cluster]\nprofile = "fast"\n{lines}'
    (project / "soma.toml").write_text(text)
    parser = make_parser()
    config = options_of(parser, parser.parse_args([]), manifest=manifest_spec(project)).cluster
    found = raft_config(config.config)
    assert (found.election_ms, found.heartbeat_ms) == (wanted, wanted * 15 // 100)


def test_a_profile_that_is_unknown_is_an_error() -> None:
    text = '[package]\nname = "a"\n[cluster]\nprofile = "faster"\n'
    _, found = parse_manifest(text, Path("soma.toml"), "a")
    message = 'soma.toml: `profile` in [cluster] must be "normal" or "fast"'
    assert [(d.code, d.message) for d in found] == [("E271", message)]
