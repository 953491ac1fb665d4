"""From generated modules to the files of an installable Python package.

`package_files` is a pure function of what was compiled; `write_package` puts the files into a
folder. The writer keeps a list of what it wrote: it replaces and deletes those files only.
"""

from __future__ import annotations

import hashlib
import json
import keyword
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from somart.certificate import CERTIFICATE, sealed

from .. import __version__
from .templates import render
from .vendor import RUNTIME_DEPENDENCIES, VENDORED_NAME, runtime_files

LINE_LENGTH = 100
STATIC = "static"  # in the package: the files to serve
WRITTEN = ".soma-build.json"  # in the output folder: the files that we wrote, with digests


@dataclass(frozen=True)
class PackageOptions:
    """How to lay out a package. `name` is what Python imports, `project` what pip installs."""

    name: str
    project: str
    version: str = "0.1.0"
    description: str = ""
    source: str = "app.cell"  # as shown in banners
    shared_runtime: bool = False
    certificate: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, str | bytes] = field(default_factory=dict)  # sources, static files


class ForeignFiles(Exception):
    """The output folder holds files that somac did not write; nothing was changed."""


def package_name(text: str) -> str:
    """A name that Python can import, made of the stem of a source file.

    Names of the standard library are avoided: `python -m json` must not start our package.
    """
    name = re.sub(r"\W", "_", text, flags=re.ASCII).lower().strip("_") or "app"
    if name[0].isdigit():
        name = f"cell_{name}"
    if keyword.iskeyword(name) or name in sys.stdlib_module_names or name == "dist":
        name += "_app"
    return name


def project_name(text: str) -> str:
    """A name that pip accepts: ASCII letters, digits, single hyphens."""
    name = re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-").lower()
    return name or "app"


def package_files(modules: Mapping[str, str], options: PackageOptions) -> dict[str, str | bytes]:
    """All files of the distribution by path; `modules` maps file names to formatted sources."""
    runtime = "somart" if options.shared_runtime else f".{VENDORED_NAME}"
    inner: dict[str, str | bytes] = {
        "__init__.py": _template("__init__.py", options, runtime),
        "__main__.py": _template("__main__.py", options, runtime),
        "py.typed": "",
        **modules,
        **options.data,
    }
    inner[CERTIFICATE] = _certificate(options, inner)
    if not options.shared_runtime:
        inner.update(runtime_files())
    files = {f"{options.name}/{path}": content for path, content in inner.items()}
    files["pyproject.toml"] = _pyproject(options, files)
    files["README.md"] = _template("README.md", options, runtime)
    return files


def _certificate(options: PackageOptions, files: Mapping[str, str | bytes]) -> str:
    """The certificate, over all files but those to serve, which may change without the program."""
    covered = {
        path: text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
        for path, text in files.items()
        if not path.startswith(f"{STATIC}/")
    }
    whole = sealed(options.certificate, covered)
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"


def _template(name: str, options: PackageOptions, runtime: str) -> str:
    return render(
        f"{name}.j2",
        compiler=__version__,
        package=options.name,
        project=options.project,
        command=options.project,
        description=options.description or f"{options.project}, a Soma program",
        source=options.source,
        runtime=runtime,
        shared=options.shared_runtime,
    )


def _pyproject(options: PackageOptions, files: Mapping[str, str | bytes]) -> str:
    folders = {PurePosixPath(path).parent.as_posix() for path in files if path.endswith(".py")}
    shared = (f"soma-lang>={__version__}",)
    return render(
        "pyproject.toml.j2",
        compiler=__version__,
        package=options.name,
        project=options.project,
        command=options.project,
        version=options.version,
        description=options.description or f"{options.project}, a Soma program",
        source=options.source,
        dependencies=shared if options.shared_runtime else RUNTIME_DEPENDENCIES,
        packages=sorted(folder.replace("/", ".") for folder in folders),
    )


def format_module(text: str) -> str:
    """Python source as black writes it, in the style of the generated package."""
    import black  # 90 ms: only a build pays for it
    from black.mode import TargetVersion

    mode = black.Mode(line_length=LINE_LENGTH, target_versions={TargetVersion.PY311})
    return black.format_str(text, mode=mode)


# --- writing -------------------------------------------------------------------------------------


def write_package(files: Mapping[str, str | bytes], out: Path, *, force: bool = False) -> int:
    """Writes the files under `out` and deletes what an earlier build wrote and this one did not.

    Returns the number of files that changed. Raises `ForeignFiles` when the folder is not empty
    and no earlier build of ours, or when a file in the way is not ours, unless `force`; `OSError`
    when the disk refuses.
    """
    content = {path: _bytes(text) for path, text in files.items()}
    for path in content:
        _inside(path)
    before = _written_before(out)
    if not force:
        _refuse_foreign(content, before, out)
    changed = sum(_write(out / path, data) for path, data in content.items())
    for path in before.keys() - content.keys():
        _delete(out, path)
    listing = {path: hashlib.sha256(data).hexdigest() for path, data in sorted(content.items())}
    _write(out / WRITTEN, _bytes(json.dumps({"files": listing}, indent=1) + "\n"))
    return changed


def _bytes(content: str | bytes) -> bytes:
    return content if isinstance(content, bytes) else content.encode("utf-8")


def _inside(path: str) -> PurePosixPath:
    """The path, when it stays inside the output folder; else `ValueError`."""
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or "\\" in path or not pure.parts:
        raise ValueError(f"a path of a package must be relative and inside it: {path!r}")
    return pure


def _written_before(out: Path) -> dict[str, str]:
    """What an earlier build wrote there; nothing when the list is missing or damaged."""
    try:
        listing = json.loads((out / WRITTEN).read_text("utf-8"))["files"]
        return {str(path): str(digest) for path, digest in listing.items() if _inside(str(path))}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _refuse_foreign(content: Mapping[str, bytes], before: Mapping[str, str], out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise ForeignFiles(f"{out} is a file, not a folder")
    if not out.exists() or not any(out.iterdir()):
        return
    if not before:
        raise ForeignFiles(f"{out} holds files that somac did not write")
    for path in content:
        if path not in before and (out / path).exists():
            raise ForeignFiles(f"{out / path} was not written by somac")


def _write(path: Path, data: bytes) -> bool:
    """Writes one file through a temporary one, unless it already says the same."""
    if path.is_file() and path.read_bytes() == data:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".part")
    temporary.write_bytes(data)
    temporary.replace(path)
    return True


def _delete(out: Path, path: str) -> None:
    """Deletes a file of an earlier build and the folders that this leaves empty."""
    target = out / path
    if not target.resolve().is_relative_to(out.resolve()):
        return  # a folder was replaced by a link that leads elsewhere
    target.unlink(missing_ok=True)
    for folder in target.parents:
        if folder == out or not folder.is_dir() or any(folder.iterdir()):
            return
        folder.rmdir()
