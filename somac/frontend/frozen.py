"""Frozen dataclasses that cost next to nothing until they are used.

The standard decorator compiles several methods per class when the class is made, which for all the
nodes of a syntax tree takes longer than checking a program. Here one class carries the common
methods, and only the constructor is compiled, per class, when its first instance is made.
`dataclasses.fields` and `replace` work as for any dataclass.
"""

from __future__ import annotations

from dataclasses import MISSING, Field, FrozenInstanceError, field, make_dataclass
from typing import Any, dataclass_transform

_DEFAULT = "_default_of_"
_SETTER = "_set_"


class _LazyFields:
    """What `dataclasses` looks for, made when it looks: the fields of a dataclass of the same
    shape."""

    def __get__(self, _instance: object, owner: FrozenType) -> dict[str, Field[Any]]:
        known = owner.made_fields
        if known is None:
            shape = [(name, kind, owner.defaults[name]) for name, kind in owner.kinds.items()]
            made: Any = make_dataclass(owner.__name__, shape)
            known = owner.made_fields = made.__dataclass_fields__
        return known


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
class FrozenType(type):
    """The type of frozen classes. `kinds` has the annotation of each field, inherited ones first;
    the other tables, too, are for this module and for walks over trees."""

    kinds: dict[str, str]
    defaults: dict[str, Field[Any]]
    compared: tuple[str, ...]
    shown: tuple[str, ...]
    made_fields: dict[str, Field[Any]] | None

    def __new__(mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> FrozenType:
        own: dict[str, str] = namespace.get("__annotations__", {})
        given = {key: namespace.pop(key, MISSING) for key in own}
        kinds: dict[str, str] = {}
        defaults: dict[str, Field[Any]] = {}
        for base in bases:
            if isinstance(base, FrozenType):
                kinds |= base.kinds
                defaults |= base.defaults
        kinds |= own
        for key, value in given.items():
            defaults[key] = value if isinstance(value, Field) else field(default=value)
        namespace["__slots__"] = tuple(own)
        namespace["__match_args__"] = tuple(k for k in kinds if defaults[k].kw_only is not True)
        cls = super().__new__(mcs, name, bases, namespace)
        cls.kinds, cls.defaults = kinds, defaults
        cls.compared = tuple(key for key in cls.kinds if cls.defaults[key].compare)
        cls.shown = tuple(key for key in cls.kinds if cls.defaults[key].repr)
        cls.made_fields = None
        return cls


class Frozen(metaclass=FrozenType):
    """The base of frozen classes. Equal are instances of one class with equal fields."""

    __dataclass_fields__ = _LazyFields()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Stands in for the constructor of a class until its first use."""
        cls = type(self)
        cls.__init__ = _constructor(cls)  # type: ignore[method-assign]
        cls.__init__(self, *args, **kwargs)

    def __setattr__(self, name: str, value: object) -> None:
        raise FrozenInstanceError(f"cannot assign to field {name!r}")

    def __delattr__(self, name: str) -> None:
        raise FrozenInstanceError(f"cannot delete field {name!r}")

    def __eq__(self, other: object) -> bool:
        cls = self.__class__
        if other.__class__ is not cls:
            return NotImplemented
        for name in cls.compared:  # noqa: SIM110 (a generator would double the depth of the stack)
            if getattr(self, name) != getattr(other, name):
                return False
        return True

    def __hash__(self) -> int:
        return hash(tuple([getattr(self, name) for name in self.__class__.compared]))

    def __repr__(self) -> str:
        shown = [f"{name}={getattr(self, name)!r}" for name in self.__class__.shown]
        return f"{self.__class__.__qualname__}({', '.join(shown)})"


def _constructor(cls: FrozenType) -> Any:
    """Compiles `__init__`: names and order of the fields come from the class, nothing else does."""
    scope: dict[str, Any] = {}
    positional, keywords, body = ["self"], ["*"], []
    for name in cls.kinds:
        default = cls.defaults[name]
        written = name
        if default.default is not MISSING:
            scope[_DEFAULT + name] = default.default
            written = f"{name}={_DEFAULT}{name}"
        (keywords if default.kw_only is True else positional).append(written)
        scope[_SETTER + name] = getattr(cls, name).__set__
        body.append(f"    {_SETTER}{name}(self, {name})")
    listed = [*positional, *(keywords if len(keywords) > 1 else ())]
    exec(f"def __init__({', '.join(listed)}):\n" + "\n".join(body or ["    pass"]), scope)
    made = scope["__init__"]
    made.__qualname__ = f"{cls.__qualname__}.__init__"
    return made
