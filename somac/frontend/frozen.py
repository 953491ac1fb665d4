"""Frozen dataclasses that cost next to nothing until they are used.

The standard decorator compiles several methods per class when the class is made, which for all the
nodes of a syntax tree takes longer than checking a program. Here one class carries the methods of
all. `dataclasses.fields` and `replace` work as for any dataclass.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, Field, FrozenInstanceError, field, make_dataclass
from typing import Any, dataclass_transform

Setter = Callable[[Any, Any], None]


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
    positional: tuple[str, ...]  # the fields that may be given without a name
    setters: tuple[Setter, ...]

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
        plain: tuple[str, ...] = namespace["__match_args__"]
        cls.positional = plain
        cls.setters = tuple([getattr(cls, key).__set__ for key in plain])
        if plain and next(iter(kinds)) == "span" and len(plain) <= len(_QUICK):
            span: Setter = cls.span.__set__  # type: ignore[attr-defined]
            cls.__init__ = _QUICK[len(plain) - 1](span, *cls.setters)  # type: ignore[misc]
        return cls


class Frozen(metaclass=FrozenType):
    """The base of frozen classes. Equal are instances of one class with equal fields."""

    __dataclass_fields__ = _LazyFields()

    def __init__(self, *args: Any, **given: Any) -> None:
        """Fields in their order, or by name."""
        for setter, value in zip(self.__class__.setters, args, strict=False):
            setter(self, value)
        self._set_others(len(args), given)

    def _set_others(self, count: int, given: dict[str, Any]) -> None:
        """Sets what does not stand among the first `count` fields: to what is given, or its
        default. Raises TypeError when these do not fit."""
        cls = self.__class__
        if count > len(cls.setters):
            raise TypeError(f"{cls.__name__}() got {count} arguments: too many")
        for name in cls.kinds:
            if name in cls.positional[:count]:
                continue
            value = given.pop(name, cls.defaults[name].default)
            if value is MISSING:
                raise TypeError(f"{cls.__name__}() is missing the argument {name!r}")
            getattr(cls, name).__set__(self, value)
        if given:
            raise TypeError(f"{cls.__name__}() got unexpected arguments: {', '.join(given)}")

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


# Constructors of nodes with up to three fields besides their span, as the parser calls them: all
# in order and the span by name. Everything else goes the general way.


def _with_one(span_: Setter, first: Setter) -> Setter:
    def __init__(self: Any, a: Any = MISSING, /, *, span: Any = MISSING, **given: Any) -> None:
        if a is MISSING or span is MISSING or given:
            return _generally(self, (a,), span, given)
        first(self, a)
        return span_(self, span)

    return __init__


def _with_two(span_: Setter, first: Setter, second: Setter) -> Setter:
    def __init__(
        self: Any, a: Any = MISSING, b: Any = MISSING, /, *, span: Any = MISSING, **given: Any
    ) -> None:
        if b is MISSING or span is MISSING or given:
            return _generally(self, (a, b), span, given)
        first(self, a)
        second(self, b)
        return span_(self, span)

    return __init__


def _with_three(span_: Setter, first: Setter, second: Setter, third: Setter) -> Setter:
    def __init__(
        self: Any,
        a: Any = MISSING,
        b: Any = MISSING,
        c: Any = MISSING,
        /,
        *,
        span: Any = MISSING,
        **given: Any,
    ) -> None:
        if c is MISSING or span is MISSING or given:
            return _generally(self, (a, b, c), span, given)
        first(self, a)
        second(self, b)
        third(self, c)
        return span_(self, span)

    return __init__


def _generally(self: Any, args: tuple[Any, ...], span: Any, given: dict[str, Any]) -> None:
    if span is not MISSING:
        given["span"] = span
    Frozen.__init__(self, *[a for a in args if a is not MISSING], **given)


_QUICK = (_with_one, _with_two, _with_three)
