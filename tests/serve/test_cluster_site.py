"""What the HTTP server makes of a cluster: errors, tokens, readiness, the page of the members."""

from __future__ import annotations

import json
from typing import Any

import pytest
import trio
import trio.testing
from serve_cells import PROGRAM, run, serving

from somart import App, SomaError
from somart.cluster.announcing import Announcer
from somart.cluster.members import Joined, Refuted, Returned, Suspected, first_record
from somart.errors import CONFLICT, NO_QUORUM, REQUIRE_FAILED, UNAVAILABLE, UNKNOWN
from somart.serve.log import ServerLog
from somart.serve.message import Request, Response
from somart.serve.replies import error_reply
from somart.serve.site import Site, SiteOptions


@pytest.mark.parametrize(
    ("kind", "status", "definite"),
    [
        (CONFLICT, 409, True),
        (NO_QUORUM, 503, True),
        (UNAVAILABLE, 503, True),
        (UNKNOWN, 504, False),
    ],
)
def test_errors_of_a_cluster_say_whether_anything_happened(
    kind: str, status: int, definite: bool
) -> None:
    response = error_reply(SomaError('no "quorum"', kind))
    assert response.status == status
    assert json.loads(response.body) == {"error": 'no "quorum"', "definite": definite}
    assert (("Retry-After", "1") in response.headers) == (status == 503)


def test_other_errors_stay_what_they_are() -> None:
    response = error_reply(SomaError("no", REQUIRE_FAILED))
    assert (response.status, response.body) == (500, b'{"error": "no"}')


class Standing:
    """A node of a causal cluster, as a test likes it."""

    causal = True

    def __init__(self) -> None:
        self.reason = ""
        self.asked: list[str] = []
        self.failure: SomaError | None = None
        self.group: dict[str, object] = {}
        self.members: list[dict[str, Any]] = [
            {"id": "<n1>", "status": "alive", "address": "h:2", "http": "h:0", "share": 0.5},
            {"id": "n2", "status": "dead", "address": "g:2", "outbox": 3, "lag_ms": 17},
        ]

    def unready(self) -> str:
        return self.reason

    def token(self) -> str:
        return "seen-so-much"

    async def seen(self, token: str) -> None:
        self.asked.append(token)
        if self.failure is not None:
            raise self.failure

    def status(self) -> dict[str, object]:
        found = {"node": "<n1>", "leader": None, "phase": "partitioned", "members": self.members}
        return found | self.group


def answer(node: Standing, *, local: bool = True, path: str, **headers: str) -> Response:
    async def ask() -> Response:
        with App(PROGRAM) as app:
            cell = PROGRAM.cells[0]
            site = Site(app, cell, SiteOptions(), ServerLog(requests=False), node=node)
            site.open()
            named = {k.replace("_", "-").encode(): v.encode() for k, v in headers.items()}
            return await site.respond(Request("GET", path, named), local)

    return trio.run(ask)


def test_answers_carry_a_token_and_wait_for_that_of_the_client() -> None:
    node = Standing()
    response = answer(node, path="/add/1/2", soma_token="mine")
    assert response.body == b'{"result": 3}'
    assert ("Soma-Token", "seen-so-much") in response.headers
    assert node.asked == ["mine"]
    node.failure = SomaError("not yet", UNAVAILABLE)
    assert answer(node, path="/add/1/2", soma_token="mine").status == 503
    node.failure = SomaError("cluster: not a token of this cluster", "ClusterError")
    assert answer(node, path="/add/1/2", soma_token="mine").status == 400


def test_readiness_says_what_is_waited_for() -> None:
    node = Standing()
    assert answer(node, path="/__soma/ready").status == 200
    node.reason = "joining: fetching its data"
    response = answer(node, path="/__soma/ready")
    assert response.status == 503
    assert json.loads(response.body)["reason"] == node.reason


def test_the_members_are_shown_on_this_machine() -> None:
    node = Standing()
    assert answer(node, path="/__soma/cluster", local=False).status == 403
    shown = json.loads(answer(node, path="/__soma/cluster").body)
    assert [member["status"] for member in shown["members"]] == ["alive", "dead"]
    page = answer(node, path="/__soma/").body.decode()
    assert '<meta http-equiv="refresh" content="2">' in page
    assert "<td>&lt;n1&gt;</td>" in page
    assert "<td>50.0%</td>" in page
    assert '<tr class="dead">' in page
    assert "leader <code>unknown</code>" in page


def test_the_page_says_how_many_nodes_vote_and_may_fail() -> None:
    node = Standing()
    assert "voters" not in answer(node, path="/__soma/").body.decode()
    node.group = {"term": 7, "consensus": {"summary": "3 of 50, tolerates 1"}}
    page = answer(node, path="/__soma/").body.decode()
    assert "term 7, voters 3 of 50, tolerates 1</p>" in page


def test_the_log_tells_who_comes_and_how_the_node_stands() -> None:
    lines: list[str] = []
    view: list[tuple[int, str] | None] = [None]
    announcer = Announcer("n1", lambda: view[0], lines.append)
    announcer.changed(Suspected("n2"))
    view[0] = (1, "n1")
    announcer.stand()
    assert lines == ["cluster: node 'n2' does not answer"]
    announcer.begin()
    member = first_record("n2", "h:2", "h:0", founder=False)
    announcer.changed(Refuted("n2"))
    view[0] = (2, "n1")
    announcer.changed(Joined(member))
    view[0] = (2, "n2")
    announcer.changed(Returned(member))
    assert lines[1:] == [
        "cluster: node 'n1' (1 nodes, leader: yes)",
        "cluster: node 'n2' answers again",
        "cluster: node 'n2' joined (h:2)",
        "cluster: node 'n1' (2 nodes, leader: yes)",
        "cluster: node 'n2' is back (h:2)",
        "cluster: node 'n1' (2 nodes, leader: no)",
    ]


def test_who_has_connected_before_a_stop_is_answered() -> None:
    """Else the client could not know whether its request was carried out."""

    async def test() -> None:
        async with serving() as server:
            await server.client().json("GET", "/add/1/1")
            waiting, silent = server.client(), server.client()
            server.server.stop()  # before anybody has accepted them
            await waiting.send(b"GET /add/1/2 HTTP/1.1\r\nHost: here\r\n\r\n")
            status, headers, body = await waiting.answer()
            assert (status, body) == (200, b'{"result": 3}')
            assert headers["connection"] == "close"
            assert await silent.ended() == b""

    run(test)


def test_who_has_not_asked_yet_when_the_server_stops_may_still_do_so() -> None:
    async def test() -> None:
        async with serving() as server:
            fresh, silent = server.client(), server.client()
            await trio.testing.wait_all_tasks_blocked()  # both have been accepted
            server.server.stop()
            await fresh.send(b"GET /add/1/2 HTT")
            await trio.sleep(2.0)
            await fresh.send(b"P/1.1\r\nHost: here\r\n\r\n")
            status, headers, body = await fresh.answer()
            assert (status, body, headers["connection"]) == (200, b'{"result": 3}', "close")
            assert await silent.ended() == b""

    run(test)
