"""Histories of clients under all kinds of faults are linearizable and strictly serializable."""

from __future__ import annotations

import pytest
from fault_plan import CONFIG, NAMES, lose_power, settle, shake
from history_clients import Clients
from service_cluster import World

SEEDS = 100
POWER_LOSSES = 30


@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.slow
def test_what_clients_were_told_has_an_explanation(seed: int) -> None:
    world = World(NAMES[: 3 + seed % 5], seed, CONFIG)
    clients = Clients(world)
    shake(world, clients, 100)
    settle(world, clients)
    assert clients.answered > 20


@pytest.mark.slow
def test_power_loss_on_all_nodes_at_once() -> None:
    assert lose_power(POWER_LOSSES, seed=1) > POWER_LOSSES
