"""Python names for Soma names, in one place.

A name that Python or the runtime needs gets a trailing `_`; `somart.errors` takes it off again when
it names an undefined variable. Every other name stays as it is.
"""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Iterable

# What generated modules import or define at their top, apart from cells.
RUNTIME_NAMES = frozenset(
    [
        "TYPE_CHECKING",
        "App",
        "Arrow",
        "BaseApp",
        "Cell",
        "EtcdSpec",
        "FAILURES",
        "Lambda",
        "MachineDecl",
        "ManifestSpec",
        "Path",
        "ProgramSpec",
        "Prop",
        "RuntimeConnect",
        "RuntimeEmit",
        "RuntimeStart",
        "ScaleSpec",
        "ServeSpec",
        "SlotDecl",
        "SomaError",
        "SourceMap",
        "Value",
        "Variant",
        "after",
        "annotations",
        "app",
        "every",
        "fail",
        "failed",
        "handler",
        "invariant",
        "lru_cache",
        "native",
        "no_handler",
        "ops",
        "program",
        "require_failed",
        "self",
        "std",
        "succeeded",
        "test_assert",
        "test_property",
        "type_error",
        "undefined_function",
        "undefined_variable",
        "unsupported",
        "wrong_arity",
        "PROGRAM",
        "json",
        "os",
        "types",
    ]
)

# Attributes of `somart.Cell` that handlers, slots and machines must not hide.
CELL_ATTRIBUTES = frozenset(
    [
        "app",
        "call",
        "delegate",
        "delegate_async",
        "emit",
        "emit_async",
        "get_status",
        "get_status_async",
        "name",
        "next_id",
        "next_id_async",
        "publish",
        "rollback",
        "savepoint",
        "slots",
        "machines",
        "handlers",
        "timers",
        "invariants",
        "soma_children",
        "soma_handlers",
        "soma_kind",
        "soma_machines",
        "soma_name",
        "soma_path",
        "soma_runtime",
        "soma_scale",
        "soma_slots",
        "soma_timers",
        "soma_invariants",
        "soma_tests",
        "transition",
        "transition_async",
        "valid_transitions",
        "valid_transitions_async",
    ]
)

_PYTHON = frozenset(dir(builtins)) | frozenset(keyword.kwlist) | frozenset(keyword.softkwlist)
_LOOK_ALIKES = frozenset({"l", "I", "O"})  # pycodestyle E741
# In the body of a class these decorate, declare and annotate what follows.
_ANNOTATIONS = frozenset({"bool", "dict", "float", "int", "list", "str", "tuple"})
_OUR_METHODS = re.compile(r"_\w+_(native|checked|\d+)")  # see cells.py


def python_name(name: str) -> str:
    """The Python name of a Soma variable."""
    if name == "_":
        return "_"
    if name.startswith("__"):  # inside a class Python would mangle it
        return f"d{name}_"
    taken = name in _PYTHON or name in RUNTIME_NAMES or name in _LOOK_ALIKES
    return f"{name}_" if taken or name.endswith("_") else name


def attribute_name(name: str) -> str:
    """The Python name of a handler, slot or machine on the class of its cell."""
    if name.startswith("__"):
        return f"d{name}_"
    taken = name in keyword.kwlist or name in CELL_ATTRIBUTES or name.endswith("_")
    taken = taken or name.startswith(("soma_", "_soma_"))  # the runtime's own, all of them
    taken = taken or name in RUNTIME_NAMES or name in _ANNOTATIONS or name in _LOOK_ALIKES
    taken = taken or _OUR_METHODS.fullmatch(name) is not None
    return f"{name}_" if taken else name


def class_name(path: Iterable[str]) -> str:
    """The class of a cell; interior cells carry their parent's name."""
    name = "_".join(path).lstrip("_") or "Cell"
    name = name if name[0].isupper() else name[0].upper() + name[1:]
    taken = name in _PYTHON or name in RUNTIME_NAMES or name in _LOOK_ALIKES
    return f"{name}_" if taken or name.endswith("_") else name


def module_name(name: str) -> str:
    """The module of a class, in snake case and without `.py`."""
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
    snake = snake.strip("_") or "cell"
    taken = snake in {"program", "types", "somart"} or keyword.iskeyword(snake)
    return f"{snake}_cell" if taken else snake


class Namer:
    """Hands out names that are unique in one Python scope."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self.taken = set(taken)

    def fresh(self, wanted: str) -> str:
        """The wanted name, or the first of `wanted_2`, `wanted_3` … that is free."""
        name, number = wanted, 1
        while name in self.taken:
            number += 1
            name = f"{wanted.rstrip('_')}_{number}"
        self.taken.add(name)
        return name
