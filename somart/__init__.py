"""somart: the runtime that generated Soma packages import."""

from . import native, ops, std
from .app import App
from .cell import Cell, after, every, handler, invariant, test_assert, test_property
from .engines.standalone import StandaloneEngine
from .errors import (
    FAILURES,
    SomaError,
    as_soma_error,
    no_handler,
    require_failed,
    stack_overflow,
    type_error,
    undefined_function,
    undefined_variable,
    unsupported,
    wrong_arity,
)
from .machine import Machine, MachineDecl
from .memory.shared import SharedSlot
from .memory.slot import Slot, SlotDecl
from .ops import fail, failed, succeeded
from .spec import (
    Arrow,
    HandlerInfo,
    InvariantInfo,
    ManifestSpec,
    ProgramSpec,
    Prop,
    RuntimeConnect,
    RuntimeEmit,
    RuntimeEntry,
    RuntimeStart,
    ScaleSpec,
    ServeSpec,
    SourceMap,
    TestAssert,
    TestProperty,
    TimerInfo,
)
from .transaction import Mark, current_app
from .values import Lambda, Value, Variant

__all__ = [
    "FAILURES",
    "App",
    "Arrow",
    "Cell",
    "HandlerInfo",
    "InvariantInfo",
    "Lambda",
    "Machine",
    "MachineDecl",
    "ManifestSpec",
    "Mark",
    "ProgramSpec",
    "Prop",
    "RuntimeConnect",
    "RuntimeEmit",
    "RuntimeEntry",
    "RuntimeStart",
    "ScaleSpec",
    "ServeSpec",
    "SharedSlot",
    "Slot",
    "SlotDecl",
    "SomaError",
    "SourceMap",
    "StandaloneEngine",
    "TestAssert",
    "TestProperty",
    "TimerInfo",
    "Value",
    "Variant",
    "after",
    "as_soma_error",
    "current_app",
    "every",
    "fail",
    "failed",
    "handler",
    "invariant",
    "native",
    "no_handler",
    "ops",
    "require_failed",
    "stack_overflow",
    "std",
    "succeeded",
    "test_assert",
    "test_property",
    "type_error",
    "undefined_function",
    "undefined_variable",
    "unsupported",
    "wrong_arity",
]
