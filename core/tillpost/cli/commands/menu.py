"""`tillpost menu import`, `check` and `diff`: the menu in a file, what is wrong with it or an order, what changed.

With `--json`, import prints {"ok", "connection", "held", "changes", "in_words", "items", "file"},
and check prints {"ok", "connection", "faults": [{"subject", "text"}]} or, of an order, {"ok",
"connection", "problems": [{"error", "remedy", "exit_code"}], "findings": [{"what", "ok", "text",
"actor", "reason"}]}; the findings are what keeps the store from taking any order. Diff prints
{"ok", "changes", "in_words"}.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from tillpost.adapter.readiness import Finding
from tillpost.cli.connection_option import (
    AsJson,
    ConfigFile,
    ConnectionName,
    SelectedConnection,
    fail,
    select_connection,
    work_on,
)
from tillpost.cli.exit_codes import NOT_RIGHT, CliError, code_for
from tillpost.cli.input import read_if_there, read_model
from tillpost.cli.outbox_option import DatabaseUrl
from tillpost.cli.output import error_facts, show_facts, show_json, show_table, tell
from tillpost.client.sync import Till
from tillpost.errors import MenuError, PosError
from tillpost.errors.remedies import ACTORS
from tillpost.menus.diff import compare
from tillpost.menus.lint import setup_faults
from tillpost.menus.validation import check_order
from tillpost.models.menu import Menu
from tillpost.models.order import Order, describe_lines
from tillpost.plugins.manager import adapter_named
from tillpost.submission.menu_import import MenuImport

__all__ = ["check", "diff", "import_"]


def import_(
    connection: ConnectionName = "",
    db: DatabaseUrl = "",
    config: ConfigFile = "",
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", help="Where the menu goes.")
    ] = "menu.json",
    accept: Annotated[
        bool,
        typer.Option(
            "--accept", help="Take a menu that lacks so much of the old one that it would be held."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Import the store's menu into a file, and print what differs from the menu that was in it."""
    settings = select_connection(connection, config, db)
    old = read_if_there(Menu, output)

    def work(till: Till) -> MenuImport:
        till.menu = old
        result = till.import_menu(accept=accept)
        new = till.held_menu or till.menu
        if old and new and old.site != new.site:
            raise CliError(
                f"{output} holds the menu of another site, {old.site}; name another file with --output"
            )
        return result

    result = work_on(
        settings,
        work,
        doing="Importing the menu",
        failed="The menu wasn't imported",
        as_json=as_json,
    )
    if result.held:
        fail(settings, _held(settings, result), "The menu was held", as_json=as_json)
    assert result.menu
    try:
        Path(output).write_text(result.menu.model_dump_json(indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise CliError(f"{output}: {error.strerror or 'cannot be written'}") from None
    words = result.changes.in_words()
    if as_json:
        facts = {
            "changes": result.changes,
            "in_words": words,
            "items": len(result.menu.items),
            "file": output,
        }
        show_json({"ok": True, "connection": settings.name, "held": False, **facts})
        return
    for line in words or ("Nothing has changed.",):
        tell(line)
    tell(f"{len(result.menu.items)} items are in {output}.", "bold green")


def diff(
    old_file: Annotated[
        str, typer.Argument(metavar="OLD", help="A menu's file, as `menu import` writes it.")
    ],
    new_file: Annotated[str, typer.Argument(metavar="NEW", help="Another one, imported later.")],
    as_json: AsJson = False,
) -> None:
    """Say in words what changed from one import of a menu to another."""
    changes = compare(read_model(Menu, old_file), read_model(Menu, new_file))
    words = changes.in_words()
    if as_json:
        show_json({"ok": True, "changes": changes, "in_words": words})
        return
    for line in words or ("Nothing has changed.",):
        tell(line)


def _held(settings: SelectedConnection, result: MenuImport) -> PosError:
    """What an order would be refused with; here it ends the import."""
    share = f"{result.changes.removed_share:.0%} of the menu would be gone"
    error = MenuError(
        f"{share}: {'; '.join(result.changes.in_words())}; --accept takes it all the same",
        reason="held",
    )
    return _named(settings, error, "import_menu")


def check(
    order_file: Annotated[
        str,
        typer.Argument(
            metavar="[ORDER.JSON]",
            help="An order to check against the menu; - reads standard input.",
        ),
    ] = "",
    connection: ConnectionName = "",
    db: DatabaseUrl = "",
    config: ConfigFile = "",
    menu_file: Annotated[
        str,
        typer.Option(
            "--menu",
            metavar="FILE",
            help="A menu that was imported before; else it is imported now.",
        ),
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Find what will make orders fail, before one does: in the menu's setup, or in an order against the menu.

    With the menu of a file nothing is sent, so whether the store is open isn't looked at.
    """
    settings = select_connection(connection, config, db)
    order = read_model(Order, order_file) if order_file else None
    findings: Sequence[Finding] = ()
    if menu_file:
        menu = read_model(Menu, menu_file)
    else:
        menu, findings = _asked(settings, as_json=as_json, about_order=order is not None)
    if order is None:
        _check_setup(settings, menu, as_json=as_json)
    else:
        _check_order(settings, menu, findings, order, as_json=as_json)


def _asked(
    settings: SelectedConnection, *, as_json: bool, about_order: bool
) -> tuple[Menu, Sequence[Finding]]:
    """Return the menu as it is now and, for an order, what keeps the store from taking any."""

    def work(till: Till) -> tuple[Menu, Sequence[Finding]]:
        menu = till.import_menu().menu
        assert menu  # there was none before that could be kept instead
        return menu, [
            finding for finding in till.check().findings if not finding.ok
        ] if about_order else ()

    doing, failed = "Importing the menu", "The menu wasn't imported"
    return work_on(settings, work, doing=doing, failed=failed, as_json=as_json)


def _check_setup(settings: SelectedConnection, menu: Menu, *, as_json: bool) -> None:
    faults = setup_faults(menu)
    if as_json:
        show_json({"ok": not faults, "connection": settings.name, "faults": faults})
    elif faults:
        title = "Faults in the setup: to be mended in the POS; an import can't"
        show_table(title, ("What", "Fault"), ((fault.subject, fault.text) for fault in faults))
    else:
        tell(f"No fault in the setup of {len(menu.items)} items.", "bold green")
    if faults:
        raise typer.Exit(NOT_RIGHT)


def _check_order(
    settings: SelectedConnection,
    menu: Menu,
    findings: Sequence[Finding],
    order: Order,
    *,
    as_json: bool,
) -> None:
    problems = [
        _named(settings, error, "check")
        for error in check_order(order, menu, settings.policy.prices)
    ]
    if as_json:
        found = [error_facts(error) for error in problems]
        facts = {"problems": found, "findings": findings}
        show_json({"ok": not (problems or findings), "connection": settings.name, **facts})
    else:
        _show_problems(order, problems)
        _show_findings(findings)
    if problems or findings:
        raise typer.Exit(code_for(problems[0]) if problems else NOT_RIGHT)


def _show_problems(order: Order, problems: Sequence[PosError]) -> None:
    if not problems:
        tell(f"Order {order.code} fits the menu.", "bold green")
        return
    tell(f"Order {order.code} doesn't fit the menu", "bold red")
    for error in sorted(problems, key=lambda error: error.lines):
        where = ", ".join(describe_lines(order, error.lines)) or "the whole order"
        who = f"{ACTORS[error.remedy.actor]}: {error.remedy.manager}"
        show_facts((("Where", where), (type(error).__name__, error.detail), ("Who must act", who)))


def _show_findings(findings: Sequence[Finding]) -> None:
    if findings:
        tell("The store can't take any order now", "bold red")
    for finding in findings:
        actor = ACTORS[finding.actor] if finding.actor else "nobody"
        show_facts((("What", finding.what), ("Finding", finding.text), ("Who must act", actor)))


def _named(settings: SelectedConnection, error: PosError, operation: str) -> PosError:
    """Fill in what a Till would have."""
    adapter = adapter_named(settings.platform)
    error.platform, error.title, error.operation = adapter.platform, adapter.title, operation
    return error
