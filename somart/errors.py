"""The one exception of Soma programs, and how Python's own exceptions become it.

`str(error)` is the text that a program sees in `.error` of `try`, and that the terminal shows after
`error: ` (core §3.13). `kind` tells the sources apart, for programs that handle errors from Python.
"""

from __future__ import annotations

import re

TYPE = "TypeError"
UNDEFINED_VARIABLE = "UndefinedVar"
UNDEFINED_FUNCTION = "UndefinedFn"
NO_HANDLER = "NoHandler"
REQUIRE_FAILED = "RequireFailed"
STACK_OVERFLOW = "StackOverflow"
INTERNAL = "Internal"
CONFLICT = "Conflict"
"""What the handler read kept changing: nothing has happened, try again."""
NO_QUORUM = "NoQuorum"
"""Too few members can be reached: nothing has happened, try again later."""
DEPOSED = "Deposed"
"""A tick came too late: another node has served its due time."""
UNAVAILABLE = "Unavailable"
"""Who has the data cannot be reached: nothing has happened, try again later."""
UNKNOWN = "Unknown"
"""No answer from a quorum in time: the write may have happened, or may still happen."""

_HARMLESS = frozenset({CONFLICT, NO_QUORUM, DEPOSED, UNAVAILABLE})


class SomaError(Exception):
    """A run-time error of a Soma program."""

    def __init__(self, message: str, kind: str = TYPE) -> None:
        super().__init__(message)
        self.message = message
        self.kind = kind

    @property
    def definite(self) -> bool | None:
        """Of an error of a cluster: True when it is certain that nothing has happened and the call
        can be repeated, False when the writes may have happened or may still happen. None for
        errors of the program: they undo what the handler did, and repeating it would not help."""
        if self.kind == UNKNOWN:
            return False
        return True if self.kind in _HARMLESS else None


def type_error(message: str) -> SomaError:
    """An error whose text is the bare message: the usual kind."""
    return SomaError(message)


def undefined_variable(name: str) -> SomaError:
    return SomaError(f"undefined variable: {name}", UNDEFINED_VARIABLE)


def undefined_function(name: str, suggestion: str | None = None) -> SomaError:
    """A call that no builtin and no handler answers (builtins §1.4)."""
    hint = f" (did you mean '{suggestion}'?)" if suggestion is not None else ""
    return SomaError(f"undefined function: {name}{hint}", UNDEFINED_FUNCTION)


def no_handler(signal: str, cell: str) -> SomaError:
    message = f"no handler found for signal '{signal}' in cell '{cell}'"
    return SomaError(message, NO_HANDLER)


def require_failed(message: str) -> SomaError:
    """A broken `require`, `ensure`, invariant or transition."""
    return SomaError(f"require failed: {message}", REQUIRE_FAILED)


def stack_overflow() -> SomaError:
    return SomaError("stack overflow (recursion depth exceeded)", STACK_OVERFLOW)


def wrong_arity(name: str, expected: int, got: int) -> SomaError:
    """A handler called with the wrong number of arguments (core §3.8)."""
    noun = "argument" if expected == 1 else "arguments"
    return SomaError(f"{name}() expected {expected} {noun}, got {got}")


def unsupported(name: str, family: str) -> SomaError:
    """A builtin that the language knows and this version leaves out."""
    return SomaError(f"{name}() is not supported: {family} are left out of this version")


# What `try` catches: errors of the program. Faults of the runtime itself are not among them.
FAILURES: tuple[type[Exception], ...] = (
    SomaError,
    RecursionError,
    NameError,
    ArithmeticError,
    IndexError,
)

_QUOTED_NAME = re.compile(r"'(\w+)'")


def as_soma_error(exc: BaseException) -> SomaError:
    """The error that a program sees for any exception; the original stays as `__cause__`."""
    if isinstance(exc, SomaError):
        return exc
    error = _translate(exc)
    error.__cause__ = exc
    return error.with_traceback(exc.__traceback__)


def _translate(exc: BaseException) -> SomaError:
    if isinstance(exc, RecursionError):
        return stack_overflow()
    if isinstance(exc, NameError):  # also UnboundLocalError, which does not carry its name
        found = _QUOTED_NAME.search(str(exc))
        name = exc.name or (found.group(1) if found else str(exc))
        # The compiler appends "_" to names that Python or the runtime needs, or that end in one.
        return undefined_variable(name[:-1] if name[1:].endswith("_") else name)
    if isinstance(exc, IndexError):  # of a buffer: native handlers use Python's own indexing
        return SomaError("buffer index out of range")
    if isinstance(exc, MemoryError):
        return SomaError("out of memory", INTERNAL)
    return SomaError(f"internal error: {type(exc).__name__}: {exc}", INTERNAL)
