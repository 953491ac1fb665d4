"""Reading source files and following their imports (core 2.1)."""

from __future__ import annotations

import os
from collections import deque
from pathlib import Path

from . import limits
from . import nodes as n
from .diagnostics import Diagnostic, Severity
from .frozen import Frozen
from .parser import parse
from .program import Program
from .source import Source, Span


class Loaded(Frozen):
    """`program` is None exactly when a diagnostic is an error."""

    program: Program | None
    diagnostics: tuple[Diagnostic, ...]


class _ImportFailed(Exception):
    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def load(path: str | Path) -> Loaded:
    """Load a program: the file at `path` and all that it imports, each file once."""
    shown = str(path)
    try:
        text = read_source(Path(path))
    except OSError as error:
        message = f"cannot read '{shown}': {os_message(error)}"
        return Loaded(None, (Diagnostic("E030", Severity.ERROR, message),))
    return load_text(text, shown)


def load_text(text: str, path: str = "app.cell") -> Loaded:
    """Load a program whose main file has this text; imports are found relative to `path`."""
    return _Loader().run(Source(path, text))


def read_source(path: Path) -> str:
    """The text of a file. Raises OSError, also for a file that is too large or not UTF-8."""
    if path.is_file() and path.stat().st_size > 4 * limits.FILE_CHARACTERS:
        raise OSError(None, f"file is longer than {4 * limits.FILE_CHARACTERS} bytes")
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise OSError(None, "stream did not contain valid UTF-8") from error
    except ValueError as error:  # a NUL in the path
        raise OSError(None, "file name contained an unexpected NUL byte") from error


def os_message(error: OSError) -> str:
    """The text of an OS error as the language prints it: with its number."""
    if error.errno is None:
        return str(error.args[-1])
    return f"{os.strerror(error.errno)} (os error {error.errno})"


class _Loader:
    def __init__(self) -> None:
        self.sources: list[Source] = []
        self.modules: list[n.Module] = []
        self.diagnostics: list[Diagnostic] = []
        self.seen: set[Path] = set()

    def run(self, main: Source) -> Loaded:
        """Load breadth by breadth of a file's imports, depth first, as their order demands."""
        self.seen.add(Path(main.path).resolve())
        self.module(main)
        errors = any(d.severity is Severity.ERROR for d in self.diagnostics)
        found = tuple(self.diagnostics)
        if errors:
            return Loaded(None, found)
        program = Program(
            main,
            tuple(self.sources),
            tuple(c for m in self.modules for c in m.cells),
            tuple(p for m in self.modules for p in m.protocols),
        )
        return Loaded(program, found)

    def module(self, main: Source) -> None:
        """Parse files from a worklist in the order in which their cells are appended."""
        pending: deque[Source | tuple[Path, n.Use]] = deque([main])
        while pending and len(self.diagnostics) < limits.DIAGNOSTICS:
            entry = pending.popleft()
            source = entry if isinstance(entry, Source) else self.read(*entry)
            if source is None:
                continue
            parsed = parse(source)
            self.sources.append(source)
            self.diagnostics += parsed.diagnostics
            if parsed.module is None:
                continue
            self.modules.append(parsed.module)
            targets = [(p, use) for use in parsed.module.uses for p in self.targets(source, use)]
            pending.extendleft(reversed(targets))

    def read(self, path: Path, use: n.Use) -> Source | None:
        """The source of an imported file; None when it is loaded already or cannot be read."""
        resolved = path.resolve()
        if resolved in self.seen:
            return None
        self.seen.add(resolved)
        try:
            if len(self.seen) > limits.IMPORTED_FILES:
                raise OSError(None, f"more than {limits.IMPORTED_FILES} files")
            return Source(str(path), read_source(path))
        except OSError as error:
            self.fail(use.span, "E032", f"cannot import '{path}': {os_message(error)}")
            return None

    def targets(self, source: Source, use: n.Use) -> list[Path]:
        """The files that an import means, a directory's in name order."""
        try:
            path = resolve(Path(source.path).parent, use)
        except _ImportFailed as failure:
            self.fail(use.span, failure.code, failure.message)
            return []
        if path.is_dir():
            return sorted(p for p in path.glob("*.cell") if p.is_file())
        return [path]

    def fail(self, span: Span, code: str, message: str) -> None:
        self.diagnostics.append(Diagnostic(code, Severity.ERROR, message, span))


def resolve(folder: Path, use: n.Use) -> Path:
    """The path that an import in a file of `folder` means (the table of core 2.1)."""
    if use.text is not None:
        if not use.text or "\0" in use.text:
            raise _ImportFailed("E032", f"cannot import '{use.text}': this names no file")
        return _file_or_folder(folder / use.text)
    head, *rest = use.parts
    tail = "/".join(rest)
    if head == "std" and rest:
        return _standard(folder, tail)
    if head == "pkg" and rest:
        return _package(folder, tail)
    if not rest:
        return _package(folder, head)
    return _file_or_folder(folder / head / tail)


def _file_or_folder(path: Path) -> Path:
    """`x.cell` if it exists, else the folder `x`; a missing one is reported as the file."""
    if not path.name:
        return path  # `use "."` in the current folder
    file = path if path.suffix == ".cell" else path.with_name(path.name + ".cell")
    return path if not file.exists() and path.exists() else file


def _standard(folder: Path, name: str) -> Path:
    file = f"{name}.cell"
    places = (folder / ".soma_env" / "stdlib", folder / "stdlib", Path("stdlib"))
    for place in places:
        if (place / file).exists():
            return place / file
    raise _ImportFailed("E033", f"stdlib module '{name}' not found")


def _package(folder: Path, name: str) -> Path:
    places = (folder / ".soma_env" / "packages", Path(".soma_env/packages"), folder / "packages")
    for place in places:
        if (place / name).exists():
            return place / name
    raise _ImportFailed("E034", f"package '{name}' not installed (run `soma install`)")
