"""A pytest plugin for recording cassettes: `--record-source` selects where they are recorded from.

The cassettes of the vendor's samples need the vendor's documents, the simulator's don't. With the
option, only the tests that a Till plays and that record from this source run.
"""

from __future__ import annotations

from typing import Any

import pytest

from tillpost.testing import Case, Source


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    sources = [source.value for source in Source]
    parser.addoption("--record-source", choices=sources, help="record from this source alone")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect what is recorded from another source."""
    source: str = config.getoption("--record-source") or ""
    chosen = [item for item in items if _records_from(item, source)]
    config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
    items[:] = chosen


def _records_from(item: pytest.Item, source: str) -> bool:
    parameters: dict[str, Any] = getattr(getattr(item, "callspec", None), "params", {})
    cases = [value for value in parameters.values() if isinstance(value, Case)]
    return any(case.kind == "sync" and case.origin.source == source for case in cases)
