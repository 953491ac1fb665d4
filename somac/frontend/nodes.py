"""The syntax tree: frozen dataclasses, one per construct of the language, each with its span.

Spans do not take part in equality, so that two trees are equal when the programs are.
"""

from __future__ import annotations

from dataclasses import field

from .frozen import Frozen
from .source import NOWHERE, Span


class Node(Frozen):
    span: Span = field(default=NOWHERE, kw_only=True, compare=False, repr=False)


# --- expressions ---------------------------------------------------------------------------------


class Hole(Node):
    """`{text}` in a string. `expr` is None when the text is no expression: it stays literal."""

    text: str
    expr: Expr | None = None
    error: str | None = field(default=None, compare=False)  # why it is no expression


class Int(Node):
    value: int  # also "-" directly before a literal


class Float(Node):
    value: float


class Str(Node):
    """A string literal, escapes resolved. `value` is the whole text before interpolation."""

    value: str
    parts: tuple[str | Hole, ...] = ()  # literal text and holes in order; adjacent texts are joined
    triple: bool = False


class Duration(Node):
    milliseconds: int
    text: str = ""  # as written: 1.5s


class Percent(Node):
    value: float
    text: str = ""


class Bool(Node):
    value: bool


class Unit(Node):
    """`()`"""


class Name(Node):
    """A bare lower (or contextual keyword) or Upper name. Upper ones are unit variants."""

    name: str


class Lambda(Node):
    param: str
    body: Expr | Block


class Call(Node):
    """`f(a, b)`; an Upper name is a tuple variant."""

    name: str
    args: tuple[Expr, ...]


class Field(Node):
    """`target.name` without parentheses."""

    target: Expr
    name: str


class Method(Node):
    """`target.name(args)`"""

    target: Expr
    name: str
    args: tuple[Expr, ...]


class Propagate(Node):
    """`e?`"""

    value: Expr


class Record(Node):
    """`P { a: 1 }`: a record, or a struct variant when P is one."""

    name: str
    fields: tuple[tuple[str, Expr], ...]


class ListLit(Node):
    items: tuple[Expr, ...]


class Binary(Node):
    """op is one of + - * / % == != < > <= >= && || ??"""

    op: str
    left: Expr
    right: Expr


class Unary(Node):
    """op is ! or - (never - before a number literal)."""

    op: str
    operand: Expr


class Pipe(Node):
    """`left |> right`. The parser has already applied mend 16: `v |> f(a) > 3` is
    Binary(">", Pipe(v, f(a)), 3). `right` is what was written: Call, Name, or anything else,
    which fails at run time with the spec's message."""

    left: Expr
    right: Expr


class IfExpr(Node):
    condition: Expr
    then: Block
    otherwise: Block | IfExpr


class Arm(Node):
    patterns: tuple[Pattern, ...]
    guard: Expr | None
    body: Expr | Block


class Match(Node):
    subject: Expr
    arms: tuple[Arm, ...]


class Try(Node):
    body: Expr


Expr = (
    Int
    | Float
    | Str
    | Duration
    | Percent
    | Bool
    | Unit
    | Name
    | Lambda
    | Call
    | Field
    | Method
    | Propagate
    | Record
    | ListLit
    | Binary
    | Unary
    | Pipe
    | IfExpr
    | Match
    | Try
)

# --- patterns ------------------------------------------------------------------------------------


class Wildcard(Node):
    """`_`"""


class Binding(Node):
    name: str


class LiteralPattern(Node):
    """Int, Float, Str (never interpolated), Bool, Unit, Duration or Percent."""

    value: Int | Float | Str | Bool | Unit | Duration | Percent


class RangePattern(Node):
    """Both ends included."""

    low: int
    high: int


class PrefixPattern(Node):
    prefix: str
    rest: str


class MapPattern(Node):
    """`{x: p, y}`; a field without pattern binds its own name (Binding)."""

    fields: tuple[tuple[str, Pattern], ...]


class VariantPattern(Node):
    """`V`, `T::V`, `V(p)`, `V { x, .. }`; shape is "unit", "tuple" or "struct"."""

    name: str
    type_name: str | None
    shape: str
    items: tuple[Pattern, ...] = ()
    fields: tuple[tuple[str, Pattern], ...] = ()
    rest: bool = False


Pattern = (
    Wildcard | Binding | LiteralPattern | RangePattern | PrefixPattern | MapPattern | VariantPattern
)

# --- statements ----------------------------------------------------------------------------------


class Let(Node):
    name: str
    value: Expr


class Assign(Node):
    """op is = += -= *= /="""

    name: str
    op: str
    value: Expr


class Return(Node):
    value: Expr


class If(Node):
    condition: Expr
    then: Block
    otherwise: Block | If | None


class For(Node):
    name: str
    iterable: Expr
    body: Block
    loop_bound: int | None = None


class While(Node):
    condition: Expr
    body: Block
    loop_bound: int | None = None


class Break(Node):
    pass


class Continue(Node):
    pass


class Ensure(Node):
    condition: Expr


class Require(Node):
    constraint: Constraint
    otherwise: str  # the name or the text after `else`, never evaluated


class Emit(Node):
    """`emit s(args)` or `signal s(args)`"""

    name: str
    args: tuple[Expr, ...]


class ExprStmt(Node):
    value: Expr


Stmt = (
    Let | Assign | Return | If | For | While | Break | Continue | Ensure | Require | Emit | ExprStmt
)


class Block(Node):
    statements: tuple[Stmt, ...]


# Constraints (core 2.7): `!` covers everything that follows it.


class Not(Node):
    operand: Constraint


class AllOf(Node):
    items: tuple[Constraint, ...]


class AnyOf(Node):
    items: tuple[Constraint, ...]


Constraint = Not | AllOf | AnyOf | Expr

# --- declarations --------------------------------------------------------------------------------


class TypeRef(Node):
    """`Int`, `Map<String, Int>`, `a.b`. `name` holds the dotted text."""

    name: str
    args: tuple[TypeRef, ...] = ()


class Param(Node):
    name: str
    type: TypeRef


class Handler(Node):
    name: str
    params: tuple[Param, ...]
    annotations: tuple[str, ...]
    body: Block
    returns: TypeRef | None = None


class Property(Node):
    """`capacity(500)`, `evict(lru)`. A bare lower name as an argument is a Str."""

    name: str
    args: tuple[Int | Float | Str | Bool | Percent | Duration, ...] = ()


class Slot(Node):
    name: str
    type: TypeRef
    properties: tuple[Property, ...] = ()


class Memory(Node):
    """One `memory` block; its invariants belong to all its slots."""

    slots: tuple[Slot, ...]
    invariants: tuple[Expr, ...] = ()


class Transition(Node):
    """One arrow of a machine; source "*" is any state. A chain has become single arrows."""

    source: str
    target: str
    guard: Expr | None = None
    effect: Block | None = None


class Machine(Node):
    name: str  # an anonymous machine is named after its cell
    type: str | None
    properties: tuple[Property, ...]
    initial: str
    transitions: tuple[Transition, ...]
    explicit_initial: bool = True


class Signature(Node):
    """`signal`, `await` or `tool` of a face."""

    kind: str
    name: str
    params: tuple[Param, ...]
    returns: TypeRef | None = None
    capabilities: tuple[tuple[str, tuple[str, ...]], ...] = ()
    description: str | None = None


class Given(Node):
    name: str
    type: TypeRef
    constraints: tuple[Constraint, ...] = ()


class Promise(Node):
    """A text promise has a Str as value and `text` True."""

    value: Constraint
    text: bool = False


class Face(Node):
    declarations: tuple[Signature | Given | Promise, ...]


class Interior(Node):
    cells: tuple[Cell, ...]


class Connect(Node):
    """`connect A.sig -> B`"""

    cell: str
    signal: str
    target: str


class Start(Node):
    cell: str


class Runtime(Node):
    entries: tuple[Emit | Connect | Start | Stmt, ...]


class Every(Node):
    milliseconds: int
    body: Block


class After(Node):
    milliseconds: int
    body: Block


class ScaleEntry(Node):
    """replicas, tolerance, cpu: int; shard, consistency: str; memory, disk: str | int"""

    key: str
    value: int | str


class Scale(Node):
    entries: tuple[ScaleEntry, ...]


class Cost(Node):
    """tokens (count), latency (ms), usd"""

    entries: tuple[tuple[str, int | float], ...]


class VariantDecl(Node):
    """shape "unit", "tuple" (types) or "struct" (fields)."""

    name: str
    shape: str
    types: tuple[TypeRef, ...] = ()
    fields: tuple[tuple[str, TypeRef], ...] = ()


class Variants(Node):
    variants: tuple[VariantDecl, ...]


class NameRule(Node):
    """contradicts, implies, requires, matches [a, b]; mutex_group g (one name)."""

    kind: str
    names: tuple[str, ...]


class CheckRule(Node):
    body: Block


class NativeRule(Node):
    text: str


class Assert(Node):
    value: Expr


class PropertyTest(Node):
    name: str
    variable: str
    type: str
    low: int
    high: int
    count: int | None
    ensures: Expr


Rule = NameRule | CheckRule | NativeRule | Assert | PropertyTest


class Rules(Node):
    """Also asserts and property tests written directly in a cell body (bare=True)."""

    rules: tuple[Rule, ...]
    bare: bool = False


Section = (
    Face
    | Memory
    | Interior
    | Handler
    | Rules
    | Runtime
    | Machine
    | Every
    | After
    | Scale
    | Cost
    | Variants
)


class Cell(Node):
    """kind: "cell" for a plain one, else agent type property checker backend builtin test."""

    kind: str
    name: str
    sections: tuple[Section, ...]
    type_params: tuple[str, ...] = ()
    agent_options: tuple[tuple[str, str], ...] = ()
    name_span: Span = field(default=NOWHERE, compare=False, repr=False)


class Message(Node):
    """One step of a protocol: `a -> b: msg(x, y)`"""

    sender: str
    receiver: str
    name: str
    args: tuple[str, ...]


class Protocol(Node):
    name: str
    roles: tuple[tuple[str, str], ...]
    messages: tuple[Message, ...]


class Use(Node):
    """`use lib::a` has parts ("lib", "a"); `use "x/y"` has text "x/y"."""

    parts: tuple[str, ...]
    text: str | None = None


class Module(Node):
    """One source file, as parsed."""

    uses: tuple[Use, ...]
    cells: tuple[Cell, ...]
    protocols: tuple[Protocol, ...] = ()
