"""Run what a page of the docs shows: its commands and its Python, from top to bottom.

A page's Python is one program: each block continues where the last one ended. A block that begins
with a file name in a comment is also written to that file. A `console` block has commands after `$`
and what they print. A `text` block right after a `python` block is what that block prints. In
expected output, `...` matches anything. Generated parts of a page are skipped.

`python pages.py FOLDER` writes the pages' Python into files, for linters and type checkers.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
ORDERS = DOCS / "examples" / "orders"
MAPPINGS = DOCS / "examples" / "mappings"

# Commands that a reader has run already, or runs in a fresh folder only.
_NOT_RUN = (
    "python3 -m venv",
    ". .venv/bin/activate",
    "pip install",
    "git clone",
    "export SQUARE_TOKEN",
)

# Servers by the command that starts them, with what each prints when it listens.
_SERVERS = {"tillpost simulate": "Ctrl-C", "uvicorn": "Uvicorn running"}

_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

_GENERATED = re.compile(r"^<!-- generated: .*?^<!-- end generated -->$", re.MULTILINE | re.DOTALL)

_RUFF_FOR_README = f"extend = '{ROOT / 'pyproject.toml'}'\n"


class Block(NamedTuple):
    """A fenced block: its language, its text, and the line where that begins, from 1 on."""

    language: str
    text: str
    line: int


def blocks(page: Path) -> list[Block]:
    """Return a page's fenced blocks in order, without those of its generated parts."""
    content = _GENERATED.sub(_only_line_breaks, page.read_text(encoding="utf-8"))
    return [
        Block(hit[1], hit[2], content[: hit.start()].count("\n") + 2)
        for hit in _FENCE.finditer(content)
    ]


def _only_line_breaks(part: re.Match[str]) -> str:
    return "\n" * part[0].count("\n")


def pages() -> list[Path]:
    """Return every page of the docs, and the README."""
    found = [page for page in DOCS.rglob("*.md") if "_build" not in page.parts]
    return [ROOT / "README.md", *sorted(found)]


def python_of(page: Path) -> str:
    """Return a page's Python as one program."""
    return (
        "\n\n".join(block.text.rstrip("\n") for block in blocks(page) if block.language == "python")
        + "\n"
    )


def fits(expected: str, printed: str) -> bool:
    """Whether the output fits. `...` matches anything; runs of spaces are equal."""
    pattern = ".*".join(re.escape(" ".join(part.split())) for part in expected.split("..."))
    wanted = pattern.replace(r"\ ", " ").replace(" .*", ".*").replace(".* ", ".*")
    return re.fullmatch(f"\\s*{wanted}\\s*", " ".join(printed.split()), re.DOTALL) is not None


def commands(block: Block) -> Iterator[tuple[str, str]]:
    """Yield each command of a `console` block with its expected output."""
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        command, _, printed = re.sub(r"\\\n *", "", part).partition("\n")
        yield command, printed


class Reader:
    """Someone who follows a page in a folder of their own.

    `replaced` maps texts of the pages to those that work here, such as ports and ids.
    """

    def __init__(self, folder: Path, replaced: Mapping[str, str]) -> None:
        self.folder = folder
        self.replaced = {
            "8089": str(_free_port()),
            "8000": str(_free_port()),
            "8001": str(_free_port()),
            **replaced,
        }
        self.namespace: dict[str, object] = {"__name__": "__main__"}
        self.servers: list[subprocess.Popen[bytes]] = []
        scripts = str(Path(sys.executable).parent)
        self.environment = {
            **os.environ,
            "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",
            "COLUMNS": "120",
        }
        for mine in ("TILLPOST_CONFIG", "PYTEST_ADDOPTS"):
            self.environment.pop(mine, None)

    def follow(self, page: Path) -> None:
        """Run what the page shows. Raise `AssertionError` where the output differs."""
        shown = blocks(page)
        for block, after in zip(shown, [*shown[1:], Block("", "", 0)], strict=True):
            where = f"{page.relative_to(ROOT)}, line {block.line}"
            if block.language == "python":
                printed = self._python(block, page)
                if after.language == "text":
                    self._compare(after.text, printed, where)
            elif block.language == "console":
                for command, expected in commands(block):
                    self._console(command, expected, where)

    def run_python(self, page: Path) -> None:
        """Run the page's Python alone."""
        for block in blocks(page):
            if block.language == "python":
                self._python(block, page)

    def write(self, name: str, text: str) -> None:
        """Write a file that the page shows."""
        (self.folder / name).write_text(self._mine(text), encoding="utf-8")

    def install(self, package: Path) -> None:
        """Install a package for later commands: entry points as pip writes them, and tests."""
        project = tomllib.loads((package / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        info = self.folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n",
            encoding="utf-8",
        )
        groups = "".join(
            f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in points.items())
            for group, points in project["entry-points"].items()
        )
        (info / "entry_points.txt").write_text(groups, encoding="utf-8")
        for test in package.glob("test_*.py"):
            shutil.copy(test, self.folder)
        self.environment["PYTHONPATH"] = os.pathsep.join((str(self.folder), str(package)))

    def close(self) -> None:
        """Stop the servers that the page started."""
        for server in self.servers:
            server.terminate()
            server.wait(timeout=60)

    def _python(self, block: Block, page: Path) -> str:
        if named := re.match(r"# (\w+\.py)\n", block.text):
            self.write(named[1], block.text)
        source = "\n" * (block.line - 1) + self._mine(block.text)
        printed = io.StringIO()
        with contextlib.chdir(self.folder), contextlib.redirect_stdout(printed):
            exec(
                compile(
                    source,
                    str(page),
                    "exec",
                    dont_inherit=True,
                ),
                self.namespace,
            )
        return printed.getvalue()

    def _console(self, command: str, expected: str, where: str) -> None:
        if command.startswith(_NOT_RUN):
            return
        if command.startswith(tuple(_SERVERS)):
            self.start(self._mine(command), where)
            return
        done = subprocess.run(
            ["bash", "-c", self._mine(command)],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        self._compare(expected, done.stdout, where)

    def start(self, command: str, where: str) -> None:
        """Start a server, and return when it listens."""
        output = self.folder / f"server-{len(self.servers)}.log"
        ready = next(text for server, text in _SERVERS.items() if command.startswith(server))
        with output.open("wb") as log:
            server = subprocess.Popen(
                ["bash", "-c", f"exec {command}"],
                cwd=self.folder,
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.servers.append(server)
        deadline = time.monotonic() + 30
        while ready not in (logged := output.read_text(encoding="utf-8")):
            assert server.poll() is None, f"{where}: {logged}"
            assert time.monotonic() < deadline, f"{where}: the server doesn't listen: {logged}"
            time.sleep(0.05)

    def _compare(self, expected: str, printed: str, where: str) -> None:
        assert fits(self._mine(expected), printed), (
            f"{where}: the page says\n{expected}\nbut it printed\n{printed}"
        )

    def _mine(self, text: str) -> str:
        for documented, mine in self.replaced.items():
            text = text.replace(documented, mine)
        return text


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def write_python(folder: Path) -> None:
    """Write each page's Python into `programs/`, and each block into a file in `blocks/`.

    In both, the README has a folder of its own: it isn't as narrow as the pages of the site.
    """
    programs, blocks_folder = folder / "programs", folder / "blocks"
    for made in (programs, blocks_folder):
        shutil.rmtree(made, ignore_errors=True)
        (made / "readme").mkdir(parents=True)
        (made / "readme" / "ruff.toml").write_text(_RUFF_FOR_README, encoding="utf-8")
    for page in pages():
        name = "_".join(page.relative_to(ROOT).with_suffix("").parts).replace("-", "_").lower()
        subfolder = "." if page.is_relative_to(DOCS) else "readme"
        shown = [block for block in blocks(page) if block.language == "python"]
        for block in shown:
            file = blocks_folder / subfolder / f"{name}_line_{block.line}.py"
            file.write_text(block.text, encoding="utf-8")
        if shown:
            program = programs / subfolder / f"{name}.py"
            program.write_text(python_of(page), encoding="utf-8")


if __name__ == "__main__":
    write_python(Path(sys.argv[1]))
