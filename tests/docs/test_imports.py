"""Adapters import `tillpost.adapter` and nothing else of Tillpost; pages import public names."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import pytest

import tillpost.adapter
from docs.imports import Import, imports, of_tillpost

from .pages import DOCS, ROOT, pages, python_of

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


EXAMPLES = sorted((DOCS / "examples").rglob("*.py"))

BUNDLED = {
    Import("tillpost_django"),
    Import("tillpost_square.settings", "SANDBOX"),
    Import("tillpost_simulators.kounta", "KountaSimulator"),
    Import("tillpost_simulators.square", "SquareSimulator"),
}
"""What is public in the bundled packages: see `docs/explanation/versions.md`."""


@pytest.mark.parametrize(
    "file", [*pages(), *EXAMPLES], ids=lambda file: file.relative_to(ROOT).as_posix()
)
def test_docs_import_only_public_names(file: Path, api: ModuleType) -> None:
    """What a page teaches can't be changed without a line in the changelog."""
    source = python_of(file) if file.suffix == ".md" else file.read_text(encoding="utf-8")
    public = {
        Import(module, name) for module in api.ALL_MODULES for name in api.public_names(module)
    }
    private = [
        str(found)
        for found in of_tillpost(source)
        if found not in public | BUNDLED and not found.module.startswith("tillpost_corner")
    ]
    assert private == []


def test_names_listed_as_public_of_submodules_are_exported(api: ModuleType) -> None:
    """The list is written by hand: a renamed name must not stay in it."""
    for module, names in api.SUBMODULES.items():
        assert set(names) <= set(vars(importlib.import_module(module))), module
