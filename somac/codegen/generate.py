"""From a program to the modules of a Python package, as text with line tables."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..frontend import nodes as n
from ..frontend.program import Program, sections
from ..frontend.source import Source, Span
from .cells import CellWriter
from .effects import Effects
from .kinds import Kinds
from .literals import docstring, string, tuple_of
from .lowering import ModuleContext
from .routines import Routines
from .writer import Line, Writer, join

if TYPE_CHECKING:
    from ..manifest import Etcd, Manifest

SUBMODULES = ("native", "ops", "std")


@dataclass(frozen=True)
class GeneratedModule:
    """One Python file; `lines` gives the place in the source of each line that has one."""

    filename: str
    text: str
    lines: tuple[tuple[int, Span], ...] = ()


@dataclass(frozen=True)
class Generated:
    """All modules of a program, `program.py` last; `runtime` is what they import."""

    name: str
    modules: tuple[GeneratedModule, ...]
    sources: tuple[Source, ...]
    runtime: str


def generate(program: Program, manifest: Manifest, *, runtime: str = "._somart") -> Generated:
    """Python for a program that was loaded without errors. Pure: reads and writes no files."""
    routines = Routines(program)
    effects = Effects(routines)
    kinds = Kinds(routines, effects)
    modules = [
        _cell_module(cell, ModuleContext(routines, effects, kinds), runtime)
        for cell in program.cells
    ]
    modules.append(_program_module(program, manifest, routines, runtime))
    return Generated(manifest.package.name, tuple(modules), program.sources, runtime)


def _cell_module(cell: n.Cell, context: ModuleContext, runtime: str) -> GeneratedModule:
    body = Writer()
    for inner in _inside_out(cell):
        body.blank()
        body.lines.append(Line(0, ""))
        CellWriter(context, body, inner).write()
    names = context.routines.names.of(cell)
    head = Writer()
    head.add(docstring(f"Cell {cell.name} of {cell.span.source.path.rsplit('/', 1)[-1]}."))
    head.blank()
    head.add("from __future__ import annotations")
    head.blank()
    unused = set() if _calls_operators(body.lines) else {"ops"}
    _imports(head, context.imports - unused, runtime)
    text, table = join([*head.lines, *body.lines])
    return GeneratedModule(f"{names.module}.py", text, table)


def _inside_out(cell: n.Cell) -> Iterable[n.Cell]:
    """Interior cells before the cells that list them."""
    for interior in sections(cell, n.Interior):
        for child in interior.cells:
            yield from _inside_out(child)
    yield cell


def _calls_operators(lines: Sequence[Line]) -> bool:
    """Whether `ops` is named: what only raises needs it no more than what is only text."""
    doubtful = False
    for line in lines:
        before, found, _ = line.text.partition("ops.")
        if found and '"' not in before and "'" not in before:
            return True
        doubtful = doubtful or bool(found)
    if not doubtful:
        return False
    names = ast.walk(ast.parse(join(list(lines))[0]))
    return any(isinstance(node, ast.Name) and node.id == "ops" for node in names)


def _imports(out: Writer, used: set[str], runtime: str) -> None:
    """In the order of ruff's rule I001."""
    names = used - {"App", "lru_cache"}
    if "lru_cache" in used:
        out.add("from functools import lru_cache")
    if "App" in used:
        out.add("from typing import TYPE_CHECKING")
    out.blank()
    if names:
        out.add(f"from {runtime} import {', '.join(sorted(names, key=_import_order))}")
    if "App" in used:
        out.blank()
        with out.suite("if TYPE_CHECKING:"):
            out.add("from .program import App")
    out.blank()


def _import_order(name: str) -> tuple[int, str]:
    """Constants, then classes, then the rest."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2, name)


_SOURCE_MAP = '''
def _source_map() -> SourceMap:
    """From lines of these modules to lines of the Soma source, which lies beside them."""
    root = Path(__file__).parent
    table = root / "source_map.json"
    if not table.exists():
        return SourceMap()
    data = json.loads(table.read_text("utf-8"))
    return SourceMap(
        lines={name: [tuple(row) for row in rows] for name, rows in data["lines"].items()},
        sources={name: (root / name).read_text("utf-8") for name in data["sources"]},
        root=str(root),
    )
'''


def _program_module(
    program: Program, manifest: Manifest, routines: Routines, runtime: str
) -> GeneratedModule:
    out = Writer()
    out.add(docstring(f"The program: all cells of {program.source.path.rsplit('/', 1)[-1]}."))
    out.blank()
    out.add("from __future__ import annotations")
    out.blank()
    out.add("import json")
    out.add("from pathlib import Path")
    out.blank()
    names = [routines.names.of(c) for c in program.all_cells]
    own = sorted((c.module, c.class_name) for c in names if c.cell in program.cells)
    extra = ["ServeSpec"] if _serve(manifest) else []
    etcd = ["EtcdSpec"] if manifest.cluster.etcd is not None else []
    needed = "App as BaseApp", *etcd, "ManifestSpec", "ProgramSpec", *extra, "SourceMap"
    local = [f"from .{module} import {name}" for module, name in own]
    if runtime.startswith("."):
        out.add(f"from {runtime} import {needed[0]}")
        out.add(f"from {runtime} import {', '.join(needed[1:])}")
    else:
        out.add(f"from {runtime} import {needed[0]}")
        out.add(f"from {runtime} import {', '.join(needed[1:])}")
        out.blank()
    for line in local:
        out.add(line)
    out.blank()
    out.blank()
    with out.suite("class App(BaseApp):"):
        out.add(docstring("The running program; handlers reach other cells through it."))
        out.blank()
        for cell in names:
            if cell.cell in program.cells and cell.cell.kind != "test":
                out.add(f"{cell.class_name}: {cell.class_name}")
    out.blank()
    for line in _SOURCE_MAP.split("\n"):
        out.add(line)
    out.blank()
    _program_spec(out, program, manifest, routines)
    text, _ = join(out.lines)
    return GeneratedModule("program.py", text)


def _program_spec(out: Writer, program: Program, manifest: Manifest, routines: Routines) -> None:
    def listed(test: bool) -> str:
        found = [
            routines.names.of(c).class_name for c in program.cells if (c.kind == "test") is test
        ]
        return tuple_of(found) if found else "()"

    variants = ", ".join(
        f"{string(name)}: {string(info.type_name)}" for name, info in program.variants.items()
    )
    out.add("PROGRAM = ProgramSpec(")
    out.depth += 1
    out.add(f"name={string(manifest.package.name)},")
    out.add(f"cells={listed(False)},")
    out.add(f"tests={listed(True)},")
    out.add(f"manifest={_manifest(manifest)},")
    out.add("source_map=_source_map(),")
    out.add(f"variants={{{variants}}},")
    out.add("package=__package__,")
    out.add("app_class=App,")
    out.depth -= 1
    out.add(")")


def _serve(manifest: Manifest) -> str | None:
    """`[serve]` where it says something; `static` is the builder's, who copies the files."""
    serve = manifest.serve
    values = {
        "max_body": serve.max_body,
        "timeout": serve.timeout,
        "host": None if serve.host is None else string(serve.host),
        "port": serve.port,
    }
    listed = [f"{name}={value}" for name, value in values.items() if value is not None]
    return f"ServeSpec({', '.join(listed)})" if listed else None


def _etcd(etcd: Etcd) -> str:
    """`[cluster]` with `engine = "etcd"`, where it says something."""
    values = {
        "prefix": etcd.prefix,
        "authority": etcd.ca,
        "certificate": etcd.cert,
        "key": etcd.key,
    }
    parts = [f"{name}={string(value)}" for name, value in values.items() if value]
    if etcd.endpoints:
        parts.insert(0, f"endpoints={tuple_of([string(one) for one in etcd.endpoints])}")
    return f"EtcdSpec({', '.join(parts)})"


def _manifest(manifest: Manifest) -> str:
    package = manifest.package
    parts = [
        f"name={string(package.name)}",
        f"version={string(package.version)}",
    ]
    if package.description:
        parts.append(f"description={string(package.description)}")
    if manifest.serve.cors:
        parts.append(f"cors={tuple_of([string(c) for c in manifest.serve.cors])}")
    if serve := _serve(manifest):
        parts.append(f"serve={serve}")
    if manifest.peers:
        peers = ", ".join(f"{string(a)}: {string(b)}" for a, b in manifest.peers.items())
        parts.append(f"peers={{{peers}}}")
    if manifest.cluster.seeds:
        parts.append(f"seeds={tuple_of([string(s) for s in manifest.cluster.seeds])}")
    if manifest.cluster.node_id is not None:
        parts.append(f"node_id={string(manifest.cluster.node_id)}")
    if manifest.cluster.intervals:
        times = ", ".join(f"{string(a)}: {b}" for a, b in manifest.cluster.intervals)
        parts.append(f"intervals={{{times}}}")
    if manifest.cluster.etcd is not None:
        parts.append(f"etcd={_etcd(manifest.cluster.etcd)}")
    return f"ManifestSpec({', '.join(parts)})"
