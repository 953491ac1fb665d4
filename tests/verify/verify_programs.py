"""Programs for the tests of the verifier, and a way to verify a text."""

from __future__ import annotations

from pathlib import Path

from somac.frontend.load import load_text
from somac.manifest import Manifest, parse_manifest
from somac.verify import verify
from somac.verify.report import Report
from somart.capabilities import delivers

PARCEL = """\
cell Parcel {
    memory { parcels: Map<String, String> [persistent, consistent] }
    scale { replicas: 3  shard: parcels  consistency: strong  tolerance: 1 }
    state parcel { initial: packed
        packed -> shipped    shipped -> delivered    shipped -> lost    lost -> packed }
    on ship(id: String) { transition(id, "shipped") }
    on close(id: String, ok: Bool) {
        if ok { transition(id, "delivered") } else { transition(id, "lost") }
    }
    on retry(id: String) { transition(id, "packed") }
}
"""
PARCEL_TOML = """\
[package]
name = "parcel"
[verify]
deadlock_free = true
eventually = ["delivered"]
[verify.after.shipped]
never = ["packed"]
"""


def manifest_of(text: str) -> Manifest:
    """The manifest of the text of a soma.toml; `[package]` is added when it is missing."""
    if "[package]" not in text:
        text = f'[package]\nname = "app"\n{text}'
    manifest, diagnostics = parse_manifest(text, Path("soma.toml"), "app")
    assert not diagnostics, diagnostics
    return manifest


def report_on(program: str, toml: str = "") -> Report:
    """What the verifier says of a program's text under a manifest's text."""
    loaded = load_text(program)
    assert loaded.program is not None, loaded.diagnostics
    return verify([loaded.program], manifest_of(toml), delivers)


def machine(arrows: str, body: str = "") -> str:
    """A program with one machine `m`."""
    return f"cell A {{\n    state m {{ {arrows} }}\n{body}\n}}\n"


def lines(report: Report, block: int = 0) -> list[str]:
    """The lines of one block, each with its status in one letter: P, W or F."""
    letters = {"pass": "P", "warning": "W", "fail": "F"}
    return [f"{letters[check.status]} {check.message}" for check in report.blocks[block].checks]


def about(report: Report, word: str) -> list[str]:
    """The lines of the first block that contain a word."""
    return [line for line in lines(report) if word in line]
