"""`tillpost demo`: orders for each platform's simulator, with and without trouble.

The simulators run in this process, over real HTTP. The command exits with 0 only if every order
went as expected and the ledger is right: no order twice, none half done. With `--json` it prints
{"ok", "seconds", "demos": [{"ok", "platform", "simulator", "orders": [...], "ledger": {"orders",
"shown", "twice", "withdrawn", "half_done"}}]}; an order is a `tillpost.demo.run.ScenarioResult`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tillpost.adapter.base import Adapter
from tillpost.cli.commands.demo_outbox import outbox_demo
from tillpost.cli.connection_option import AsJson
from tillpost.cli.exit_codes import NOT_RIGHT, CliError
from tillpost.cli.output import print_line, progress, show_facts, show_json
from tillpost.cli.simulators import (
    has_scenarios,
    load_scenarios,
    make_simulator,
    need_simulators,
)
from tillpost.models.base import FrozenModel
from tillpost.plugins.manager import adapter_named, adapters

if TYPE_CHECKING:
    from tillpost.demo.run import ScenarioResult
    from tillpost.simulator import Ledger

__all__ = ["demo"]


class LedgerFacts(FrozenModel):
    """A ledger in figures: the orders created, shown and withdrawn, and what is wrong."""

    orders: int
    shown: int
    withdrawn: int
    twice: tuple[str, ...]
    half_done: tuple[str, ...]

    @property
    def right(self) -> bool:
        """Whether no order is on the register twice, and none is half done."""
        return not (self.twice or self.half_done)


def demo(
    platform: Annotated[str, typer.Argument(metavar="[PLATFORM]", help="One platform only.")] = "",
    outbox: Annotated[
        bool,
        typer.Option(
            "--outbox", help="The outbox: a worker is killed, and the platform fails for a while."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run orders against each platform's simulator, with and without trouble.

    This takes seconds.
    """
    need_simulators()
    chosen = _chosen_adapters(platform)
    if outbox:
        outbox_demo(_simplest(chosen), as_json=as_json)
        return
    started = time.monotonic()
    reports = [_report(adapter, as_json=as_json) for adapter in chosen]
    seconds = round(time.monotonic() - started, 1)
    ok = all(report["ok"] for report in reports)
    if as_json:
        show_json({"ok": ok, "seconds": seconds, "demos": reports})
    else:
        verdict = "Everything went as expected" if ok else "Something went WRONG"
        print_line(f"{verdict}, in {seconds} seconds.", "bold")
    if not ok:
        raise typer.Exit(NOT_RIGHT)


def _chosen_adapters(platform: str) -> Sequence[type[Adapter[Any]]]:
    if platform:
        candidates = [adapter_named(platform)]
    else:
        candidates = [found.adapter for found in adapters().values()]
    chosen = [adapter for adapter in candidates if has_scenarios(adapter)]
    if not chosen:
        raise CliError(f"{platform} has no demo" if platform else "no installed adapter has a demo")
    return chosen


def _simplest(candidates: Sequence[type[Adapter[Any]]]) -> type[Adapter[Any]]:
    """Return the adapter for the outbox demo.

    Preferably it needs no menu, and its platform has idempotency keys.
    """
    return min(candidates, key=lambda adapter: (adapter.needs_menu, not adapter.keyed))


def _report(adapter: type[Adapter[Any]], *, as_json: bool) -> dict[str, object]:
    """Run a platform's scenarios, show each one, and return the platform's JSON."""
    from tillpost.demo.run import run_scenarios
    from tillpost.simulator import serve_in_thread

    simulator_title = f"{adapter.title} simulator"
    results: list[ScenarioResult] = []
    with serve_in_thread(make_simulator(adapter)) as running:
        if not as_json:
            notice = "(a simulator: nothing leaves this machine)"
            print_line(f"{simulator_title} at {running.url} {notice}", "bold")
        pending = run_scenarios(adapter, running, load_scenarios(adapter))
        while True:
            number = len(results) + 1
            with progress(f"Order {number}"):
                result = next(pending, None)
            if result is None:
                break
            results.append(result)
            if not as_json:
                _show_result(number, result)
        facts = _ledger_facts(running.simulator.ledger())
    if not as_json:
        _show_ledger(simulator_title, facts)
    return {
        "ok": facts.right and all(result.as_expected for result in results),
        "platform": adapter.platform,
        "simulator": simulator_title,
        "orders": results,
        "ledger": facts,
    }


def _ledger_facts(ledger: Ledger) -> LedgerFacts:
    withdrawn = [entry for entry in ledger.entries if entry.cancelled and not entry.shown]
    return LedgerFacts(
        orders=len(ledger.entries),
        shown=len(ledger.shown),
        withdrawn=len(withdrawn),
        twice=ledger.twice,
        half_done=tuple(entry.reference or entry.order_id for entry in ledger.half_done),
    )


def _show_ledger(simulator_title: str, facts: LedgerFacts) -> None:
    twice = ", ".join(facts.twice) or "none"
    half_done = ", ".join(facts.half_done) or "none"
    print_line("")
    print_line(
        f"Ledger of the {simulator_title}: {facts.orders} orders were created, "
        f"{facts.shown} are on the register, {facts.withdrawn} were withdrawn before staff "
        f"saw them; twice: {twice}; half done: {half_done}",
        "bold",
    )


def _show_result(number: int, result: ScenarioResult) -> None:
    verdict = "as expected" if result.as_expected else "NOT AS EXPECTED"
    style = "green" if result.as_expected else "bold red"
    print_line("")
    print_line(f"{number}. {result.name} ({verdict})", style)
    facts = (
        ("Provoked", result.provoked),
        ("Expected", result.expected),
        ("What happened", result.happened),
        ("Which hop", result.hop.text),
        ("Who must act", result.acts),
    )
    show_facts(facts)
