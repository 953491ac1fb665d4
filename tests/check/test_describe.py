"""The outline of a program and the list of properties (system reference §1.2, §10)."""

from __future__ import annotations

import json

from somac.describe import describe, props_text
from somac.frontend.load import load_text

TEXT = """\
cell agent Shop {
    face { signal buy(id: String) -> Map promise has_face promise "fast"
        tool find(q: String) "search" }
    memory { stock: Map<String, Int> [persistent, ttl(30d)] invariant stock.len <= 5 }
    state order { initial: open open -> paid { guard { _id != "0" } } * -> lost }
    scale { replicas: 3 shard: stock }
    every 30s { print("tick") }
    on buy(id: String) [record] { id }
    on _hidden() { 1 }
    on request(method: String, path: String, body: String) {
        if path == "/about" { return "about" }
        match path { "/" -> "home" "/item/" + id -> id _ -> "none" }
    }
}
cell type T { variants { A } }
"""


def test_an_outline_holds_what_a_tool_needs() -> None:
    program = load_text(TEXT, "shop.cell").program
    assert program is not None
    outline = describe(program)
    assert (outline["file"], outline["imports"]) == ("shop.cell", [])
    (cell,) = outline["cells"]
    assert (cell["name"], cell["kind"], cell["web"]) == ("Shop", "agent", True)
    assert cell["routes"] == ["/about", "/", "/item/{id}"]
    assert cell["memory"] == [
        {
            "name": "stock",
            "type": "Map<String, Int>",
            "properties": ["persistent", "ttl(30d)"],
            "invariants": ["stock.len <= 5"],
        }
    ]
    buy, hidden, _ = cell["handlers"]
    assert buy == {
        "name": "buy",
        "params": [{"name": "id", "type": "String"}],
        "is_public": True,
        "line": 8,
        "properties": ["record"],
    }
    assert hidden["is_public"] is False
    assert cell["scale"] == {"replicas": 3, "shard": "stock"}
    assert cell["scheduled"] == [{"kind": "every", "interval_ms": 30_000}]
    (machine,) = cell["state_machines"]
    assert machine["states"] == ["lost", "open", "paid"]
    assert machine["transitions"][0]["guard"] == '_id != "0"'
    assert cell["face"]["promises"] == ["has_face", "fast"]
    assert cell["face"]["tools"][0]["description"] == "search"


def test_an_outline_is_json_with_ascending_keys() -> None:
    program = load_text(TEXT, "shop.cell").program
    assert program is not None
    outline = describe(program)
    assert json.dumps(outline) == json.dumps(outline, sort_keys=True)


def test_the_properties_are_listed() -> None:
    lines = props_text().splitlines()
    assert lines[0] == "Registered properties (18 total):"
    assert sum(line.startswith(("  ● ", "  ○ ")) for line in lines) == 18
    assert "  ● ttl" in lines
    assert "  ○ persistent" in lines
