"""The certificate of a built package: what was compiled, by what, and what was found.

A node will refuse to join a cluster whose certificate differs in a way that matters: slots, scale
and lifecycle. These are under `program`, and `digest` is the digest of exactly that part. When the
package is put together, `somart.certificate` adds the digests of its files, which a node compares
at start-up.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from .. import __version__
from ..frontend import nodes as n
from ..frontend.diagnostics import Diagnostic, Severity
from ..frontend.program import Program, sections

FORMAT = 1


def digest_of_text(text: str) -> str:
    """The SHA-256 of a source text, in hexadecimal."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def certificate(
    program: Program, diagnostics: Sequence[Diagnostic], verified: Mapping[str, Any]
) -> dict[str, Any]:
    """The certificate of a program whose check gave these diagnostics, as JSON data.

    `verified` is what the verifier found (`somac.verify.output.summary`).
    """
    matters = {cell.name: _cell(cell) for cell in program.live}
    canonical = json.dumps(matters, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return {
        "format": FORMAT,
        "compiler": __version__,
        "sources": {source.path: digest_of_text(source.text) for source in program.sources},
        "program": matters,
        "digest": digest_of_text(canonical),
        "check": _verdict(diagnostics),
        "verify": verified,
    }


def _verdict(diagnostics: Sequence[Diagnostic]) -> dict[str, Any]:
    errors = [d for d in diagnostics if d.severity is Severity.ERROR]
    others = [d for d in diagnostics if d.severity is not Severity.ERROR and d.counted]
    return {
        "passed": not errors,
        "errors": len(errors),
        "warnings": len(others),
        "findings": [{"code": d.code, "message": d.message} for d in (*errors, *others)],
    }


def _cell(cell: n.Cell) -> dict[str, Any]:
    found: dict[str, Any] = {
        "slots": [_slot(slot) for memory in sections(cell, n.Memory) for slot in memory.slots],
        "lifecycle": [_machine(machine) for machine in sections(cell, n.Machine)],
    }
    scale = {entry.key: entry.value for s in sections(cell, n.Scale) for entry in s.entries}
    if scale:
        found["scale"] = scale
    children = [child for interior in sections(cell, n.Interior) for child in interior.cells]
    if children:
        found["interior"] = {child.name: _cell(child) for child in children}
    return found


def _slot(slot: n.Slot) -> dict[str, Any]:
    return {
        "name": slot.name,
        "type": type_text(slot.type),
        "properties": [_property(p) for p in slot.properties],
    }


def _property(prop: n.Property) -> dict[str, Any]:
    return {"name": prop.name, "args": [_argument(a) for a in prop.args]}


def _argument(arg: n.Int | n.Float | n.Str | n.Bool | n.Percent | n.Duration) -> Any:
    return arg.milliseconds if isinstance(arg, n.Duration) else arg.value


def _machine(machine: n.Machine) -> dict[str, Any]:
    return {
        "name": machine.name,
        "initial": machine.initial,
        "transitions": [[t.source, t.target] for t in machine.transitions],
    }


def type_text(ref: n.TypeRef) -> str:
    """A type as it was written: `Map<String, Int>`."""
    if not ref.args:
        return ref.name
    return f"{ref.name}<{', '.join(type_text(arg) for arg in ref.args)}>"
