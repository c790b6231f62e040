"""`tillpost status`: all stores, and all that waits for somebody, on one screen. Code 0 while all is well.

With `--json`: {"ok", "at", "connections", "problems", "waiting", "scheduled", "sending", "oldest",
"late", "held_menus", "workers"}, times in epoch seconds but for the connections'.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from tillpost.cli.commands.connections import health
from tillpost.cli.connection_option import AsJson, ConfigFile
from tillpost.cli.exit_codes import NOT_RIGHT
from tillpost.cli.outbox_option import DatabaseUrl, moment, opened
from tillpost.cli.output import show_facts, show_json, show_table, tell

if TYPE_CHECKING:
    from tillpost.outbox.operations.status import Overview

__all__ = ["status"]


def status(db: DatabaseUrl = "", config: ConfigFile = "", as_json: AsJson = False) -> None:
    """Show how everything stands: stores, open problems, outages, what waits. Code 1 when somebody has to act."""
    with opened(db, config) as outbox:
        from tillpost.outbox.operations.status import overview

        outbox.prepare()
        known = overview(outbox)
    if as_json:
        show_json({"ok": known.well, **known.model_dump(mode="json")})
    else:
        _show(known)
    if not known.well:
        raise typer.Exit(NOT_RIGHT)


def _show(known: Overview) -> None:
    tell(
        "All is well." if known.well else "Somebody has to act.",
        "bold green" if known.well else "bold red",
    )
    show_facts(
        (
            ("Problems", _problems(known)),
            (
                "Outages",
                ", ".join(
                    f"{s.name} (tillpost check --connection {s.name})" for s in known.outages
                ),
            ),
            (
                "To reconnect",
                ", ".join(f"{s.name} (tillpost reconnect {s.name})" for s in known.to_reconnect),
            ),
            ("Held menus", _held(known)),
            (
                "Late",
                f"{known.late}, due for over a minute: is a worker running (tillpost worker)?"
                * bool(known.late),
            ),
            ("Being sent", str(known.sending or "")),
            ("Waiting", str(known.waiting or "")),
            ("Oldest", _oldest(known)),
            ("Scheduled", str(known.scheduled or "")),
            ("Workers", _workers(known)),
        )
    )
    if known.connections:
        show_table(
            "",
            ("Store", "Platform", "Health", "Waiting"),
            ((s.name, s.platform, health(s), str(s.waiting or "")) for s in known.connections),
            red=[not s.healthy for s in known.connections],
        )
    else:
        tell("No connections. Connect a store: tillpost connect PLATFORM --name NAME")


def _problems(known: Overview) -> str:
    counts = ", ".join(f"{count} {kind}" for kind, count in known.problems.items())
    return f"{counts} (tillpost orders list --problem)" if counts else ""


def _workers(known: Overview) -> str:
    waits = known.waiting and not known.workers
    return (
        "none: nothing is sent until one runs (tillpost worker)"
        if waits
        else str(known.workers or "none")
    )


def _held(known: Overview) -> str:
    return ", ".join(
        f"{name} (tillpost menu accept, or discard, --connection {name})"
        for name in known.held_menus
    )


def _oldest(known: Overview) -> str:
    first = known.oldest
    return f"{first.order} of {first.connection}, since {moment(first.added_at)}" if first else ""
