"""etcd's transactions in memory, as the gateway shows them: for laws about what is sent to it."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from typing import Any

Json = dict[str, Any]


class FakeEtcd:
    """Keys with revisions. Keys are the gateway's texts, which sort otherwise than etcd's: ranges
    are not offered."""

    def __init__(self) -> None:
        self.revision = 1
        self.pairs: dict[str, Json] = {}
        self.watchers: list[Callable[[list[Json]], None]] = []

    def transact(self, message: Json) -> Json:
        """The answer of `kv/txn`; watchers hear of the events at once."""
        holds = all(self._holds(compare) for compare in message["compare"])
        events: list[Json] = []
        responses: list[Json] = []
        for operation in message["success" if holds else "failure"]:
            if "request_range" in operation:
                found = self.pairs.get(operation["request_range"]["key"])
                responses.append({"response_range": {"kvs": [found]} if found else {}})
            elif "request_put" in operation:
                events.append({"kv": self._put(**operation["request_put"])})
            else:
                key = operation["request_delete_range"]["key"]
                if self.pairs.pop(key, None) is not None:
                    kv = {"key": key, "mod_revision": str(self.revision + 1)}
                    events.append({"type": "DELETE", "kv": kv})
        if events:
            self.revision += 1
            for watcher in self.watchers:
                watcher(events)
        header = {"revision": str(self.revision)}
        return {"header": header, "succeeded": holds, "responses": responses}

    def _put(self, key: str, value: str, lease: str = "") -> Json:
        revision = str(self.revision + 1)
        created = self.pairs[key]["create_revision"] if key in self.pairs else revision
        pair = {"key": key, "value": value, "create_revision": created, "mod_revision": revision}
        self.pairs[key] = pair
        return pair

    def _holds(self, compare: Json) -> bool:
        pair = self.pairs.get(compare["key"], {})
        field = {"MOD": "mod_revision", "CREATE": "create_revision"}[compare["target"]]
        actual, wanted = int(pair.get(field, 0)), int(compare[field])
        return actual == wanted if compare["result"] == "EQUAL" else actual > wanted


def wire(text: str) -> str:
    """A key or value as the gateway has it."""
    return b64encode(text.encode()).decode()
