"""A pytest plugin: tests play from cassettes, and record them with `--record`.

    # conftest.py, at the top; or call pytest with -p tillpost.testing.cassettes
    pytest_plugins = ["tillpost.testing.cassettes"]

    # test_cassettes.py
    @pytest.fixture(scope="session")
    def cassettes() -> Cassettes:
        folder = Path("cassettes/corner")
        return Cassettes("corner", folder=folder, settings={"access_token": "made-up"})

    @plays("fetch", ORIGIN)
    def test_an_order_is_fetched(store: Store) -> None:
        assert store.fetch("77").state == "received"

Each test runs twice, with a Till and with an AsyncTill. With `--record`, the first run records from
the origin (see `origins`) and writes the file if the test passes; the second run plays it.
`--cassettes DIR` reads and writes the files in another folder.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import pytest

from tillpost.testing.cases import Case
from tillpost.testing.store import Store
from tillpost.testing.tape import Cassettes, Tape

__all__ = ["pytest_addoption", "pytest_pyfunc_call", "store"]

_TAPE = pytest.StashKey[Tape]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("cassettes")
    group.addoption(
        "--record", action="store_true", help="record the cassettes of the tests that run"
    )
    group.addoption(
        "--cassettes",
        type=Path,
        default=None,
        help="read and write cassettes in this folder instead",
    )


@pytest.fixture
def store(request: pytest.FixtureRequest, cassettes: Cassettes) -> Generator[Store]:
    """Return a store that answers from the cassette that the test `plays`."""
    case: Case = request.param
    config: pytest.Config = request.config
    folder: Path | None = config.getoption("--cassettes", None)
    if folder is not None:
        cassettes = replace(cassettes, folder=folder)
    if case.kind == "sync" and config.getoption("--record", default=False):
        opened = cassettes.recording(case.name, case.origin, case.policy)
    else:
        opened = cassettes.playing(case.name, case.origin, case.policy, case.kind)
    item: pytest.Item = request.node
    with opened as tape:
        item.stash[_TAPE] = tape
        yield tape.store


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Write a passed test's recording, or check that its whole cassette was played."""
    result = yield
    tape = pyfuncitem.stash.get(_TAPE, None)
    if tape is not None:
        tape.finish()
    return result
