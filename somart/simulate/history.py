"""What clients asked for and were told, and which writes that was."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ..values import Value, text

OK = "ok"
ERROR = "error"
UNKNOWN = "unknown"
"""The node died, or never answered: the call may have taken effect."""


class Written(NamedTuple):
    """A key as a commit left it on its node: its version, the one before, and the value."""

    table: str
    key: Any
    version: Any
    before: Any
    value: Value


@dataclass(slots=True)
class Operation:
    """One call of a client. Times are virtual ms; `ended` is -1 while there is no answer.

    `writes` are those of the commit, acknowledged when `status` is `ok`.
    """

    number: int
    node: str
    cell: str
    handler: str
    args: tuple[Value, ...]
    began: int
    ended: int = -1
    status: str = UNKNOWN
    result: Value = None
    client: int = 0
    writes: list[Written] = field(default_factory=list)
    ids: list[tuple[str, int]] = field(default_factory=list)
    """By cell, the results of `next_id`; a run that was repeated after a conflict counts too."""

    def end(self, at: int, status: str, result: Value) -> None:
        """The answer has come."""
        self.ended, self.status, self.result = at, status, result

    def __str__(self) -> str:
        called = f"c{self.number} {self.cell}.{self.handler}({', '.join(map(text, self.args))})"
        if self.ended < 0:
            return f"{called} …"
        return f"{called} → {self.status}: {text(self.result)} after {self.ended - self.began} ms"


RUNNING: ContextVar[Operation | None] = ContextVar("somart_simulated_operation", default=None)
"""The operation that the running task carries out."""
