"""`tillpost diagnose`: why an order isn't on the register, and steps to take.

With `--json` it prints {"order", "hop": "captured|platform|register|none", "error", "evidence":
[...], "steps": [{"number", "who", "do", "see"}]}. `error` is the class of the error, empty for
none. The exit code is 1 while somebody has to act.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Annotated

import typer

from tillpost.cli.commands.orders import OrderName, find_one
from tillpost.cli.connection_option import AsJson, ConfigFile
from tillpost.cli.exit_codes import NOT_RIGHT
from tillpost.cli.outbox_option import DatabaseUrl, opened
from tillpost.cli.output import print_line, progress, show_facts, show_hops, show_json
from tillpost.errors.remedies import ACTORS
from tillpost.support.diagnosis import Diagnosis, HopState, diagnose, three_hops

__all__ = ["diagnose_"]


def diagnose_(
    order: OrderName,
    offline: Annotated[
        bool,
        typer.Option("--offline", help="Don't query the platform; use what is stored here."),
    ] = False,
    db: DatabaseUrl = "",
    config: ConfigFile = "",
    as_json: AsJson = False,
) -> None:
    """Say why an order isn't on the register, and what to do, step by step.

    The order isn't changed.
    """
    with opened(db, config) as outbox:
        from tillpost.outbox.operations.diagnosis import gather_facts

        found = find_one(outbox, order)
        querying = "Querying the platform about the order and the store"
        with nullcontext() if offline else progress(querying):
            facts = gather_facts(outbox, found.id, live=not offline)
    diagnosis = diagnose(facts)
    if as_json:
        show_json(diagnosis)
    else:
        _show(diagnosis, three_hops(facts), found.code or found.id)
    if not diagnosis.well:
        raise typer.Exit(NOT_RIGHT)


def _show(diagnosis: Diagnosis, hops: Sequence[HopState], name: str) -> None:
    conclusion, *evidence = diagnosis.evidence
    kind = f" ({diagnosis.error})" if diagnosis.error else ""
    print_line(f"Order {name}: {conclusion}{kind}", "bold green" if diagnosis.well else "bold red")
    show_hops(hops)
    print_line("What is known", "bold")
    for sentence in evidence:
        print_line(f"  {sentence}")
    print_line("What to do" if diagnosis.steps else "Nothing has to be done.", "bold")
    for step in diagnosis.steps:
        print_line(f"  {step.number}. {ACTORS[step.who]}: {step.do}")
        show_facts((("    you should see", step.see),))
