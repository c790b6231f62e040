"""The reference is whole, and in step with the code.

`docs/render.py` writes the generated parts of the pages. Most tests here read the Markdown, as
somebody does in a clone; the others read the site, built as XML.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args
from xml.etree.ElementTree import Element, parse

import pytest
import typer
from pydantic import BaseModel

import tillpost
import tillpost.outbox
from docs.pages import DOCS, ROOT
from tillpost import Menu, Order, Policy
from tillpost.adapter import Adapter, OrderFeature
from tillpost.cli.app import build
from tillpost.cli.exit_codes import CODES
from tillpost.errors.remedies import REMEDIES
from tillpost.outbox import ConnectionOptions, OutboxSettings
from tillpost.plugins import hookspecs
from tillpost.submission.journal import Event
from tillpost_generic.adapter import Generic
from tillpost_generic.settings import GenericSettings
from tillpost_kounta.adapter import Kounta
from tillpost_kounta.settings import KountaSettings
from tillpost_square.adapter import Square
from tillpost_square.oauth import SCOPES
from tillpost_square.settings import SquareSettings

REFERENCE = DOCS / "reference"

SETTINGS: tuple[type[BaseModel], ...] = (
    SquareSettings,
    KountaSettings,
    GenericSettings,
    Policy,
    OutboxSettings,
    ConnectionOptions,
)


def text_of(name: str) -> str:
    """Return a page of the reference."""
    page = REFERENCE / f"{name}.md"
    return page.read_text(encoding="utf-8")


def headings(page: str) -> set[str]:
    """Return the headings of a page, of every level."""
    return set(re.findall(r"^#+ (.+)$", page, re.MULTILINE))


def sections(page: str) -> dict[str, str]:
    """Return the text below each heading of the second level."""
    return split_at("##", page)


def split_at(marks: str, page: str) -> dict[str, str]:
    """Return the text below each heading that begins with these marks."""
    _, *parts = re.split(rf"^{marks} (.+)$", page, flags=re.MULTILINE)
    names, texts = parts[::2], parts[1::2]
    return dict(zip(names, texts, strict=True))


def first_cells(page: str, pattern: str = r"\w+") -> list[str]:
    """Return the code in the first cell of each row of the tables."""
    return re.findall(rf"^\| `({pattern})` \|", page, re.MULTILINE)


def render(*options: str) -> subprocess.CompletedProcess[str]:
    """Run the command that writes the reference."""
    return run(str(DOCS / "render.py"), *options)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python with these arguments."""
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_reference_is_in_step_with_the_code() -> None:
    """If this fails, run `python docs/render.py` and commit what it writes."""
    done = render("--check")
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_every_change_of_the_public_api_is_in_the_changelog() -> None:
    """If this fails, name the change in CHANGELOG.md, under Unreleased."""
    done = render("--api")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("model", SETTINGS, ids=lambda model: model.__name__)
def test_every_setting_is_shown_with_a_meaning(model: type[BaseModel]) -> None:
    """A setting without a description can't be understood from the page."""
    page = text_of("settings")
    for name in model.model_fields:
        title = f"{model.__name__}.{name}"
        anchor = f"{model.__name__.lower()}-{name}"
        start = re.escape(f'<dt id="{anchor}">')
        entry = re.search(rf"{start}[^\n]*</dt>\n<dd>(.*?)</dd>", page, re.DOTALL)
        assert entry, f"{title} isn't shown"
        description = entry[1].split()
        assert len(description) > 2, f"{title} has no description"


def test_hooks_are_shown() -> None:
    """Each hook has a heading, a signature and a text."""
    page = text_of("hooks")
    things = vars(hookspecs).items()
    specs = {name for name, thing in things if hasattr(thing, "tillpost_spec")}
    assert {"outage_began", "order_parked"} <= specs
    shown = sections(page)
    for name in specs:
        assert name in shown
        signature, _, prose = shown[name].partition("\n```\n")
        assert f"def {name}(" in signature
        assert prose.strip()


def test_remedies_and_exit_codes_are_shown() -> None:
    """The tables are generated, and whole."""
    page = text_of("errors")
    for key, remedy in REMEDIES.items():
        _, _, reason = key.partition(".")
        subject = f"reason <code>{reason}</code>" if reason else "no reason given"
        term = f"<dt>{subject}: {remedy.actor} acts</dt>"
        assert term in page
    shown = " ".join(page.split())
    assert shown.count("<strong>Manager:</strong>") == len(REMEDIES)
    assert shown.count("<strong>Developer:</strong>") == len(REMEDIES)
    codes = first_cells(text_of("cli"), r"\d+")
    assert set(codes) == {str(code) for code in CODES}


@pytest.mark.parametrize("adapter", [Square, Kounta, Generic], ids=lambda adapter: adapter.title)
def test_every_row_of_an_error_table_is_shown(adapter: type[Adapter[Any]]) -> None:
    """Each row is in the table of its platform, and each code below it or in it."""
    name = adapter.title.removesuffix(" POS")
    page = sections(text_of("refusals"))[name]
    shown = re.findall(r"^\| .* \| `(\w+Error)` \|", page, re.MULTILINE)
    errors = [row.error.__name__ for row in adapter.errors]
    assert shown == errors
    for row in adapter.errors:
        for code in row.codes:
            assert f"`{code}`" in page or f">{code}<" in page


def test_every_command_is_shown_with_its_options() -> None:
    """Each command has a heading; each of its options is in a definition list."""
    shown = split_at("###", text_of("cli"))
    root = typer.main.get_command(build())

    def visit(command: object, name: str) -> None:
        children = getattr(command, "commands", None)
        if children is not None:
            for word, child in children.items():
                visit(child, f"{name} {word}")
            return
        for parameter in getattr(command, "params", ()):
            if parameter.param_type_name != "option":
                continue
            for option in parameter.opts:
                assert f"<code>{option}</code>" in shown[name]

    visit(root, "tillpost")


@pytest.mark.parametrize(("name", "model"), [("order", Order), ("menu", Menu)])
def test_every_field_of_a_format_is_shown(name: str, model: type[BaseModel]) -> None:
    """The format's page has what its JSON Schema has, part by part."""
    parts = sections(text_of(name))
    shown = {part: first_cells(text) for part, text in parts.items()}
    schema = model.model_json_schema()
    assert shown[model.__name__] == list(schema["properties"])
    for part, definition in schema["$defs"].items():
        properties = definition.get("properties", ())
        assert shown[part] == list(properties)


@pytest.mark.parametrize(
    ("field", "kind"),
    [
        ("code", "text (not empty)"),
        ("lines", "list of [Line](#line) (at least 1)"),
        ("item_id", "text (at most 192 characters)"),
        ("quantity", "whole number (1 to 9999)"),
        ("guests", "whole number (1 to 999) or null"),
        ("tip", "whole number (0 to 10^12)"),
        (
            "metadata",
            "table of names and values (at most 50; a name 1 to 40 characters; "
            "a value at most 500 characters)",
        ),
    ],
)
def test_limits_of_an_orders_fields_are_shown(field: str, kind: str) -> None:
    assert f"| `{field}` | {kind} |" in text_of("order")


def test_table_of_platforms_says_what_each_adapter_carries() -> None:
    table = text_of("order").split("## What each platform takes")[1].split("## Order")[0]
    rows = re.findall(r"^\| `([\w.]+)`.*? \| (.+?) \| (.+?) \| (.+?) \|$", table, re.MULTILINE)
    shown = {
        field: tuple(not cell.startswith("refused") for cell in cells) for field, *cells in rows
    }
    adapters = (Generic, Kounta, Square)
    assert shown == {
        feature.value: tuple(feature in adapter.carries for adapter in adapters)
        for feature in OrderFeature
    }


def test_every_field_of_the_menu_is_shown_with_a_meaning() -> None:
    """A field without a meaning has to be looked up in the code."""
    rows = re.findall(r"^\| `(\w+)` \|(.*)\|$", text_of("menu"), re.MULTILINE)
    assert rows
    for name, cells in rows:
        kind_default_meaning = cells.split(" | ")
        assert len(kind_default_meaning) == 3, f"{name} has no meaning"
        meaning = kind_default_meaning[2]
        assert len(meaning.split()) > 2, f"{name} has no meaning"


def test_every_journal_event_is_shown() -> None:
    """Every event that is recorded can be looked up."""
    shown = headings(text_of("journal"))
    for kind in get_args(Event):
        assert kind.__name__ in shown


PUBLIC_NAMES = {
    *tillpost.__all__,
    *tillpost.outbox.__all__,
    "Outbox",
}


def test_every_public_name_is_in_the_reference() -> None:
    """What `tillpost` and `tillpost.outbox` export has a heading and a signature."""
    shown = headings(text_of("public-api"))
    assert shown >= PUBLIC_NAMES


def test_every_overload_is_shown() -> None:
    """`Outbox.add` returns an order, or an awaitable of one for an async session."""
    (outbox,) = re.findall(r"^class Outbox:$.*?^```$", text_of("public-api"), re.M | re.S)
    returned = re.findall(r"def add\(.*?\) -> ([^:]+):", outbox, re.S)
    assert returned == ["StoredOrder", "Awaitable[StoredOrder]"]


def test_square_guide_names_every_scope() -> None:
    """A scope that is missing there is missing at every store."""
    guide = DOCS / "how-to" / "square.md"
    page = guide.read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([A-Z_]+)` \| ([^|]+) \|$", page, re.MULTILINE)
    assert dict(rows) == SCOPES


def unconfirmed() -> dict[str, str]:
    """Return the sections of the page of unconfirmed claims, by file."""
    page = DOCS / "unconfirmed.md"
    return sections(page.read_text(encoding="utf-8"))


def test_unconfirmed_remarks_are_listed_under_their_files() -> None:
    """Counted by another way than the page is generated."""
    listed = {file: text.count("<dt>") for file, text in unconfirmed().items()}
    in_code: dict[str, int] = {}
    for root in ("adapters", "core", "plugins"):
        for file in (ROOT / root).rglob("*.py"):
            code = file.read_text(encoding="utf-8")
            count = code.count("unconfirmed: ")
            if count:
                name = file.relative_to(ROOT).as_posix()
                in_code[name] = count
    assert listed == in_code


def test_unconfirmed_remarks_say_what_would_settle_them() -> None:
    """A doubt that nobody knows how to settle stays for ever."""
    settled = re.compile(r"\bwould\b|; see _\w+\.$")
    for file, text in unconfirmed().items():
        for remark in re.findall(r"<dd>(.*?)</dd>", text, re.DOTALL):
            words = " ".join(remark.split())
            assert settled.search(words), f"{file}: {remark}"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as XML. Any warning fails the build."""
    built = tmp_path_factory.mktemp("site")
    options = ["-q", "-W", "--keep-going", "-b", "xml"]
    done = run("-m", "sphinx", *options, str(DOCS), str(built))
    assert done.returncode == 0, done.stderr
    return built


def text(element: Element) -> str:
    """Return all text in an element."""
    return "".join(element.itertext())


@pytest.mark.slow
def test_site_describes_every_public_name_in_detail(site: Path) -> None:
    """The full docstrings are on the site, or the generated page has the name."""
    shown: set[str] = set()
    for file in (site / "reference").glob("*.xml"):
        page = parse(file).getroot()
        for kind in ("desc_name", "title", "literal"):
            names = [text(element) for element in page.iter(kind)]
            shown.update(name.removeprefix("@tillpost.") for name in names)
    assert shown >= PUBLIC_NAMES
