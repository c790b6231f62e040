"""`tillpost check`, `tillpost adapters` and `tillpost schema`: can the store take orders, what is installed, what an
order or a menu looks like in JSON.

With `--json`, check prints {"ok", "connection", "findings": [{"what", "ok", "text", "actor",
"reason"}]}, and adapters prints {"adapters": [{"platform", "title", "package", "version",
"capabilities", "simulator", "demo"}], "broken": {name: why}}.
"""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from tillpost.adapter.readiness import Readiness
from tillpost.cli.connection_option import (
    AsJson,
    ConfigFile,
    ConnectionName,
    select_connection,
    work_on,
)
from tillpost.cli.exit_codes import NOT_RIGHT
from tillpost.cli.outbox_option import DatabaseUrl
from tillpost.cli.output import show_json, show_table, tell
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
        typer.Option(
            "--import-menu", help="Import the menu too, and look for faults in its setup."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say whether the store can take an order now, and if not, whose move it is."""
    settings = select_connection(connection, config, db)

    def work(till: Till) -> Readiness:
        if import_menu:
            till.import_menu()
        return till.check()

    readiness = work_on(
        settings,
        work,
        doing="Checking the connection, the store and the register",
        failed="It can't be checked",
        as_json=as_json,
    )
    if as_json:
        show_json(
            {"ok": readiness.ready, "connection": settings.name, "findings": readiness.findings}
        )
    else:
        tell(
            *(
                ("Ready for orders", "bold green")
                if readiness.ready
                else ("Not ready for orders", "bold red")
            )
        )
        show_table(
            "",
            ("What", "", "Finding", "Who must act"),
            (
                (
                    x.what,
                    "ok" if x.ok else "NO",
                    x.text,
                    ACTORS[x.actor] if x.actor and not x.ok else "",
                )
                for x in readiness.findings
            ),
        )
    if not readiness.ready:
        raise typer.Exit(NOT_RIGHT)


def adapters(as_json: AsJson = False) -> None:
    """List the platforms that orders can go to, what each adapter can do, and plugins that are broken."""
    found = installed_adapters()
    if as_json:
        rows = [
            {
                "platform": platform,
                "title": one.adapter.title,
                "package": one.package,
                "version": one.version,
                "capabilities": sorted(one.adapter.capabilities()),
                "simulator": platform in factories("platform_simulators"),
                "demo": platform in factories("demo_scenarios"),
            }
            for platform, one in found.items()
        ]
        show_json({"adapters": rows, "broken": broken()})
        return
    show_table(
        "",
        ("Platform", "Title", "Package", "Version", "Can"),
        (
            (
                platform,
                one.adapter.title,
                one.package,
                one.version,
                ", ".join(sorted(one.adapter.capabilities())),
            )
            for platform, one in found.items()
        ),
    )
    for name, why in broken().items():
        tell(f"Broken: the plugin {name} can't be loaded: {why}", "red")


def schema(
    word: Annotated[
        Literal["order", "menu"], typer.Argument(metavar="order|menu", help="Which format.")
    ],
) -> None:
    """Print the JSON Schema of an order, or of a menu."""
    show_json((Order if word == "order" else Menu).model_json_schema())
