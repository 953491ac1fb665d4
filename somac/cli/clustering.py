"""`cluster status`, `cluster remove` and `cluster leave`: over the bus of a running node."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .dialling import Door, with_bus
from .terminal import report, say

if TYPE_CHECKING:
    from somart.cluster.channel import Channel
    from somart.cluster.messages import Message

ANSWER_SECONDS = 10.0
_HEAD = ("node", "status", "bus", "ring", "share", "unsent", "lag", "last sync")


def show_status(door: Door, as_json: bool) -> int:
    """Prints the cluster as the node at that bus or HTTP address sees it."""
    from somart.cluster.messages import Status

    answers: list[Status] = []

    async def use(channel: Channel) -> None:
        await _ask(channel, None, Status, answers)

    code = with_bus(door, "status", use)
    if code or not answers:
        return _unanswered(door, code)
    if as_json:
        say(answers[0].json)
    else:
        _print_status(json.loads(answers[0].json))
    return 0


def command(door: Door, name: str, member: str = "") -> int:
    """Has a node carry out a command of an operator; prints what has become of it."""
    from somart.cluster.messages import Command, Done

    answers: list[Done] = []

    async def use(channel: Channel) -> None:
        await _ask(channel, Command(name, member), Done, answers)

    code = with_bus(door, "admin", use)
    if code or not answers:
        return _unanswered(door, code)
    done = answers[0]
    if done.refused:
        report(done.text)
        return 1
    say(done.text)
    return 0


async def _ask(
    channel: Channel, question: Message | None, kind: type[Any], answers: list[Any]
) -> None:
    """Waits for the first message of a kind, the end of the link, or long enough."""
    import trio

    async def receive(batch: Sequence[tuple[Message, int]]) -> None:
        answers.extend(message for message, _ in batch if isinstance(message, kind))
        if answers:
            channel.finish()

    if question is not None:
        channel.send(question)
    with trio.move_on_after(ANSWER_SECONDS):
        await channel.run(receive)


def _unanswered(door: Door, code: int) -> int:
    if not code:
        report(f"no answer from {door.address}")
    return code or 1


# --- printing ------------------------------------------------------------------------------------


def _print_status(status: Mapping[str, Any]) -> None:
    term = "" if status.get("term") is None else f", term {status['term']}"
    say(f"node {status['node']}: {status['phase']}{'' if status['ready'] else ', catching up'}")
    say(f"leader {status['leader'] or 'unknown'}{term}")
    consensus = status.get("consensus")
    if consensus:
        say(f"consensus {consensus['summary']}, revision {consensus['revision']}")
    say("")
    rows = [_HEAD, *(_row(member) for member in status["members"])]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    for row in rows:
        shown = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        say(shown.rstrip())


def _row(member: Mapping[str, Any]) -> tuple[str, ...]:
    lag, synced = member.get("lag_ms"), member.get("last_sync")
    return (
        member["id"],
        member["status"],
        member["address"],
        member["ring"],
        f"{member['share']:.1%}",
        str(member.get("outbox", "")),
        "" if lag is None else f"{lag} ms",
        "" if synced is None else f"{max(0, int(time.time() - synced / 1000))} s ago",
    )
