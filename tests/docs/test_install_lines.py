"""What a how-to says to install is enough for what it imports, in an empty environment.

The wheel that `pip` builds from this tree takes the place of the released one. All else comes from
the package registry that `pip` is set up for.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import venv
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest

from .imports import Import, imports
from .pages import DOCS, ROOT

HOW_TO = DOCS / "how-to"

_PARTS = re.compile(
    r"`pip install (?P<line>'tillpost\[[^`]*)`"
    r"|^```python\n(?P<python>.*?)^```$"
    r"|^```\{literalinclude\} (?P<file>\S+\.py)$"
    r"|^\$ (?P<command>tillpost|uvicorn) ",
    re.MULTILINE | re.DOTALL,
)

_FIRST = {
    "django": (
        "from django.conf import settings\n"
        "apps = ['django.contrib.auth', 'django.contrib.contenttypes', 'tillpost_django']\n"
        "settings.configure(INSTALLED_APPS=apps)\n"
        "import django\n"
        "django.setup()\n"
    )
}
"""What runs before a package's modules can be imported, by the package."""

_USE = {
    "sqlalchemy.ext.asyncio": (
        "import asyncio\n"
        "from sqlalchemy.ext.asyncio import create_async_engine\n"
        "async def use():\n"
        "    async with create_async_engine('sqlite+aiosqlite://').connect():\n"
        "        pass\n"
        "asyncio.run(use())\n"
    )
}
"""What uses a module that can be imported without what it needs, by the module."""


class Section(NamedTuple):
    """What follows an install line of a page, up to the next one."""

    page: str
    line: str
    imports: frozenset[Import]
    commands: frozenset[str]

    @property
    def program(self) -> str:
        """Python that imports all, and uses what must be used to fail."""
        modules = {found.module for found in self.imports}
        packages = {module.partition(".")[0] for module in modules}
        first = "".join(_FIRST[name] for name in sorted(packages & _FIRST.keys()))
        use = "".join(_USE[name] for name in sorted(modules & _USE.keys()))
        return first + "".join(sorted(f"{found}\n" for found in self.imports)) + use


def sections(page: Path) -> Iterator[Section]:
    """Yield each section of a page that begins with an install line."""
    text = page.read_text(encoding="utf-8")
    hits = list(_PARTS.finditer(text))
    starts = [number for number, hit in enumerate(hits) if hit["line"]]
    for start, end in pairwise([*starts, len(hits)]):
        parts = hits[start + 1 : end]
        sources = [hit["python"] for hit in parts if hit["python"]]
        files = [page.parent / hit["file"] for hit in parts if hit["file"]]
        sources += [file.read_text(encoding="utf-8") for file in files]
        found = {one for source in sources for one in imports(source)}
        local = {file.stem for folder in DOCS.glob("examples/*") for file in folder.glob("*.py")}
        yield Section(
            page.stem,
            " ".join(hits[start]["line"].split()),
            frozenset(one for one in found if one.module not in {*local, "__future__"}),
            frozenset(hit["command"] for hit in parts if hit["command"]),
        )


SECTIONS = [section for page in sorted(HOW_TO.glob("*.md")) for section in sections(page)]


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this tree."""
    folder = tmp_path_factory.mktemp("wheel")
    _run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(folder), str(ROOT))
    (built,) = folder.glob("tillpost-*.whl")
    return built


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: f"{section.page}: {section.line}")
def test_install_line_is_enough(section: Section, wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path, with_pip=True)
    programs = tmp_path / "bin"
    wanted = [
        re.sub(r"^tillpost(\[.*\])$", rf"tillpost\1 @ {wheel.as_uri()}", word)
        for word in shlex.split(section.line)
    ]
    _run(str(programs / "pip"), "install", "-q", *wanted)
    _run(str(programs / "python"), "-I", "-c", section.program)
    for command in section.commands:
        _run(str(programs / command), "--help")


def test_pages_have_install_lines_that_are_found() -> None:
    """A pattern that finds nothing would check nothing."""
    pages = {section.page for section in SECTIONS}
    assert {"availability", "django", "fastapi", "flask", "outbox", "task-queues"} <= pages
    queues = [section for section in SECTIONS if section.page == "task-queues"]
    assert len(queues) == 3
    assert all(section.imports for section in queues)
