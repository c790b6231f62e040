"""The README's commands, tables and links are right."""

from __future__ import annotations

import re
import shutil
import subprocess

import httpx
import pytest

from docs.pages import DOCS, ROOT, Reader, blocks, commands
from tillpost import errors
from tillpost.errors import KeyRetiredError, PosError
from tillpost.errors.remedies import REMEDIES
from tillpost_generic.adapter import Generic
from tillpost_kounta.adapter import Kounta
from tillpost_square.adapter import Square

README = ROOT / "README.md"


def test_readme_has_two_set_up_commands_of_one_line() -> None:
    """One runs the demo, one runs the tests. Both begin with a new environment."""
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


YES_IF = {
    "Submit, look up, read the status": {"submit", "find", "fetch"},
    "Import the menu": {"import_menu"},
    "Check whether the store takes orders": {"check"},
    "Receive webhooks": {"parse_webhook"},
    "Connect by OAuth, refresh tokens": {"authorize_url", "exchange_code", "refresh"},
    "Cancel an order": {"cancel"},
    "Quote the total before submitting": {"quote"},
    "Attention ticket for an order that can't go in": {"attention"},
}
"""The operations that an adapter has where the table of platforms says yes, by the row's name."""

ADAPTERS = (Square, Kounta, Generic)


def test_platform_table_says_what_the_adapters_can_do() -> None:
    """A capability that an adapter gains or loses changes the README."""
    shown: dict[str, list[bool]] = {}
    for line in README.read_text(encoding="utf-8").splitlines():
        name, *cells = [cell.strip() for cell in line.strip("|").split("|")]
        shown[name] = [cell.startswith("yes") for cell in cells]
    for name, operations in YES_IF.items():
        assert shown[name] == [operations <= adapter.capabilities() for adapter in ADAPTERS], name
    assert shown["Idempotency keys"] == [adapter.keyed for adapter in ADAPTERS]


def test_set_up_commands_name_extras_and_groups_that_exist() -> None:
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


def test_error_table_has_every_class_and_who_acts() -> None:
    """A new class, or a remedy with another actor, changes the README."""
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


def test_readme_links_lead_to_files() -> None:
    """Sphinx checks the site's links; the README isn't part of the site."""
    for target in re.findall(r"\]\(([^)]+)\)", README.read_text(encoding="utf-8")):
        assert (ROOT / target).is_file(), target


@pytest.mark.slow
def test_readme_shop_brings_order_to_simulated_register(
    reader: Reader,
) -> None:
    """The commands are run in order. httpx takes the place of `curl`."""
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
    outputs = [
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
    assert "Orders that arrived: 1." in outputs[0]
    assert "Order B42: received by the platform" in outputs[1]
