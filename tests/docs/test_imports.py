"""Adapters import `tillpost.adapter` and nothing else of Tillpost."""

from __future__ import annotations

from pathlib import Path

import pytest

import tillpost.adapter
from docs.imports import Import, imports, of_tillpost

from .pages import ROOT

ADAPTERS = ROOT / "adapters"
CONTRACT = "tillpost.adapter"
FILES = sorted(ADAPTERS.rglob("*.py"))


def foreign(source: str, package: str) -> list[Import]:
    """Return what an adapter's code imports that is neither the contract's nor its own."""
    names = tillpost.adapter.__all__
    allowed = {Import(CONTRACT, name) for name in names}
    return [
        found
        for found in of_tillpost(source)
        if found not in allowed and found.module.partition(".")[0] != package
    ]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(ADAPTERS).as_posix())
def test_adapter_imports_only_public_names_of_contract(file: Path) -> None:
    """Import Linter can't hold this: `from tillpost import Till` names no forbidden module."""
    package = file.relative_to(ADAPTERS).parts[0]
    source = file.read_text(encoding="utf-8")
    assert [str(found) for found in foreign(source, package)] == []


def test_every_bundled_adapter_is_checked() -> None:
    """A glob that finds nothing would check nothing."""
    packages = {file.relative_to(ADAPTERS).parts[0] for file in FILES}
    assert {"tillpost_generic", "tillpost_kounta", "tillpost_square"} <= packages


@pytest.mark.parametrize(
    "leak",
    [
        "import tillpost",
        "import tillpost.adapter",
        "import tillpost.config",
        "from tillpost import Till",
        "from tillpost import adapter",
        "from tillpost.adapter import base",
        "from tillpost.adapter.base import Adapter",
        "from tillpost.authorization import account",
        "from tillpost.config import load_connections",
        "from tillpost_command import main",
        "from tillpost_kounta.settings import KountaSettings",
        "from tillpost_simulators.square import SquareSimulator",
    ],
)
def test_import_of_anything_else_is_found(leak: str) -> None:
    """Also inside a function, or for type checkers alone."""
    hidden = f"def simulator():\n    {leak}\n"
    assert [str(found) for found in foreign(leak, "tillpost_square")] == [leak]
    assert [str(found) for found in foreign(hidden, "tillpost_square")] == [leak]


def test_import_of_contract_or_own_package_is_allowed() -> None:
    source = "import json\nfrom tillpost.adapter import Adapter\nfrom tillpost_square import wire\n"
    assert foreign(source, "tillpost_square") == []
    assert len(list(imports(source))) == 3
