"""soma.toml: values, defaults, and what is said about mistakes (system reference §7)."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from somac.frontend.diagnostics import Severity
from somac.manifest import Manifest, load_manifest, parse_manifest

PATH = Path("soma.toml")


def codes(text: str) -> list[str]:
    return [d.code for d in parse_manifest(text, PATH, "app")[1]]


def test_no_file_means_defaults(tmp_path: Path) -> None:
    manifest, found = load_manifest(tmp_path / "shop.cell")
    assert found == ()
    assert manifest.path is None
    assert manifest.package.name == "shop"
    assert manifest.serve.cors == ()


def test_a_file_that_is_not_utf8(tmp_path: Path) -> None:
    (tmp_path / "soma.toml").write_bytes(b"\xff")
    _, found = load_manifest(tmp_path / "shop.cell")
    assert [d.code for d in found] == ["E270"]


def test_every_section_is_read() -> None:
    text = """
        peers = { a = "host:8082" }
        [package]
        name = "shop"
        version = "2.0.0"
        [serve]
        cors = ["https://a.example"]
        max_body = 1000
        timeout = 2.5
        static = "public"
        [verify]
        deadlock_free = true
        eventually = ["done"]
        [verify.after.done]
        never = ["open"]
        [cluster]
        seeds = ["a:1"]
        [agent]
        model = "large"
        [models.small]
        provider = "ollama"
        capabilities = ["vision"]
        [compute]
        backend = "threads"
        parallel = { handlers = ["f"] }
        [dependencies]
        x = "1.0"
    """
    manifest, found = parse_manifest(text, PATH, "app")
    assert found == ()
    assert (manifest.package.name, manifest.package.version) == ("shop", "2.0.0")
    assert manifest.serve.cors == ("https://a.example",)
    assert (manifest.serve.max_body, manifest.serve.timeout) == (1000, 2.5)
    assert manifest.verify["after"] == {"done": {"never": ["open"]}}
    assert manifest.models["small"].capabilities == ("vision",)
    assert manifest.compute.parallel == ("f",)
    assert manifest.peers == {"a": "host:8082"}
    assert manifest.agent is not None
    assert manifest.agent.model == "large"


def test_cors_may_be_one_word() -> None:
    manifest, _ = parse_manifest('[package]\nname="a"\n[serve]\ncors = "*"', PATH, "app")
    assert manifest.serve.cors == ("*",)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("[package", "E270"),
        ("x = 1979-99-99", "E270"),
        ('package = "a"', "E271"),
        ("[package]\nname = true", "E271"),
        ('[package]\nname = "a"\n[serve]\nmax_body = true', "E271"),
        ('[package]\nname = "a"\n[models]\nm = 1', "E271"),
        ('[package]\nname = "a"\n[peers]\nm = 1', "E271"),
        ('[package]\nname = "a"\n[verify]\nafter = 1', "E271"),
        ("", "W271"),
        ('[package]\nname = "a"\n[unknown]\n', "W272"),
    ],
)
def test_mistakes_are_reported_with_a_place(text: str, code: str) -> None:
    _, found = parse_manifest(text, PATH, "app")
    assert code in [d.code for d in found]
    assert all(d.span is not None and d.span.line >= 1 and d.span.column >= 1 for d in found)


def test_the_place_of_a_syntax_error() -> None:
    _, (found,) = parse_manifest('[package]\nname = \nversion = "1"\n', PATH, "app")
    assert found.span is not None
    assert (found.span.line, found.severity) == (2, Severity.ERROR)


def test_the_place_of_a_wrong_value() -> None:
    text = '[package]\nname = "a"\n[serve]\nport = 1\ntimeout = "long"\n'
    _, (found,) = parse_manifest(text, PATH, "app")
    assert found.span is not None
    assert (found.span.line, found.span.column) == (5, 1)


@given(st.text(max_size=60))
@settings(max_examples=60, deadline=None)
def test_no_text_makes_it_raise(text: str) -> None:
    manifest, found = parse_manifest(text, PATH, "app")
    assert isinstance(manifest, Manifest)
    assert all(d.message for d in found)


def test_unknown_names_do_not_count() -> None:
    assert codes('[package]\nname = "a"\n[agnet]\n') == ["W272"]
    _, (found,) = parse_manifest('[package]\nname = "a"\n[agnet]\n', PATH, "app")
    assert found.hint == "did you mean 'agent'?"
    assert not found.counted
