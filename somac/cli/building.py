"""`build`: from a source file to a Python package on disk."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from ..frontend.diagnostics import Diagnostic, Severity
from ..frontend.program import Program
from .pipeline import Unit, read_runnable, static_folder
from .terminal import progress, remark, report, report_diagnostics, say

if TYPE_CHECKING:
    from ..codegen import Generated

STATIC = "static"


def build_package(path: str, out: str, package: str | None, shared: bool, force: bool) -> int:
    """`soma build FILE -o OUT`: after a passing check, writes an installable package."""
    from ..codegen.package import ForeignFiles, write_package

    unit = read_runnable(path)
    if unit is None:
        return 1
    findings = _checked(unit)
    if findings is None:
        return 1
    with progress("building"):
        name, files = _files(unit, findings, package, shared)
        try:
            changed = write_package(files, Path(out), force=force)
        except ForeignFiles as refusal:
            report(f"{refusal}; choose another folder or use --force")
            return 1
        except OSError as error:
            report(f"cannot write '{error.filename}': {error.strerror}")
            return 1
        except UnicodeEncodeError:
            report(f"cannot build '{path}': its name is not valid UTF-8; rename it")
            return 1
    say(f"built {out.rstrip('/')}/{name}: {len(files)} files, {changed} changed")
    return 0


def _checked(unit: Unit) -> tuple[Diagnostic, ...] | None:
    from ..check import check

    findings = check(unit.program, unit.manifest)
    errors = [d for d in findings if d.severity is Severity.ERROR]
    if not errors:
        return findings
    report_diagnostics(errors)
    remark(f"nothing was built: {len(errors)} error(s)")
    return None


def _files(
    unit: Unit, findings: tuple[Diagnostic, ...], package: str | None, shared: bool
) -> tuple[str, dict[str, str | bytes]]:
    from ..codegen import generate
    from ..codegen.certificate import certificate
    from ..codegen.package import PackageOptions, package_files, package_name, project_name

    runtime = "somart" if shared else "._somart"
    generated = generate(unit.program, unit.manifest, runtime=runtime)
    names = source_names(unit.program)
    modules, source_map = _formatted(generated, names)
    data: dict[str, str | bytes] = {names[s.path]: s.text for s in unit.program.sources}
    data["source_map.json"] = json.dumps(source_map, ensure_ascii=False) + "\n"
    data.update(_static_files(static_folder(unit)))
    about = unit.manifest.package
    options = PackageOptions(
        name=package_name(package or unit.path.stem),
        project=project_name(about.name if about.declared else package or unit.path.stem),
        version=about.version,
        description=about.description,
        source=names[unit.program.source.path],
        shared_runtime=shared,
        certificate=certificate(unit.program, findings, _verified(unit)),
        data=data,
    )
    return options.name, package_files(modules, options)


def _verified(unit: Unit) -> dict[str, Any]:
    """What the verifier finds, for the certificate. A build does not fail by it; `verify` does."""
    from somart.capabilities import delivers

    from ..verify import verify
    from ..verify.data import summary

    return summary(verify([unit.program], unit.manifest, delivers))


def source_names(program: Program) -> dict[str, str]:
    """Where each source lies inside the package: relative to the main file's folder."""
    root = Path(program.source.path).resolve().parent
    names: dict[str, str] = {}
    for source in program.sources:
        path = Path(source.path).resolve()
        inside = path.is_relative_to(root)
        wanted = PurePosixPath(path.relative_to(root) if inside else Path("imported") / path.name)
        while str(wanted) in names.values():
            wanted = wanted.with_name(f"_{wanted.name}")
        names[source.path] = str(wanted)
    return names


def _formatted(
    generated: Generated, names: dict[str, str]
) -> tuple[dict[str, str], dict[str, Any]]:
    """The modules as black writes them, and the source map that follows them."""
    from ..codegen.package import format_module
    from ..codegen.source_map import moved_lines

    modules: dict[str, str] = {}
    lines: dict[str, Any] = {}
    for module in generated.modules:
        text = modules[module.filename] = format_module(module.text)
        rows = [
            (line, (names[span.source.path], span.line, span.column)) for line, span in module.lines
        ]
        if moved := moved_lines(module.text, text, rows):
            lines[module.filename] = [[line, *place] for line, place in moved]
    return modules, {"lines": lines, "sources": sorted(names.values())}


def _static_files(root: Path) -> Iterator[tuple[str, bytes]]:
    """The files to serve under `/static/`. Links that lead out of the folder are left behind."""
    for path in sorted(root.rglob("*")):
        if path.is_file() and path.resolve().is_relative_to(root.resolve()):
            yield f"{STATIC}/{path.relative_to(root).as_posix()}", path.read_bytes()
