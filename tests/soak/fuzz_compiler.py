"""Fuzz checker, code generator and runtime: `python tests/soak/fuzz_compiler.py SECONDS [SEED]`.

Programs of the corpora are mutated token by token, so that most still parse. Whatever parses must
check without a fault, must become Python that compiles, and its handlers must end with a value or
an error of the language, never with one of ours.
"""

from __future__ import annotations

import ast
import contextlib
import io
import os
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from somac.check import check
from somac.check.native import native_errors
from somac.codegen import generate, load_in_memory
from somac.frontend.lexer import scan
from somac.frontend.load import load_text
from somac.frontend.program import Program
from somac.manifest import Manifest
from somart import App, ProgramSpec, SomaError, StandaloneEngine

ROOT = Path(__file__).parents[2]
FOLDERS = (
    "examples",
    "tests/conformance/cases",
    "tests/frontend/corpus",
    "tests/codegen",
    "tests/soak",
)
UNSAFE = ("write_", "read_", "http", "link", "subscribe", "ws_", "use ", "sleep")
"""Programs with these are compiled and not run: they reach outside, or wait."""

COMPILE_SECONDS = 20.0
RUN_SECONDS = 0.5
MEMORY_BYTES = 3 * 1024**3
RECURSION_LIMIT = 3_000
LITERALS = ["0", "1", "-1", "9223372036854775807", "99999999999999999999", "0.5", "1e308", '""']
LITERALS += [
    '"{x}"',
    '"a{1 + 2}b"',
    "true",
    "()",
    "[]",
    "map()",
    "5s",
    "50%",
    "x => x",
    "list(1, 2)",
]
ARGUMENTS: list[Any] = [0, 1, -7, 2**63, 0.5, "", "abc", "{x}", True, None, [], [3, 1, 2], {"a": 1}]


class TooSlow(BaseException):
    """A handler ran for longer than a fuzzer waits."""


@dataclass
class Tally:
    """What a campaign has seen."""

    programs: int = 0
    compiled: int = 0
    calls: int = 0
    values: int = 0
    errors: int = 0
    unfinished: int = 0


def seeds() -> list[str]:
    """Programs to begin with."""
    return [
        path.read_text(encoding="utf-8")
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("*.cell"))
        if path.stat().st_size < 20_000
    ]


def mutate(text: str, rng: random.Random, donor: str) -> str:
    """One token-wise mutation; `donor` gives tokens of another program."""
    tokens = scan(text).tokens
    if len(tokens) < 3:
        return donor
    at = rng.randrange(len(tokens))
    token = tokens[at]
    start, end = token.start, token.end
    match rng.choice((0, 0, 1, 1, 1, 1, 3, 3, 3, 4, 5, 6, 7)):
        case 0:
            return text[:start] + f" {rng.choice(LITERALS)} " + text[end:]
        case 1:  # another word of this program
            same = [t for t in tokens if t.kind == token.kind]
            other = rng.choice(same)
            return text[:start] + text[other.start : other.end] + text[end:]
        case 3:  # another word of another program
            others = [t for t in scan(donor).tokens if t.kind == token.kind] or [token]
            other = rng.choice(others)
            word = donor[other.start : other.end] if other is not token else ""
            return text[:start] + word + text[end:]
        case 4:  # a line again, or none of it
            line_start, line_end = text.rfind("\n", 0, start) + 1, text.find("\n", end)
            line = text[line_start:line_end]
            return text[:line_start] + rng.choice([line + "\n" + line, ""]) + text[line_end:]
        case 5:
            return text[:start] + text[end:]
        case 6:
            last = tokens[min(at + rng.randrange(1, 6), len(tokens) - 1)]
            return text[:start] + f"({text[start : last.end]})" + text[last.end :]
        case _:
            return text[:end] + " " + text[start:end] + text[end:]


def compile_program(program: Program) -> ProgramSpec | None:
    """Checks and generates; None when native handlers are not native."""
    begin = time.process_time()
    check(program, Manifest())
    if native_errors(program):
        return None
    generated = generate(program, Manifest(), runtime="somart")
    for module in generated.modules:
        ast.parse(module.text)
    spec = load_in_memory(generated)
    assert time.process_time() - begin < COMPILE_SECONDS, "compiling takes too long"
    return spec


@contextlib.contextmanager
def alarm(seconds: float) -> Iterator[list[bool]]:
    """Raises TooSlow in this thread after a time; the list then holds something."""
    rang: list[bool] = []

    def ring(number: int, frame: FrameType | None) -> None:
        rang.append(True)
        raise TooSlow

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield rang
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def in_native(error: SomaError) -> bool:
    """Whether native code failed: its kinds are static, so a mutation can make it ill-kinded."""
    frames = traceback.extract_tb((error.__cause__ or error).__traceback__)
    return any(frame.name.endswith("_native") for frame in frames)


def call_handlers(spec: ProgramSpec, rng: random.Random, tally: Tally) -> None:
    """Calls every handler with arguments of all kinds."""
    with App(spec, StandaloneEngine(None)) as app:
        for cell in app.top_level:
            for name, info in cell.soma_handlers.items():
                arguments = [rng.choice(ARGUMENTS) for _ in info.params]
                tally.calls += 1
                rang: list[bool] = []
                try:
                    with alarm(RUN_SECONDS) as rang:
                        app.call(cell.soma_name, name, arguments)
                    tally.values += 1
                except SomaError as error:
                    tally.errors += 1
                    if "internal error" in str(error) and not in_native(error):
                        raise
                except BaseException:
                    if not rang:
                        raise
                    tally.unfinished += 1  # TooSlow, or what an event loop makes of it
                    return  # it was cut in the middle: the app is good for nothing more


def attempt(text: str, rng: random.Random, tally: Tally) -> None:
    """One program through all phases. Raises what must never be raised."""
    tally.programs += 1
    loaded = load_text(text, "fuzz.cell")
    if loaded.program is None:
        return
    spec = compile_program(loaded.program)
    if spec is None:
        return
    tally.compiled += 1
    if not any(word in text for word in UNSAFE):
        quiet = io.StringIO()
        with contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet):
            call_handlers(spec, rng, tally)
    for name in [name for name in sys.modules if name.startswith("soma_program_")]:
        del sys.modules[name]


def campaign(go_on: Callable[[int], bool], seed: int) -> Tally:
    """Mutated programs as long as `go_on` of their number says so.

    On a failure the program is left in the folder for temporary files, and the fault is raised.
    """
    rng = random.Random(seed)
    programs, tally = seeds(), Tally()
    while go_on(tally.programs):
        text = rng.choice(programs)
        for _ in range(rng.choice((1, 1, 1, 1, 2, 3))):
            text = mutate(text, rng, rng.choice(programs))
        try:
            attempt(text, rng, tally)
        except BaseException:
            path = Path(tempfile.gettempdir()) / f"fuzz_compiler_{seed}_{tally.programs}.cell"
            path.write_text(text, encoding="utf-8", errors="surrogatepass")
            print(f"seed {seed}, program {tally.programs}: {path}", file=sys.stderr)
            raise
    return tally


def main() -> None:
    """A timed campaign from the command line, in an empty folder and with bounded memory."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else time.time_ns() % 10**9
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    sys.setrecursionlimit(RECURSION_LIMIT)
    end = time.monotonic() + seconds
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        tally = campaign(lambda _: time.monotonic() < end, seed)
        os.chdir(ROOT)
    sys.stdout.write(f"fuzz_compiler: seed {seed}, {tally}\n")


if __name__ == "__main__":
    main()
