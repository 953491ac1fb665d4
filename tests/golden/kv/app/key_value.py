"""Cell KeyValue of app.cell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._somart import Cell, Prop, SlotDecl, Value, handler, ops, std

if TYPE_CHECKING:
    from .program import App


class KeyValue(Cell):
    """cell KeyValue — app.cell:3"""

    soma_name = "KeyValue"
    if TYPE_CHECKING:
        app: App

    entries = SlotDecl("entries", "Map<String, Map>", (Prop("persistent"), Prop("consistent")))
    reads = SlotDecl("reads", "Map<String, Int>", (Prop("ephemeral"), Prop("local")))

    @handler("request", "method", "path", "body", "query")
    def request(self, method: Value, path: Value, body: Value, query: Value) -> Value:
        """on request(method: String, path: String, body: Map, query: Map) — app.cell:9"""
        if isinstance(path, str) and path.startswith("/kv/"):
            key = path[4:]
            return self.entry_request(method, key, body, query)
        elif path == "/kv":
            return {"entries": self.entries.keys(), "count": self.entries.len()}
        elif path == "/":
            return {"name": "kv", "keys": self.entries.len()}
        else:
            return std.response(404, {"error": f"no such path: {ops.text(path)}"})

    @handler("entry_request", "method", "key", "body", "query")
    def entry_request(self, method: Value, key: Value, body: Value, query: Value) -> Value:
        """on entry_request(method: String, key: String, body: Map, query: Map) — app.cell:18"""
        if method == "GET":
            return self.read(key)
        elif method == "PUT" or method == "POST":
            return self.write(key, body, ops.entry(query, "version"))
        elif method == "DELETE":
            return self.erase(key)
        else:
            return std.response(405, {"error": "use GET, PUT or DELETE"})

    @handler("read", "key")
    def read(self, key: Value) -> Value:
        """on read(key: String) — app.cell:27"""
        self.reads.set(
            key, ops.add(_value if (_value := self.reads.get(key)) is not None else 0, 1)
        )
        return (
            _value_2
            if (_value_2 := self.entries.get(key)) is not None
            else std.response(404, {"error": f"no entry {ops.text(key)}"})
        )

    @handler("write", "key", "value", "expected")
    def write(self, key: Value, value: Value, expected: Value) -> Value:
        """on write(key: String, value: Map, expected: String) — app.cell:33"""
        current = _value if (_value := self.entries.get(key)) is not None else {"version": 0}
        if expected is not None and ops.ne(std.to_int(expected), ops.entry(current, "version")):
            return std.response(
                409,
                {
                    "error": f"version is {ops.text(ops.entry(current, 'version'))}",
                    "entry": current,
                },
            )
        entry: dict[str, Value] = {
            "key": key,
            "value": value,
            "version": ops.add(ops.entry(current, "version"), 1),
        }
        self.entries.set(key, entry)
        return entry

    @handler("erase", "key")
    def erase(self, key: Value) -> Value:
        """on erase(key: String) — app.cell:43"""
        return {"key": key, "deleted": self.entries.delete(key)}
