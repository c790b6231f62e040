"""What the reference shows is taken from the code, all of it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import get_args
from xml.etree.ElementTree import Element, parse

import pytest
from pydantic import BaseModel

import tillpost
import tillpost.outbox
from docs.pages import DOCS, ROOT
from tillpost import Menu, Order, Policy
from tillpost.cli.exit_codes import CODES
from tillpost.errors.remedies import REMEDIES
from tillpost.outbox import ConnectionOptions, OutboxSettings
from tillpost.plugins import hookspecs
from tillpost.submission.journal import Event
from tillpost_square.oauth import SCOPES
from tillpost_square.settings import SquareSettings


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as XML; any warning ends the build."""
    built = tmp_path_factory.mktemp("site")
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-q",
        "-W",
        "--keep-going",
        "-b",
        "xml",
        str(DOCS),
        str(built),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return built


def text(element: Element) -> str:
    """Return all text in an element."""
    return "".join(element.itertext())


def page(site: Path, name: str) -> Element:
    """Return a built page."""
    return parse(site / f"{name}.xml").getroot()


def first_cells(element: Element) -> list[str]:
    """Return the first cell of each row in the bodies of an element's tables."""
    return [text(row[0]).strip() for body in element.iter("tbody") for row in body.iter("row")]


def test_every_public_name_is_in_the_reference(site: Path) -> None:
    """What `tillpost` exports can be looked up."""
    files = [
        file.relative_to(site).with_suffix("").as_posix()
        for file in (site / "reference").glob("*.xml")
    ]
    named = [
        name
        for file in files
        for kind in ("desc_name", "title", "literal")
        for name in page(site, file).iter(kind)
    ]
    shown = {text(name).removeprefix("@tillpost.") for name in named}
    assert set(tillpost.__all__) <= shown
    assert {"Outbox", *tillpost.outbox.__all__} <= shown


def test_every_hook_and_every_setting_of_the_outbox_is_shown(site: Path) -> None:
    """What can be plugged in and set is found there, with what it means."""
    shown = {text(name) for name in page(site, "reference/hooks").iter("desc_name")}
    specs = {name for name, thing in vars(hookspecs).items() if hasattr(thing, "tillpost_spec")}
    assert {"outage_began", "order_parked"} <= specs
    assert specs <= shown
    fields = first_cells(page(site, "reference/outbox"))
    assert {*OutboxSettings.model_fields, *ConnectionOptions.model_fields} <= set(fields)


def test_every_remedy_exit_code_and_setting_is_shown(site: Path) -> None:
    """The tables are generated, and whole."""
    errors = first_cells(page(site, "reference/errors"))
    reasons = [key.partition(".")[2] for key in REMEDIES if "." in key]
    assert all(any(cell.endswith(f", reason {reason}") for cell in errors) for reason in reasons)
    assert {str(code) for code in CODES} <= set(first_cells(page(site, "reference/command")))
    assert first_cells(page(site, "reference/square")) == list(SquareSettings.model_fields)
    assert set(Policy.model_fields) <= set(first_cells(page(site, "reference/api")))


@pytest.mark.parametrize(("name", "model"), [("order", Order), ("menu", Menu)])
def test_every_field_of_a_format_is_shown(site: Path, name: str, model: type[BaseModel]) -> None:
    """The format's page has what its JSON Schema has, part by part."""
    shown = {
        text(section[0]): first_cells(section)
        for section in page(site, f"reference/{name}").iter("section")
    }
    schema = model.model_json_schema()
    assert shown[model.__name__] == list(schema["properties"])
    for part, definition in schema["$defs"].items():
        assert shown[part] == list(definition["properties"])


def test_every_event_of_the_journal_is_shown(site: Path) -> None:
    """Nothing is noted of an order that can't be looked up."""
    journal = page(site, "reference/journal")
    shown = {name.text for name in journal.iter("desc_name")}
    assert {kind.__name__ for kind in get_args(Event)} <= shown


def test_the_square_guide_names_every_scope() -> None:
    """A scope that is missing there is missing at every store."""
    guide = (DOCS / "how-to" / "square.md").read_text(encoding="utf-8")
    shown = dict(re.findall(r"^\| `([A-Z_]+)` \| ([^|]+) \|$", guide, re.MULTILINE))
    assert shown == SCOPES


def test_every_unconfirmed_remark_is_listed_under_its_file(site: Path) -> None:
    """Counted by another way than the page is made."""
    sections = page(site, "unconfirmed").iter("section")
    listed = {text(section[0]): len(first_cells(section)) for section in sections}
    listed.pop("What nobody has confirmed")
    there = {
        file.relative_to(ROOT / "adapters").as_posix(): file.read_text(encoding="utf-8").count(
            "unconfirmed: "
        )
        for file in (ROOT / "adapters").rglob("*.py")
    }
    assert listed == {file: count for file, count in there.items() if count}


def test_every_unconfirmed_remark_says_what_would_settle_it(site: Path) -> None:
    """A doubt that nobody knows how to settle stays for ever."""
    remarks = [
        tuple(text(cell).strip() for cell in row) for row in page(site, "unconfirmed").iter("row")
    ]
    settled = re.compile(r"\bwould\b|; see _\w+\.$")
    assert [remark for remark in remarks if not settled.search(remark[1])] == []
