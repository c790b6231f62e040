"""`tillpost test-order`: one order marked TEST, followed to the register and withdrawn.

With `--json` it prints {"ok", "connection", "reached", "withdrawn", "text", "order", "pos_order"};
a refusal prints what `submit` does.
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
from tillpost.cli.output import show_facts, show_json, tell
from tillpost.client.hooks import Watcher
from tillpost.support.test_order import run_trial

__all__ = ["send_trial"]

_REACHED = {
    "platform": "2: the platform has it; the register hasn't shown it",
    "register": "3: the register has it",
}


def send_trial(
    connection: ConnectionName = "",
    db: DatabaseUrl = "",
    config: ConfigFile = "",
    seconds: Annotated[
        float,
        typer.Option(
            "--seconds", min=0, max=600, help="How long to wait for a sign of the register."
        ),
    ] = 30.0,
    as_json: AsJson = False,
) -> None:
    """Send one order marked TEST, follow it to the register, say which hop it reached, and withdraw it."""
    settings = select_connection(connection, config, db)
    watcher = Watcher()
    report = work_on(
        settings,
        lambda till: run_trial(till, seconds=seconds, say=watcher.say),
        doing="Sending a test order",
        failed="The test order didn't reach the platform",
        interrupted="interrupted; an order marked TEST may be at the store: have it voided there",
        as_json=as_json,
        about_order=True,
        watcher=watcher,
    )
    if as_json:
        show_json(
            {"ok": report.withdrawn, "connection": settings.name, **report.model_dump(mode="json")}
        )
    else:
        tell(f"The test order {report.order.id}", "bold")
        show_facts((("Which hop", _REACHED[report.reached]), ("What happened", report.text)))
    if not report.withdrawn:
        raise typer.Exit(NOT_RIGHT)
