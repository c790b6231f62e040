"""What the pages show runs, and prints what they say.

The pages are run by `docs.pages.Reader`, as a reader would type them.
"""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from textwrap import dedent

import pytest

from docs.pages import DOCS, ROOT, Block, Reader, blocks, commands, fits, pages
from tillpost.client.base import adapter_for
from tillpost.config import load_connections
from tillpost.plugins.manager import installed
from tillpost.simulator import Fault, FaultKind, FaultPlan, FaultRule

RUN = [
    page
    for page in pages()
    if any(block.language in ("python", "console") for block in blocks(page))
]
OWN_REGISTER = DOCS / "adapters.md"


@pytest.mark.slow
@pytest.mark.parametrize(
    "page", [page for page in RUN if page != OWN_REGISTER], ids=lambda page: page.stem
)
def test_page_does_what_it_shows(page: Path, reader: Reader) -> None:
    """Each Python block and each command runs in order, and prints what the page shows."""
    for block in blocks(page):
        if block.language == "toml" and "[connections." in block.text:
            reader.write("tillpost.toml", block.text)
    if page.name != "README.md":  # its commands set a machine up; `.ci/run` runs them
        reader.follow(page)
    else:
        reader.run_python(page)


@pytest.mark.slow
def test_example_adapter_runs_as_installed_plugin(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its entry point is found, its simulator is served, and an order arrives there."""
    package = DOCS / "examples" / "corner"
    reader.install(package)
    monkeypatch.setattr(sys, "path", [str(reader.folder), str(package), *sys.path])
    installed.cache_clear()
    try:
        reader.follow(OWN_REGISTER)
    finally:
        installed.cache_clear()
        for name in [name for name in sys.modules if name.startswith("tillpost_corner")]:
            del sys.modules[name]


def test_connections_shown_are_valid(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each TOML file of connections can be read, and its adapter accepts the settings."""
    monkeypatch.setenv("SQUARE_TOKEN", "not-a-real-token")
    shown = [
        b.text
        for page in pages()
        for b in blocks(page)
        if b.language == "toml" and "[connections." in b.text
    ]
    assert shown
    for text in shown:
        file = tmp_path / "tillpost.toml"
        file.write_text(text, encoding="utf-8")
        for connection in load_connections(file).values():
            adapter_for(connection.platform, connection.settings)
            assert connection.policy


def test_fault_script_shown_is_valid_and_fields_are_described() -> None:
    """The guide on testing shows what `simulate --script` accepts."""
    page = DOCS / "how-to" / "testing.md"
    (script,) = (block.text for block in blocks(page) if block.language == "json")
    assert len(FaultPlan.model_validate_json(script).rules) == 2
    text = page.read_text(encoding="utf-8")
    for name in (*FaultPlan.model_fields, *FaultRule.model_fields, *Fault.model_fields, *FaultKind):
        assert f"`{name}`" in text or f'"{name}"' in text, name


def test_entry_points_shown_are_in_the_group_tillpost() -> None:
    """The examples use the same group as the project's own file."""
    shown = [
        b.text
        for page in pages()
        for b in blocks(page)
        if b.language == "toml" and "entry-points" in b.text
    ]
    assert shown
    assert all("[project.entry-points.tillpost]" in text for text in shown)
    assert EntryPoint("square", "tillpost_square", "tillpost").load()


def test_no_python_is_shown_that_is_not_run() -> None:
    """No other fence holds Python, except the two lines of the front page."""
    for page in pages():
        shown = page.read_text(encoding="utf-8")
        allowed = 1 if page == DOCS / "index.md" else 0
        assert shown.count("{code-block} python") == allowed, page


def test_expected_output_may_have_gaps() -> None:
    """`...` matches anything, and runs of spaces are equal; all else is compared."""
    assert fits("Order B42\n...\nTotal  28.81", "Order B42\n  id 7\n  Total 28.81 \n")
    assert fits("...\nReady\n", "Ready")
    assert not fits("Order B42", "Order B43")
    assert not fits("Order B42", "Order B42 is there")


def test_console_block_is_split_into_commands_and_output() -> None:
    """A command begins with `$`, and continues after a backslash."""
    block = Block("console", dedent("$ one \\\n  two\nsaid\n$ three\n"), 1)
    assert list(commands(block)) == [("one two", "said\n"), ("three", "")]


def test_readme_examples_have_ten_and_fourteen_lines() -> None:
    """Blank lines aside. Longer examples belong on a page of their own."""
    shown = [block.text for block in blocks(ROOT / "README.md") if block.language == "python"]
    lines = [[line for line in text.splitlines() if line] for text in shown]
    assert [len(example) for example in lines] == [10, 14]
