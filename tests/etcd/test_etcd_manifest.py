"""`[cluster] engine = "etcd"`: from the manifest to the options of a node."""

from __future__ import annotations

from pathlib import Path

import pytest

from somac.codegen import generate, load_in_memory
from somac.frontend.load import load_text
from somac.manifest import parse_manifest
from somart.options import make_parser, options_of
from somart.spec import EtcdSpec, ManifestSpec

WHOLE = """
[cluster]
engine = "etcd"
endpoints = ["https://a:1", "https://b:2"]
etcd_prefix = "/p/"
etcd_ca = "ca.pem"
etcd_cert = "c.pem"
etcd_key = "k.pem"
"""


def test_a_generated_program_knows_its_etcd() -> None:
    manifest, found = parse_manifest('[package]\nname = "x"\n' + WHOLE, Path("soma.toml"), "x")
    assert found == ()
    loaded = load_text("cell A { on f() { 1 } }", "a.cell")
    assert loaded.program is not None
    spec = load_in_memory(generate(loaded.program, manifest, runtime="somart"))
    expected = EtcdSpec(("https://a:1", "https://b:2"), "/p/", "ca.pem", "c.pem", "k.pem")
    assert spec.manifest.etcd == expected
    parser = make_parser("x")
    options = options_of(parser, parser.parse_args([]), None, spec.manifest)
    assert options.etcd is not None
    assert [str(one) for one in options.etcd.endpoints] == ["https://a:1", "https://b:2"]


@pytest.mark.parametrize("engine", ["", '[cluster]\nengine = "embedded"'])
def test_without_it_there_is_none(engine: str) -> None:
    manifest, found = parse_manifest(f'[package]\nname = "x"\n{engine}', Path("soma.toml"), "x")
    assert found == ()
    assert manifest.cluster.etcd is None


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('engine = "raft"', '`engine` in [cluster] must be "embedded" or "etcd"'),
        ('engine = "etcd"\nendpoints = "a"', "must be a list of strings"),
        ('engine = "etcd"\netcd_prefix = "/x"', 'must be a string that ends with "/"'),
        ('engine = "etcd"\netcd_cert = "c.pem"', "must be given together with `etcd_key`"),
    ],
)
def test_what_does_not_fit_is_an_error(line: str, message: str) -> None:
    _, found = parse_manifest(f'[package]\nname = "x"\n[cluster]\n{line}', Path("soma.toml"), "x")
    assert [one.code for one in found] == ["E271"]
    assert message in found[0].message


def test_a_node_does_not_start_with_an_endpoint_that_is_none(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOMA_ETCD_ENDPOINTS", "ftp://a")
    parser = make_parser("x")
    with pytest.raises(SystemExit) as left:
        options_of(parser, parser.parse_args([]), None, ManifestSpec(etcd=EtcdSpec()))
    assert left.value.code == 2
    assert "is no endpoint of etcd" in capsys.readouterr().err
