"""Options of the whole suite: how many orders the storms send, and with which seed."""

from __future__ import annotations

import random

import pytest

SEED = pytest.StashKey[int]()

pytest_plugins = ["databases", "core.outbox.killing", "core.outbox.stores"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a run be made larger, and be repeated."""
    parser.addoption(
        "--orders",
        type=int,
        default=200,
        help="orders that a storm sends (200; 2000 for a full run)",
    )
    parser.addoption(
        "--crash-orders",
        type=int,
        default=300,
        help="orders of the crash test (300; 10000 for a full run)",
    )
    parser.addoption(
        "--kills", type=int, default=20, help="workers that it kills (20; 300 for a full run)"
    )
    parser.addoption(
        "--seed", type=int, default=None, help="seed of the storms (random; the run prints it)"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Choose the run's seed."""
    chosen: int | None = config.getoption("--seed")
    config.stash[SEED] = random.randrange(2**32) if chosen is None else chosen


def pytest_report_header(config: pytest.Config) -> str:
    """Print the seed, so that a storm that fails can be repeated."""
    told = {name: config.getoption(name) for name in ("--orders", "--crash-orders", "--kills")}
    return f"storms: {' '.join(f'{name} {size}' for name, size in told.items())} --seed {config.stash[SEED]}"


@pytest.fixture
def seed(pytestconfig: pytest.Config) -> int:
    """The run's seed."""
    return pytestconfig.stash[SEED]


@pytest.fixture
def orders(pytestconfig: pytest.Config) -> int:
    """How many orders a storm sends."""
    return int(pytestconfig.getoption("--orders") or 0)


@pytest.fixture
def crash_orders(pytestconfig: pytest.Config) -> int:
    """How many orders the crash test sends."""
    return int(pytestconfig.getoption("--crash-orders") or 0)


@pytest.fixture
def kills(pytestconfig: pytest.Config) -> int:
    """How many workers the crash test kills."""
    return int(pytestconfig.getoption("--kills") or 0)
