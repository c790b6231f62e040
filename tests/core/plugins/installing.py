"""Installs plugins as pip would, for the length of a test. A plugin of the suite."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from tillpost.plugins.manager import installed

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Install, None, None]:
    """Install a distribution with one plugin, as pip would, for the length of a test."""
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    modules = set(sys.modules)

    def install_it(name: str, source: str, *, package: str = "", metadata: bool = True) -> None:
        module = f"plugin_{name}"
        (tmp_path / f"{module}.py").write_text(source)
        info = tmp_path / f"{(package or module).replace('-', '_')}-1.2.dist-info"
        info.mkdir()
        (info / "entry_points.txt").write_text(f"[tillpost]\n{name} = {module}\n")
        if metadata:
            (info / "METADATA").write_text(
                f"Metadata-Version: 2.1\nName: {package or module}\nVersion: 1.2\n"
            )
        importlib.invalidate_caches()
        installed.cache_clear()

    installed.cache_clear()
    yield install_it
    installed.cache_clear()
    for fresh in set(sys.modules) - modules:
        if fresh.startswith("plugin_"):
            del sys.modules[fresh]
