"""`tillpost status`: all stores, open problems and waiting orders on one screen.

With `--json` it prints {"ok", "at", "connections", "problems", "waiting", "scheduled", "sending",
"oldest", "late", "held_menus", "workers"}. Times are in epoch seconds, except the connections'.
The exit code is 1 while somebody has to act: for an order that no worker sends, from a minute on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from tillpost.cli.commands.connections import health
from tillpost.cli.connection_option import AsJson, ConfigFile
from tillpost.cli.exit_codes import NOT_RIGHT
from tillpost.cli.outbox_option import DatabaseUrl, opened
from tillpost.cli.output import print_line, show_facts, show_json, show_table
from tillpost.models.local_time import local_time
from tillpost.models.safe_text import shell_option, shell_word

if TYPE_CHECKING:
    from tillpost.outbox.operations.status import Overview

__all__ = ["status"]


def status(db: DatabaseUrl = "", config: ConfigFile = "", as_json: AsJson = False) -> None:
    """Show stores, open problems, outages and waiting orders.

    The exit code is 1 while somebody has to act.
    """
    with opened(db, config) as outbox:
        from tillpost.outbox.operations.status import overview

        outbox.prepare()
        current = overview(outbox)
    if as_json:
        show_json({"ok": current.well, **current.model_dump(mode="json")})
    else:
        _show(current)
    if not current.well:
        raise typer.Exit(NOT_RIGHT)


def _show(current: Overview) -> None:
    unattended = _unattended(current)
    if not current.well:
        print_line("Somebody has to act.", "bold red")
    if unattended:
        print_line(unattended, "bold yellow")
    elif current.well:
        print_line("All is well.", "bold green")
    facts = (
        ("Problems", _problems(current)),
        ("Outages", _outages(current)),
        ("To reconnect", _to_reconnect(current)),
        ("Held menus", _held_menus(current)),
        ("Late", _late(current)),
        ("Being sent", str(current.sending or "")),
        ("Waiting", str(current.waiting or "")),
        ("Oldest", _oldest(current)),
        ("Scheduled", str(current.scheduled or "")),
        ("Workers", _workers(current)),
    )
    show_facts(facts)
    if current.connections:
        _show_stores(current)
    else:
        print_line("No connections. Connect a store: tillpost connect PLATFORM --name NAME")


def _unattended(current: Overview) -> str:
    """Return what is to say of orders that no worker will send, "" if there are none."""
    oldest = current.oldest
    if current.workers or not oldest:
        return ""
    orders = "1 order waits" if current.waiting == 1 else f"{current.waiting} orders wait"
    since = local_time(oldest.added_at)
    return f"{orders} since {since}, and no worker is running."


def _show_stores(current: Overview) -> None:
    rows = [
        (state.name, state.platform, health(state), str(state.waiting or ""))
        for state in current.connections
    ]
    unhealthy = [not state.healthy for state in current.connections]
    show_table("", ("Store", "Platform", "Health", "Waiting"), rows, red=unhealthy)


def _problems(current: Overview) -> str:
    counts = ", ".join(f"{count} {kind}" for kind, count in current.problems.items())
    if not counts:
        return ""
    return f"{counts} (tillpost orders list --problem)"


def _outages(current: Overview) -> str:
    names = [state.name for state in current.outages]
    return ", ".join(
        f"{name} (tillpost check {shell_option('--connection', name)})" for name in names
    )


def _to_reconnect(current: Overview) -> str:
    names = [state.name for state in current.to_reconnect]
    return ", ".join(f"{name} (tillpost reconnect {shell_word(name)})" for name in names)


def _held_menus(current: Overview) -> str:
    commands = [
        f"{name} (tillpost menu accept|discard {shell_option('--connection', name)})"
        for name in current.held_menus
    ]
    return ", ".join(commands)


def _late(current: Overview) -> str:
    if not current.late:
        return ""
    return f"{current.late}, due for over a minute: is a worker running (tillpost worker)?"


def _oldest(current: Overview) -> str:
    oldest = current.oldest
    if oldest is None:
        return ""
    return f"{oldest.order} of {oldest.connection}, since {local_time(oldest.added_at)}"


def _workers(current: Overview) -> str:
    if current.workers:
        return str(current.workers)
    if current.waiting:
        return "none: nothing is sent until one runs (tillpost worker)"
    return "none"
