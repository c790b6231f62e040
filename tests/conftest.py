"""Options and fixtures of the whole suite: the size of storms, and what a run leaves out.

Tests marked `slow` are left out by `addopts`; run them with `-m slow`. Tests marked
`vendor_document` need documents that aren't in this repository, and are left out where no
environment variable names their folder; see `vendor_documents`. Those marked `needs` are left out
on a system that can't have what they need. So nothing is ever skipped.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import sqlite3
import tempfile
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import certifi
import pytest
from httpx._config import DEFAULT_TIMEOUT_CONFIG
from hypothesis import HealthCheck, settings

from tillpost import Limits
from tillpost.outbox.db import database
from tillpost.outbox.delivery import store_queries
from tillpost.transport import network
from vendor_documents import vendor_documents

PATIENCE = 60.0

SEED = pytest.StashKey[int]()

# How long an example takes says more about the machine than about the code.
settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")

pytest_plugins = [
    "pytester",
    "databases",
    "core.outbox.killing",
    "core.outbox.stores",
    "core.plugins.installing",
]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Return two workers for each processor: tests wait for servers and processes half the time."""
    return 2 * (os.cpu_count() or 1)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options that make a run larger, or repeat it."""
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
        "--kills",
        type=int,
        default=20,
        help="workers that the crash test kills (20; 300 for a full run)",
    )
    parser.addoption(
        "--soak-seconds",
        type=int,
        default=120,
        help="how long the soak lasts (120; 1800 for a full run)",
    )
    parser.addoption(
        "--answers",
        type=int,
        default=2_000,
        help="hostile answers that are judged (2000; 100000 for a full run)",
    )
    parser.addoption(
        "--seed", type=int, default=None, help="seed of the storms (random; the run prints it)"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Choose the run's seed, and make HTTP clients quick to open."""
    chosen: int | None = config.getoption("--seed")
    config.stash[SEED] = random.randrange(2**32) if chosen is None else chosen
    _trust_one_authority(config)
    _be_patient()
    _hear_ctrl_c()


def _hear_ctrl_c() -> None:
    """Have programs that tests start hear SIGINT, which a run in the background ignores."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _be_patient() -> None:
    """Wait longer than in earnest for servers of the tests, which run on busy machines.

    Tests of these limits set their own.
    """
    for name in ("connect", "read", "write", "pool"):
        setattr(DEFAULT_TIMEOUT_CONFIG, name, PATIENCE)
    database.IDLE_SECONDS = PATIENCE
    network.KEEPALIVE = PATIENCE
    store_queries.SHORT_LIMITS = Limits(connect=PATIENCE, read=PATIENCE, answer=PATIENCE)


def _trust_one_authority(config: pytest.Config) -> None:
    """Have each httpx client, here and in processes of tests, load one certificate authority.

    Reading all of certifi's takes 30 ms, a thousand times a run. No test calls a public server.
    """
    if "SSL_CERT_FILE" in os.environ:
        return
    end = "-----END CERTIFICATE-----\n"
    first = Path(certifi.where()).read_text("utf-8").partition(end)
    folder = tempfile.TemporaryDirectory(prefix="tillpost-authority-")
    file = Path(folder.name) / "authority.pem"
    file.write_text(first[0] + end, "utf-8")
    os.environ["SSL_CERT_FILE"] = str(file)

    def forget() -> None:
        del os.environ["SSL_CERT_FILE"]
        folder.cleanup()

    config.add_cleanup(forget)


def pytest_report_header(config: pytest.Config) -> str:
    """Print the seed, so that a storm that fails can be repeated."""
    names = ("--orders", "--crash-orders", "--kills", "--soak-seconds", "--answers")
    sizes = " ".join(f"{name} {config.getoption(name)}" for name in names)
    return f"storms: {sizes} --seed {config.stash[SEED]}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the tests that need what isn't here: a vendor's document, or a part of a system."""
    left_out = [item for item in items if _lacks_something(item)]
    items[:] = [item for item in items if item not in left_out]
    if left_out:
        config.hook.pytest_deselected(items=left_out)


def _lacks_something(item: pytest.Item) -> bool:
    if item.get_closest_marker("vendor_document") and vendor_documents() is None:
        return True
    return any(not _HAS[marker.args[0]]() for marker in item.iter_markers("needs"))


def _has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


_HAS: Mapping[str, Callable[[], bool]] = {
    "/dev/full": Path("/dev/full").exists,
    "fork": lambda: hasattr(os, "fork"),
    "ipv6": cache(_has_ipv6),
    # Since Python 3.12.
    "sqlite3.autocommit": lambda: hasattr(sqlite3.Connection, "autocommit"),
}
"""What not each system has, and whether this one does."""


@pytest.fixture
def seed(pytestconfig: pytest.Config) -> int:
    """Return the run's seed."""
    return pytestconfig.stash[SEED]


def _number(config: pytest.Config, option: str) -> int:
    number: object = config.getoption(option)
    assert isinstance(number, int)
    return number


@pytest.fixture
def orders(pytestconfig: pytest.Config) -> int:
    """Return how many orders a storm sends."""
    return _number(pytestconfig, "--orders")


@pytest.fixture
def crash_orders(pytestconfig: pytest.Config) -> int:
    """Return how many orders the crash test sends."""
    return _number(pytestconfig, "--crash-orders")


@pytest.fixture
def soak_seconds(pytestconfig: pytest.Config) -> int:
    """Return how long the soak lasts."""
    return _number(pytestconfig, "--soak-seconds")


@pytest.fixture
def answers(pytestconfig: pytest.Config) -> int:
    """Return how many hostile answers are judged."""
    return _number(pytestconfig, "--answers")


@pytest.fixture
def kills(pytestconfig: pytest.Config) -> int:
    """Return how many workers the crash test kills."""
    return _number(pytestconfig, "--kills")
