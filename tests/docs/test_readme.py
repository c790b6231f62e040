"""The README's set-up commands and its table of errors say what is so."""

from __future__ import annotations

import re

from tillpost import errors
from tillpost.errors import BuriedError, PosError
from tillpost.remedies import REMEDIES

from .pages import ROOT, blocks, commands

README = ROOT / "README.md"


def test_there_are_exactly_two_set_up_commands_each_of_one_line() -> None:
    """One runs the main job, one passes the tests; both begin with a new environment."""
    shown = [line for block in blocks(README) if block.language == "console" for line in block.text.splitlines()]
    assert len(shown) == 2
    assert all(line.startswith("$ python3 -m venv .venv && .venv/bin/pip install ") for line in shown)
    first, second = shown
    assert first.endswith(" && .venv/bin/tillpost demo")
    assert second.endswith(" && .venv/bin/pytest")


def test_the_set_up_commands_name_extras_and_groups_that_there_are() -> None:
    """What is installed is declared in the project's own file."""
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for block in blocks(README):
        for command, _ in commands(block):
            for extra in re.findall(r"\.\[([\w,]+)\]", command):
                assert all(re.search(rf"^{name} = \[", project, re.MULTILINE) for name in extra.split(","))
            for group in re.findall(r"--group (\w+)", command):
                assert re.search(rf"^{group} = \[", project, re.MULTILINE)


def test_the_error_table_has_every_class_and_says_who_acts() -> None:
    """A class that is added, or whose remedy changes hands, is seen here."""
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \| (\w+) \| [^|]+ \|$", README.read_text(encoding="utf-8"), re.MULTILINE)
    kinds = [getattr(errors, name) for name in errors.__all__]
    caught = {
        kind.__name__: REMEDIES[kind.default_remedy].actor.value
        for kind in kinds
        if isinstance(kind, type) and issubclass(kind, PosError) and kind not in (PosError, BuriedError)
    }
    assert dict(rows) == caught
    assert len(rows) == len(caught)


def test_the_readme_leads_to_pages_that_are_there() -> None:
    """Sphinx checks the links between the pages of the site; the README isn't one of them."""
    for target in re.findall(r"\]\(([^)]+)\)", README.read_text(encoding="utf-8")):
        assert (ROOT / target).is_file(), target
