"""`tillpost check`, `tillpost adapters` and `tillpost schema`.

With `--json`, check prints {"ok", "connection", "findings": [{"what", "ok", "text", "actor",
"reason"}]}, and adapters prints {"adapters": [{"platform", "title", "package", "version",
"capabilities", "simulator", "demo"}], "broken": {name: why}}. Schema always prints JSON.
"""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from tillpost.adapter.readiness import Finding, Readiness
from tillpost.cli.connection_option import (
    AsJson,
    ConfigFile,
    ConnectionName,
    select_connection,
    work_on,
)
from tillpost.cli.exit_codes import NOT_RIGHT
from tillpost.cli.outbox_option import DatabaseUrl
from tillpost.cli.output import print_line, show_json, show_table
from tillpost.client.sync import Till
from tillpost.errors.remedies import ACTORS
from tillpost.models.menu import Menu
from tillpost.models.order import Order
from tillpost.plugins.manager import adapters as installed_adapters
from tillpost.plugins.manager import broken, factories

__all__ = ["adapters", "check", "schema"]


def check(
    connection: ConnectionName = "",
    db: DatabaseUrl = "",
    config: ConfigFile = "",
    import_menu: Annotated[
        bool,
        typer.Option("--import-menu", help="Also import the menu, and check its setup."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check whether the store can take an order now, and if not, who must act."""
    settings = select_connection(connection, config, db)

    def work(till: Till) -> Readiness:
        if import_menu:
            till.import_menu()
        return till.check()

    readiness = work_on(
        settings,
        work,
        doing="Checking the connection, the store and the register",
        failed="The check failed",
        as_json=as_json,
    )
    if as_json:
        facts = {"connection": settings.name, "findings": readiness.findings}
        show_json({"ok": readiness.ready, **facts})
    else:
        _show_readiness(readiness)
    if not readiness.ready:
        raise typer.Exit(NOT_RIGHT)


def _show_readiness(readiness: Readiness) -> None:
    if readiness.ready:
        print_line("Ready for orders", "bold green")
    else:
        print_line("Not ready for orders", "bold red")
    rows = [_finding_row(finding) for finding in readiness.findings]
    show_table("", ("What", "", "Finding", "Who must act"), rows)


def _finding_row(finding: Finding) -> tuple[str, str, str, str]:
    if finding.ok:
        return finding.what, "ok", finding.text, ""
    return finding.what, "NO", finding.text, ACTORS[finding.actor] if finding.actor else ""


def adapters(as_json: AsJson = False) -> None:
    """List the platforms that orders can go to, and plugins that can't be loaded."""
    installed = installed_adapters()
    if as_json:
        simulators = factories("platform_simulators")
        demos = factories("demo_scenarios")
        rows = [
            {
                "platform": platform,
                "title": plugin.adapter.title,
                "package": plugin.package,
                "version": plugin.version,
                "capabilities": sorted(plugin.adapter.capabilities()),
                "simulator": platform in simulators,
                "demo": platform in demos,
            }
            for platform, plugin in installed.items()
        ]
        show_json({"adapters": rows, "broken": broken()})
        return
    table: list[tuple[str, ...]] = []
    for platform, plugin in installed.items():
        capabilities = ", ".join(sorted(plugin.adapter.capabilities()))
        table.append((platform, plugin.adapter.title, plugin.package, plugin.version, capabilities))
    show_table("", ("Platform", "Title", "Package", "Version", "Capabilities"), table)
    for name, why in broken().items():
        print_line(f"The plugin {name} can't be loaded: {why}", "red")


def schema(
    document: Annotated[
        Literal["order", "menu"], typer.Argument(metavar="order|menu", help="The document.")
    ],
) -> None:
    """Print the JSON Schema of an order or of a menu."""
    model = Order if document == "order" else Menu
    identity = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:tillpost:{document}:1",
    }
    show_json(identity | model.model_json_schema())
