"""docs/claims.md has every line that passes, and names tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from verify_programs import PARCEL, PARCEL_TOML, report_on

from somac.frontend.load import load
from somac.manifest import Manifest, load_manifest
from somac.verify import verify

ROOT = Path(__file__).resolve().parents[2]
CLAIMS = (ROOT / "docs" / "claims.md").read_text("utf-8")
ROWS = re.findall(r"^\| `(.+?)` \| (.+?) \| `(.+?)` \|$", CLAIMS, re.M)
NAMED = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")
SOURCE = re.compile(r"passed\(\s*(?:f?\"([^\"]*)\"|text)")


def patterns() -> list[re.Pattern[str]]:
    return [
        re.compile(".*".join(re.escape(part) for part in line.split("{…}"))) for line, _, _ in ROWS
    ]


@pytest.mark.parametrize("page", ["claims.md", "verification.md"])
def test_the_pages_name_tests_that_exist(page: str) -> None:
    named = NAMED.findall((ROOT / "docs" / page).read_text("utf-8"))
    assert len(named) >= 10
    for path, function in named:
        text = (ROOT / path).read_text("utf-8")
        assert not function or f"def {function}(" in text, f"{path}::{function}"


def test_every_line_that_passes_is_a_claim_of_the_page() -> None:
    known = patterns()
    reports = [report_on(PARCEL, PARCEL_TOML)]
    for path in sorted((ROOT / "examples").glob("*/app.cell")):
        program = load(path).program
        assert program is not None
        manifest, _ = load_manifest(path)
        reports += [verify([program], manifest, lambda _: True)]
        reports += [verify([program], Manifest(), lambda _: False)]
    lines = {c.message for r in reports for c in r.checks if c.status == "pass"}
    lines |= {v.message for r in reports for v in r.verdicts if v.passed}
    lines |= {
        c.message for r in reports for s in r.survivals for c, _ in s.checks if c.status == "pass"
    }
    assert len(lines) > 50
    assert not [line for line in lines if not any(p.fullmatch(line) for p in known)]


def test_every_text_of_a_pass_in_the_source_is_on_the_page() -> None:
    """Also those that no example prints: the first words of each are enough to find it."""
    missing = []
    for path in sorted((ROOT / "somac" / "verify").glob("*.py")):
        for text in SOURCE.findall(path.read_text("utf-8")):
            words = re.split(r"[{(\[`]", text)[0].strip()
            if len(words) > 3 and words not in CLAIMS:
                missing.append(f"{path.name}: {text}")
    assert not missing


def test_what_is_not_delivered_is_marked_on_the_page() -> None:
    from somart.capabilities import CAPABILITIES

    pending = [name for name, c in CAPABILITIES.items() if not c.delivered]
    assert CLAIMS.count("Not yet") == (2 if pending else 0)  # its two rows
