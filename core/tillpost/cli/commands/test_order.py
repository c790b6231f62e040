"""`tillpost test-order`: an order marked TEST, sent and then withdrawn.

The command follows it to the register. With `--json` it prints {"ok", "connection", "reached",
"withdrawn", "text", "order", "pos_order"}. A refused order prints what `submit` prints.
"""

from __future__ import annotations

from typing import Annotated

import typer

from tillpost.cli.connection_option import (
    AsJson,
    ConfigFile,
    ConnectionName,
    select_connection,
    work_on,
)
from tillpost.cli.exit_codes import NOT_RIGHT
from tillpost.cli.outbox_option import DatabaseUrl
from tillpost.cli.output import print_line, show_facts, show_json
from tillpost.client.hooks import Watcher
from tillpost.support.test_order import run_test_order

__all__ = ["send_test_order"]

_REACHED = {
    "platform": "2: received by the platform; not yet confirmed by the register",
    "register": "3: confirmed by the register",
}


def send_test_order(
    connection: ConnectionName = "",
    db: DatabaseUrl = "",
    config: ConfigFile = "",
    seconds: Annotated[
        float,
        typer.Option(
            "--seconds",
            min=0,
            max=600,
            help="How long to wait for the register to confirm the order.",
        ),
    ] = 30.0,
    as_json: AsJson = False,
) -> None:
    """Send an order marked TEST, follow it to the register, and withdraw it."""
    settings = select_connection(connection, config, db)
    watcher = Watcher()
    report = work_on(
        settings,
        lambda till: run_test_order(till, seconds=seconds, say=watcher.say),
        doing="Sending a test order",
        failed="The test order didn't reach the platform",
        interrupted="interrupted; an order marked TEST may exist. Ask the store to void it",
        as_json=as_json,
        about_order=True,
        watcher=watcher,
    )
    if as_json:
        facts = report.model_dump(mode="json")
        show_json({"ok": report.withdrawn, "connection": settings.name, **facts})
    else:
        print_line(f"Test order {report.order.id}", "bold")
        show_facts((("Last hop", _REACHED[report.reached]), ("Result", report.text)))
    if not report.withdrawn:
        raise typer.Exit(NOT_RIGHT)
