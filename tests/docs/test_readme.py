"""The README's set-up commands and its table of errors say what is so."""

from __future__ import annotations

import re
import shutil
import subprocess

import httpx

from docs.pages import DOCS, ROOT, Reader, blocks, commands
from tillpost import errors
from tillpost.errors import KeyRetiredError, PosError
from tillpost.errors.remedies import REMEDIES

README = ROOT / "README.md"


def test_there_are_exactly_two_set_up_commands_each_of_one_line() -> None:
    """One runs the main job, one passes the tests; both begin with a new environment."""
    shown = [
        line
        for block in blocks(README)
        if block.language == "console"
        for line in block.text.splitlines()
    ]
    assert len(shown) == 2
    assert all(
        line.startswith("$ python3 -m venv .venv && .venv/bin/pip install ") for line in shown
    )
    first, second = shown
    assert first.endswith(" && .venv/bin/tillpost demo")
    assert second.endswith(" && .venv/bin/pytest")


def test_the_set_up_commands_name_extras_and_groups_that_there_are() -> None:
    """What is installed is declared in the project's own file."""
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for block in blocks(README):
        for command, _ in commands(block):
            for extra in re.findall(r"\.\[([\w,]+)\]", command):
                assert all(
                    re.search(rf"^{name} = \[", project, re.MULTILINE) for name in extra.split(",")
                )
            for group in re.findall(r"--group (\w+)", command):
                assert re.search(rf"^{group} = \[", project, re.MULTILINE)


def test_the_error_table_has_every_class_and_says_who_acts() -> None:
    """A class that is added, or whose remedy changes hands, is seen here."""
    rows = re.findall(
        r"^\| `(\w+)` \| [^|]+ \| (\w+) \| [^|]+ \|$",
        README.read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    kinds = [getattr(errors, name) for name in errors.__all__]
    caught = {
        kind.__name__: REMEDIES[kind.default_remedy].actor.value
        for kind in kinds
        if isinstance(kind, type)
        and issubclass(kind, PosError)
        and kind not in (PosError, KeyRetiredError)
    }
    assert dict(rows) == caught
    assert len(rows) == len(caught)


def test_the_readme_leads_to_pages_that_are_there() -> None:
    """Sphinx checks the links between the pages of the site; the README isn't one of them."""
    for target in re.findall(r"\]\(([^)]+)\)", README.read_text(encoding="utf-8")):
        assert (ROOT / target).is_file(), target


def test_the_readmes_shop_brings_an_order_from_its_handler_to_the_simulators_register(
    reader: Reader,
) -> None:
    """What it says to type is typed, in its order; `curl` alone is stood in for, since not every machine has it."""
    (shop,) = [block.text for block in blocks(README) if block.text.startswith("# shop.py\n")]
    (typed,) = [
        block.text for block in blocks(README) if block.language == "sh" and "uvicorn" in block.text
    ]
    install, simulate, serve, order, work, show = typed.replace(".venv/bin/", "").splitlines()
    assert install.startswith("pip install ")
    shutil.copytree(DOCS / "examples", reader.folder / "docs" / "examples")
    reader.write("shop.py", shop)
    port = reader.replaced["8000"]
    reader.start(simulate, "README.md")
    reader.start(serve.replace("8000", port), "README.md")
    asked = re.fullmatch(r"curl -H '(.+): (.+)' -d @(\S+) (http\S+)", order.replace("8000", port))
    assert asked
    answer = httpx.post(
        asked[4],
        content=(reader.folder / asked[3]).read_bytes(),
        headers={asked[1]: asked[2]},
        timeout=30,
    )
    assert (answer.status_code, answer.json()) == (200, "due")
    said = [
        subprocess.run(
            command.split(),
            cwd=reader.folder,
            env=reader.environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for command in (work, show)
    ]
    assert "Orders that arrived: 1." in said[0]
    assert "Order B42: received by the platform" in said[1]
