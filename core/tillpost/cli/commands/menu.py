"""`tillpost menu import`, `menu check` and `menu diff`.

With `--json`, import prints {"ok", "connection", "held", "changes", "in_words", "items", "file"},
and diff prints {"ok", "changes", "in_words"}. Check prints {"ok", "connection", "faults":
[{"subject", "text", "left_out", "ids"}]}, or with an order {"ok", "connection", "problems":
[{"error", "remedy", "exit_code"}], "findings": [{"what", "ok", "text", "actor", "reason"}]}. The
findings are what keeps the store from taking any order.
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
from tillpost.cli.input import read_if_exists, read_model
from tillpost.cli.outbox_option import DatabaseUrl
from tillpost.cli.output import error_facts, print_line, show_facts, show_json, show_table
from tillpost.client.sync import Till
from tillpost.errors import MenuError, PosError
from tillpost.errors.remedies import ACTORS
from tillpost.menus.diff import MenuChanges, compare
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
        str, typer.Option("--output", "-o", metavar="FILE", help="The file to write the menu to.")
    ] = "menu.json",
    accept: Annotated[
        bool,
        typer.Option(
            "--accept",
            help="Accept a menu that lacks so many items that it would be held for review.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Import the store's menu into a file, and print the changes since its last menu."""
    settings = select_connection(connection, config, db)
    previous = read_if_exists(Menu, output)

    def work(till: Till) -> MenuImport:
        till.menu = previous
        result = till.import_menu(accept=accept)
        new = till.held_menu or till.menu
        if previous and new and previous.site != new.site:
            raise CliError(
                f"{output} has the menu of another site, {previous.site}; "
                "choose another file with --output"
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
        fail(settings, _held_error(settings, result), "The menu was held", as_json=as_json)
    assert result.menu
    _write(output, result.menu)
    if as_json:
        facts = {
            "changes": result.changes,
            "in_words": result.changes.in_words(),
            "items": len(result.menu.items),
            "file": output,
        }
        show_json({"ok": True, "connection": settings.name, "held": False, **facts})
        return
    _show_changes(result.changes)
    print_line(f"{len(result.menu.items)} items written to {output}.", "bold green")


def diff(
    old_file: Annotated[
        str, typer.Argument(metavar="OLD", help="A file that `menu import` wrote.")
    ],
    new_file: Annotated[str, typer.Argument(metavar="NEW", help="A later one.")],
    as_json: AsJson = False,
) -> None:
    """Print what changed between two imports of a menu."""
    changes = compare(read_model(Menu, old_file), read_model(Menu, new_file))
    if as_json:
        show_json({"ok": True, "changes": changes, "in_words": changes.in_words()})
    else:
        _show_changes(changes)


def check(
    order_file: Annotated[
        str,
        typer.Argument(
            metavar="ORDER.JSON",
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
            help="Use this imported menu instead of importing it now.",
        ),
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Find what will make orders fail: in the menu's setup, or in one order.

    With --menu, nothing is sent to the platform, so it isn't checked whether the store is open.
    """
    settings = select_connection(connection, config, db)
    order = read_model(Order, order_file) if order_file else None
    findings: Sequence[Finding] = ()
    if menu_file:
        menu = read_model(Menu, menu_file)
    else:
        menu, findings = _query_store(settings, with_findings=order is not None, as_json=as_json)
    if order is None:
        _check_setup(settings, menu, as_json=as_json)
    else:
        _check_order(settings, menu, findings, order, as_json=as_json)


def _held_error(settings: SelectedConnection, result: MenuImport) -> PosError:
    """Return the error that an order would be refused with while the menu is held."""
    removed = f"{result.changes.removed_share:.0%} of the menu would be removed"
    changes = "; ".join(result.changes.in_words())
    error = MenuError(f"{removed}: {changes}; --accept accepts it nevertheless", reason="held")
    return _stamp(settings, error, "import_menu")


def _write(path: str, menu: Menu) -> None:
    try:
        Path(path).write_text(menu.model_dump_json(indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise CliError(f"{path}: {error.strerror or 'cannot be written'}") from None


def _show_changes(changes: MenuChanges) -> None:
    for line in changes.in_words() or ("Nothing has changed.",):
        print_line(line)


def _query_store(
    settings: SelectedConnection, *, with_findings: bool, as_json: bool
) -> tuple[Menu, Sequence[Finding]]:
    """Return the menu and, if wanted, what keeps the store from taking any order."""

    def work(till: Till) -> tuple[Menu, Sequence[Finding]]:
        menu = till.import_menu().menu
        assert menu  # nothing can be held: there is no earlier menu
        if not with_findings:
            return menu, ()
        failed = [finding for finding in till.check().findings if not finding.ok]
        return menu, failed

    return work_on(
        settings,
        work,
        doing="Importing the menu",
        failed="The menu wasn't imported",
        as_json=as_json,
    )


def _check_setup(settings: SelectedConnection, menu: Menu, *, as_json: bool) -> None:
    faults = setup_faults(menu)
    if as_json:
        show_json({"ok": not faults, "connection": settings.name, "faults": faults})
    elif faults:
        title = "Faults in the setup. Correct them in the POS; an import can't"
        rows = [(fault.subject, fault.text) for fault in faults]
        show_table(title, ("Subject", "Fault"), rows)
    else:
        print_line(f"No faults in the setup of {len(menu.items)} items.", "bold green")
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
    errors = check_order(order, menu, settings.policy.prices)
    problems = [_stamp(settings, error, "check") for error in errors]
    if as_json:
        facts = {
            "problems": [error_facts(error) for error in problems],
            "findings": findings,
        }
        ok = not problems and not findings
        show_json({"ok": ok, "connection": settings.name, **facts})
    else:
        _show_problems(order, problems)
        _show_findings(findings)
    if problems:
        raise typer.Exit(code_for(problems[0]))
    if findings:
        raise typer.Exit(NOT_RIGHT)


def _show_problems(order: Order, problems: Sequence[PosError]) -> None:
    if not problems:
        print_line(f"Order {order.code} matches the menu.", "bold green")
        return
    print_line(f"Order {order.code} doesn't match the menu", "bold red")
    for error in sorted(problems, key=lambda error: error.lines):
        lines = ", ".join(describe_lines(order, error.lines))
        remedy = error.remedy
        facts = (
            ("Where", lines or "the whole order"),
            (type(error).__name__, error.detail),
            ("Who must act", f"{ACTORS[remedy.actor]}: {remedy.manager}"),
        )
        show_facts(facts)


def _show_findings(findings: Sequence[Finding]) -> None:
    if findings:
        print_line("The store can't take any orders now", "bold red")
    for finding in findings:
        actor = ACTORS[finding.actor] if finding.actor else "nobody"
        facts = (("What", finding.what), ("Finding", finding.text), ("Who must act", actor))
        show_facts(facts)


def _stamp(settings: SelectedConnection, error: PosError, operation: str) -> PosError:
    """Fill in the context that a Till would have added."""
    adapter = adapter_named(settings.platform)
    error.platform = adapter.platform
    error.title = adapter.title
    error.operation = operation
    return error
