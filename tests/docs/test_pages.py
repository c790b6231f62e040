"""What the pages show runs, and prints what they say."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from textwrap import dedent

import pytest

from docs.pages import DOCS, ROOT, Block, Reader, blocks, commands, fits, pages
from tillpost.client.base import adapter_for
from tillpost.config import load_connections
from tillpost.simulator import Fault, FaultKind, FaultPlan, FaultRule

RUN = [
    page
    for page in pages()
    if any(block.language in ("python", "console") for block in blocks(page))
]
OWN_REGISTER = DOCS / "adapters.md"


@pytest.mark.parametrize(
    "page", [page for page in RUN if page != OWN_REGISTER], ids=lambda page: page.stem
)
def test_a_page_does_what_it_shows(page: Path, reader: Reader) -> None:
    """Each block of Python and each command runs, in the page's order, and prints what stands under it."""
    for block in blocks(page):
        if block.language == "toml" and "[connections." in block.text:
            reader.write("tillpost.toml", block.text)
    if page.name != "README.md":  # the README's commands set a machine up; `.ci/run` runs them
        reader.follow(page)
    else:
        reader.run_python(page)


def test_the_example_adapter_runs_as_an_installed_plugin(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its package is found by its own entry point, its simulator is served, and an order arrives there."""
    package = DOCS / "examples" / "corner"
    reader.install(package)
    monkeypatch.setattr(sys, "path", [str(package), *sys.path])
    try:
        reader.follow(OWN_REGISTER)
    finally:
        for name in [name for name in sys.modules if name.startswith("tillpost_corner")]:
            del sys.modules[name]


def test_every_connection_shown_is_valid(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A TOML file of connections can be read, and its adapter takes the settings."""
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


def test_the_script_of_faults_shown_is_valid_and_every_field_and_kind_is_told() -> None:
    """What `simulate --script` takes."""
    page = DOCS / "how-to" / "testing.md"
    (script,) = (block.text for block in blocks(page) if block.language == "json")
    assert len(FaultPlan.model_validate_json(script).rules) == 2
    told = page.read_text(encoding="utf-8")
    for name in (*FaultPlan.model_fields, *FaultRule.model_fields, *Fault.model_fields, *FaultKind):
        assert f"`{name}`" in told or f'"{name}"' in told, name


def test_every_entry_point_shown_is_in_the_group_that_tillpost_reads() -> None:
    """The group's name is `tillpost` in the examples as in the project's own file."""
    shown = [
        b.text
        for page in pages()
        for b in blocks(page)
        if b.language == "toml" and "entry-points" in b.text
    ]
    assert shown
    assert all("[project.entry-points.tillpost]" in text for text in shown)
    assert EntryPoint("square", "tillpost_square", "tillpost").load()


def test_no_python_is_shown_that_does_not_run() -> None:
    """Fences of other kinds hold no Python, but for the one line of the front page."""
    for page in pages():
        shown = page.read_text(encoding="utf-8")
        allowed = 1 if page == DOCS / "index.md" else 0
        assert shown.count("{code-block} python") == allowed, page


def test_expected_output_is_compared_with_gaps() -> None:
    """`...` stands for anything, spaces don't matter, and all else does."""
    assert fits("Order B42\n...\nTotal  28.81", "Order B42\n  id 7\n  Total 28.81 \n")
    assert fits("...\nReady\n", "Ready")
    assert not fits("Order B42", "Order B43")
    assert not fits("Order B42", "Order B42 is there")


def test_commands_are_told_from_what_they_print() -> None:
    """A command begins with `$`, and goes on after a backslash."""
    block = Block("console", dedent("$ one \\\n  two\nsaid\n$ three\n"), 1)
    assert list(commands(block)) == [("one two", "said\n"), ("three", "")]


def test_the_readmes_first_example_shows_ten_lines_and_its_shop_twelve() -> None:
    """Blank ones aside: what can't be shown shortly belongs on a page of its own."""
    shown = [block.text for block in blocks(ROOT / "README.md") if block.language == "python"]
    assert [len([line for line in text.splitlines() if line]) for text in shown] == [10, 12]
