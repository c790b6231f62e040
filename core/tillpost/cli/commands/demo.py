"""`tillpost demo`: each platform's simulator in this process, over real HTTP, and orders that show what happens.

It exits with 0 only if every order went as expected and the ledger is right: none twice, none half
done. With `--json`: {"ok", "seconds", "demos": [{"platform", "simulator", "orders": [...],
"ledger": {"orders", "shown", "twice", "withdrawn", "half_done"}}]}; an order is a `Played` of
`scenarios`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from tillpost.adapter.base import Adapter
from tillpost.cli.commands.demo_outbox import outbox_demo
from tillpost.cli.commands.simulate import make_simulator, need_simulators
from tillpost.cli.connection_option import AsJson
from tillpost.cli.exit_codes import NOT_RIGHT, CliError
from tillpost.cli.output import progress, show_facts, show_json, tell
from tillpost.models.base import FrozenModel
from tillpost.plugins.manager import adapter_named, adapters, factories

if TYPE_CHECKING:
    from tillpost.demo.scenarios import Played, Scenario
    from tillpost.simulator import Ledger, Simulator

__all__ = ["demo"]


class LedgerFacts(FrozenModel):
    """What matters in a ledger: how many orders were made, shown and withdrawn, and what is wrong with them."""

    orders: int
    shown: int
    withdrawn: int
    twice: tuple[str, ...]
    half_done: tuple[str, ...]

    @property
    def right(self) -> bool:
        """Whether no order is there twice, and none half done."""
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
    """Run orders against each platform's simulator: the healthy way, and each kind of trouble. Takes seconds."""
    need_simulators()
    if outbox:
        outbox_demo(
            min(_chosen(platform), key=lambda adapter: (adapter.needs_menu, not adapter.keyed)),
            as_json=as_json,
        )
        return
    began = time.monotonic()
    reports = [_report(adapter, as_json=as_json) for adapter in _chosen(platform)]
    seconds = round(time.monotonic() - began, 1)
    right = all(report["ok"] for report in reports)
    if as_json:
        show_json({"ok": right, "seconds": seconds, "demos": reports})
    else:
        tell(
            f"{'Everything went as expected' if right else 'Something went WRONG'}, in {seconds} seconds.",
            "bold",
        )
    if not right:
        raise typer.Exit(NOT_RIGHT)


def _chosen(platform: str) -> Sequence[type[Adapter[Any]]]:
    among = (
        [adapter_named(platform)] if platform else [found.adapter for found in adapters().values()]
    )
    having = [adapter for adapter in among if adapter.platform in factories("demo_scenarios")]
    if not having:
        raise CliError(f"{platform} has no demo" if platform else "no installed adapter has a demo")
    return having


def _report(adapter: type[Adapter[Any]], *, as_json: bool) -> dict[str, object]:
    from tillpost.demo.scenarios import play
    from tillpost.simulator import serve_in_thread

    scenarios = cast(
        "Sequence[Scenario[Simulator]]", factories("demo_scenarios")[adapter.platform]()
    )
    played: list[Played] = []
    with serve_in_thread(make_simulator(adapter)) as running:
        if not as_json:
            tell(
                f"{adapter.title} simulator at {running.url} (a simulator: nothing leaves this machine)",
                "bold",
            )
        stories = play(adapter, running, scenarios)
        while True:
            with progress(f"Order {len(played) + 1}"):
                story = next(stories, None)
            if story is None:
                break
            played.append(story)
            if not as_json:
                _show(len(played), story)
        ledger = running.simulator.ledger()
    facts = _facts(ledger)
    if not as_json:
        tell("")
        tell(
            f"Ledger of the {adapter.title} simulator: {facts.orders} orders were made, {facts.shown} are on "
            f"the register, {facts.withdrawn} were withdrawn before staff saw them; "
            f"twice: {', '.join(facts.twice) or 'none'}; half done: {', '.join(facts.half_done) or 'none'}",
            "bold",
        )
    return {
        "ok": facts.right and all(story.as_expected for story in played),
        "platform": adapter.platform,
        "simulator": f"{adapter.title} simulator",
        "orders": played,
        "ledger": facts,
    }


def _facts(ledger: Ledger) -> LedgerFacts:
    return LedgerFacts(
        orders=len(ledger.entries),
        shown=len(ledger.shown),
        withdrawn=sum(entry.cancelled and not entry.shown for entry in ledger.entries),
        twice=ledger.twice,
        half_done=tuple(entry.reference or entry.order_id for entry in ledger.half_done),
    )


def _show(number: int, story: Played) -> None:
    right = ("as expected", "green") if story.as_expected else ("NOT AS EXPECTED", "bold red")
    tell("")
    tell(f"{number}. {story.name} ({right[0]})", right[1])
    show_facts(
        (
            ("Provoked", story.provoked),
            ("Expected", story.expected),
            ("What happened", story.happened),
            ("Which hop", story.hop.text),
            ("Who must act", story.acts),
        )
    )
