"""What a syntax error says was expected, by the rule of the grammar that failed last (core 4.2)."""

from __future__ import annotations

STATEMENT = "statement (let, return, if, match, signal, require, or expression)"
SECTION = "face, memory, interior, on, rules, runtime, state, every, scale, or cost"
FACE_ITEM = "given, promise, signal, await, or tool"
RULE = "contradicts, implies, requires, mutex_group, check, matches, native, assert, or property"
SCALE_KEY = "replicas, shard, consistency, tolerance, cpu, memory, or disk"

# Closing braces: what could stand in their place, but at the end of the file the brace is missing.
_CLOSERS = {
    "CELL_END": ("E013", SECTION),
    "section": ("E013", SECTION),
    "BLOCK_END": ("E011", STATEMENT),
    "FACE_END": ("E013", FACE_ITEM),
    "MEMORY_END": ("E010", "identifier"),
    "MACHINE_END": ("E010", "name"),
    "TRANSITION_END": ("E010", "'guard', 'effect', or '}'"),
    "SCALE_END": ("E010", SCALE_KEY),
    "COST_END": ("E010", "tokens, latency, or usd"),
    "VARIANTS_END": ("E010", "PascalCase variant name"),
    "RULES_END": ("E013", RULE),
    "PROTOCOL_END": ("E010", "identifier"),
    "MATCH_END": ("E010", "literal"),
}

_EXPRESSION = dict.fromkeys(
    [
        "expr",
        "hole",
        "comparison",
        "sum",
        "operand",
        "postfix",
        "negative",
        "prefixed",
        "prefix_op",
        "primary",
        "lambda",
        "lambda_param",
        "call_or_name",
        "upper_form",
        "record",
        "variant",
        "list",
        "unit",
        "paren",
        "match",
        "if_expr",
        "try",
        "expr_stmt",
        "constraint",
        "not_constraint",
        "number",
        "amount",
        "boolean",
        "call",
        "variable",
    ],
    ("E012", "expression"),
)
_STATEMENT = dict.fromkeys(
    ["stmt", "keyword_stmt", "plain_stmt", "STMT_WORD", "assign", "MINUS_ON_NEW_LINE"],
    ("E011", STATEMENT),
)
_NAMES = {
    "name": ("E010", "identifier"),
    "lower": ("E010", "identifier"),
    "plain_lower": ("E010", "identifier"),
    "param": ("E010", "identifier"),
    "params": ("E010", "identifier"),
    "slot": ("E010", "identifier"),
    "field_pattern": ("E010", "identifier"),
    "cell_name": ("E010", "identifier"),
    "any_name": ("E010", "name"),
    "use_path": ("E010", "name"),
    "type": ("E010", "type name"),
    "upper": ("E010", "type name"),
    "variant_decl": ("E010", "PascalCase variant name"),
}
_OTHERS = {
    "END": ("E010", "'cell'"),
    "item": ("E010", "'cell'"),
    "literal": ("E010", "literal"),
    "property_value": ("E010", "literal"),
    "size": ("E010", "literal"),
    "pattern": ("E010", "literal"),
    "arm": ("E010", "literal"),
    "string": ("E010", "string literal"),
    "integer": ("E010", "integer"),
    "bound": ("E010", "integer"),
    "level": ("E010", "strong, causal, or eventual"),
    "scale_entry": ("E010", SCALE_KEY),
    "interval": ("E010", "interval (e.g., 30s, 5min, 1h)"),
    "delay": ("E010", "delay (e.g., 5s, 1min, 500ms)"),
    "face_item": ("E013", FACE_ITEM),
    "rule": ("E013", RULE),
    "assign_op": ("E010", "'='"),
    "option_value": ("E010", "literal"),
    "else": ("E010", "'else'"),
    "block": ("E010", "'{'"),
    "arguments": ("E010", "'('"),
    "annotations": ("E010", "'{'"),
}
_TOKENS = {
    "LPAREN": "(",
    "RPAREN": ")",
    "LBRACE": "{",
    "RBRACE": "}",
    "LBRACKET": "[",
    "RBRACKET": "]",
    "COMMA": ",",
    "COLON": ":",
    "DOT": ".",
    "RANGE": "..",
    "ARROW": "->",
    "FAT_ARROW": "=>",
    "ASSIGN": "=",
    "OR": "||",
    "PLUS": "+",
    "MINUS": "-",
    "LESS": "<",
    "GREATER": ">",
}
_TABLE = _EXPRESSION | _STATEMENT | _NAMES | _OTHERS


def expectation(rule: str, at_end: bool) -> tuple[str, str]:
    """The code and the ⟨what⟩ of `expected ⟨what⟩, found …`."""
    if rule in _CLOSERS:
        return ("E015", "'}'") if at_end else _CLOSERS[rule]
    if rule == "RBRACE" and at_end:
        return "E015", "'}'"
    if rule in _TABLE:
        return _TABLE[rule]
    return "E010", f"'{_TOKENS.get(rule, rule.lower())}'"
