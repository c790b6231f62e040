"""The built wheel and sdist install in an empty environment, with each extra alone.

An extra brings what its part of Tillpost needs, and a part whose extra is missing says which to
install. The packages come from the index that pip is set to.
"""

from __future__ import annotations

import os
import subprocess
import tarfile
import tomllib
import venv
from collections.abc import Mapping
from pathlib import Path

import pytest

from .pages import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

EXTRAS: Mapping[str, str] = {
    "": """
        import shutil, subprocess, sys, tillpost
        till = tillpost.Till.connect("square", location_id="L1", access_token="t")
        till.close()
        try:
            tillpost.Outbox
        except ModuleNotFoundError as missing:
            assert "pip install 'tillpost[outbox]'" in str(missing)
        else:
            raise AssertionError("the outbox needs its extra")
        command = subprocess.run([shutil.which("tillpost")], capture_output=True, text=True)
        assert "tillpost[cli]" in command.stdout + command.stderr, command
    """,
    "asyncio": """
        import asyncio
        from sqlalchemy.util import greenlet_spawn
        from tillpost import Outbox
        with Outbox("sqlite:///orders.db") as outbox:
            assert asyncio.run(greenlet_spawn(outbox.orders)) == []
    """,
    "cli": """
        import shutil, subprocess
        command = shutil.which("tillpost")
        listed = subprocess.run([command, "adapters"], capture_output=True, text=True, check=True)
        for platform in ("generic", "kounta", "square"):
            assert platform in listed.stdout
        assert "can't be loaded" not in listed.stdout, listed.stdout
    """,
    "django": """
        import django
        from django.conf import settings
        from django.core.management import call_command
        database = {"ENGINE": "django.db.backends.sqlite3", "NAME": "shop.db"}
        settings.configure(INSTALLED_APPS=["tillpost_django"], DATABASES={"default": database})
        django.setup()
        call_command("tillpost_migrate")
        import tillpost_django
        assert tillpost_django.outbox().orders() == []
    """,
    "outbox": """
        from tillpost import Outbox
        with Outbox("sqlite:///orders.db") as outbox:
            assert outbox.orders() == []
    """,
    "postgres": """
        from tillpost import Outbox
        from tillpost.outbox import DatabaseError
        with Outbox("postgres://cafe@127.0.0.1:1/x") as outbox:
            try:
                outbox.orders()
            except DatabaseError as gone:
                assert "connection" in str(gone), gone
            else:
                raise AssertionError("nothing listens there")
    """,
    "procrastinate": """
        from tillpost.outbox.engine import engine_named
        assert type(engine_named("procrastinate")).__module__.startswith("tillpost_procrastinate")
    """,
    "simulator": """
        from tillpost import Till
        from tillpost.simulator import serve_in_thread
        from tillpost_simulators.square import SquareSimulator
        with serve_in_thread(SquareSimulator()) as running:
            with Till.connect("square", **running.settings) as till:
                assert all(finding.ok for finding in till.check().findings)
    """,
    "testing": """
        import pytest
        from tillpost.testing import Cassettes, conformance
    """,
}
"""A program for each extra that needs it, and for none."""


def python_of(folder: Path) -> Path:
    """Make an empty environment, and return its Python."""
    venv.create(folder, with_pip=True)
    return folder / "bin" / "python"


def run(*command: str | Path, cwd: Path, **more: str) -> None:
    """Run a program that knows nothing of this repository."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        command, cwd=cwd, env={**kept, **more}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Build as the docs say, and return the wheel and the sdist."""
    folder = tmp_path_factory.mktemp("built")
    python = python_of(folder / "env")
    run(python, "-m", "pip", "install", "-q", "build", cwd=folder)
    run(python, "-m", "build", "--outdir", folder / "dist", ROOT, cwd=folder)
    (wheel,) = (folder / "dist").glob("*.whl")
    (sdist,) = (folder / "dist").glob("*.tar.gz")
    return wheel, sdist


def test_every_extra_is_tried() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert {*project["optional-dependencies"]} == {*EXTRAS} - {""}


@pytest.mark.parametrize("extra", EXTRAS)
def test_wheel_installs_with_each_extra_alone(
    extra: str, built: tuple[Path, Path], tmp_path: Path
) -> None:
    wheel, _ = built
    install_and_try(f"{wheel}[{extra}]" if extra else str(wheel), EXTRAS[extra], tmp_path)


def test_sdist_installs(built: tuple[Path, Path], tmp_path: Path) -> None:
    _, sdist = built
    install_and_try(f"{sdist}[cli]", EXTRAS["cli"], tmp_path)


def test_sdist_holds_no_file_of_a_build(built: tuple[Path, Path]) -> None:
    _, sdist = built
    with tarfile.open(sdist) as archive:
        names = {Path(*Path(name).parts[1:]) for name in archive.getnames()}
    tops = {name.parts[0] for name in names if name.parts}
    assert {"core", "adapters", "plugins", "pyproject.toml", "LICENSE", "README.md"} <= tops
    assert not tops & {".ci", ".venv", ".nox", ".git", "dist"}


def install_and_try(requirement: str, program: str, folder: Path) -> None:
    python = python_of(folder / "env")
    run(python, "-m", "pip", "install", "-q", requirement, cwd=folder)
    path = f"{python.parent}{os.pathsep}{os.environ['PATH']}"
    lines = [line[8:] for line in program.splitlines()]
    run(python, "-c", "\n".join(lines), cwd=folder, PATH=path)
    run(python, "-m", "pip", "check", cwd=folder)
