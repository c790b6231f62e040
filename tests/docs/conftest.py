"""Fixtures: the register that the examples submit to, and a reader who follows a page."""

from __future__ import annotations

import importlib
import json
import shutil
import sys
from collections.abc import Generator
from pathlib import Path
from types import ModuleType

import pytest

from docs.pages import DOCS, MAPPINGS, ORDERS, Reader
from recent import PLACED_AT
from tillpost.simulator import FaultPlan, Running, serve_in_thread
from tillpost_simulators.square import SquareSimulator


@pytest.fixture(scope="session")
def square() -> Generator[Running[SquareSimulator], None, None]:
    """One simulator for all pages."""
    with serve_in_thread(SquareSimulator()) as running:
        yield running


@pytest.fixture
def reader(
    square: Running[SquareSimulator], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Generator[Reader, None, None]:
    """A reader in a fresh folder with the example orders and mappings.

    "L123" is the simulator.
    """
    square.simulator.reset()
    square.simulator.set_faults(FaultPlan())  # a reset restarts the plan of an earlier test
    for file in (*ORDERS.glob("*.json"), *MAPPINGS.glob("*.*")):
        shutil.copy(file, tmp_path)
    # A script's own folder is on the path.
    monkeypatch.setattr(sys, "path", [str(MAPPINGS), *sys.path])
    order = json.loads((ORDERS / "lunch-pickup.json").read_text())
    recent = order | {"placed_at": PLACED_AT}
    (tmp_path / "order.json").write_text(json.dumps(recent, ensure_ascii=False))
    settings = square.settings
    monkeypatch.setenv("SQUARE_TOKEN", settings["access_token"])
    monkeypatch.delenv("TILLPOST_CONFIG", raising=False)
    as_arguments = f'base_url="{square.url}", location_id="{settings["location_id"]}"'
    as_toml = f'base_url = "{square.url}"\nlocation_id = "{settings["location_id"]}"'
    follower = Reader(
        tmp_path, {'location_id="L123"': as_arguments, 'location_id = "L123"': as_toml}
    )
    yield follower
    follower.close()


@pytest.fixture(scope="session")
def api() -> ModuleType:
    """The module that reads the public API."""
    sys.path.insert(0, str(DOCS / "_ext"))
    try:
        return importlib.import_module("ref_api")
    finally:
        sys.path.remove(str(DOCS / "_ext"))
