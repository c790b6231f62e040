"""`tillpost demo --outbox`: a worker is killed, a platform fails for a while, and every order arrives once.

The platform is a simulator in this process, over real HTTP; the worker is `tillpost worker` in a
process of its own, over a SQLite file in a temporary folder. It ends by itself, with 0 only if no
order was lost and none is there twice. With `--json`: {"ok", "seconds", "platform", "simulator",
"added", "ledger": {"shown", "lost", "twice", "half_done"}, "states", "events": [...]}; the events
are the worker's log lines as `worker` describes them.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, cast

import typer

from tillpost.adapter.base import Adapter
from tillpost.cli.commands.simulate import make_simulator, need_simulators
from tillpost.cli.exit_codes import NOT_RIGHT, CliError
from tillpost.cli.outbox_option import need_outbox
from tillpost.cli.output import progress, show_facts, show_json, tell
from tillpost.models.order import Order
from tillpost.plugins.manager import factories

if TYPE_CHECKING:
    from tillpost.demo.scenarios import Scenario
    from tillpost.outbox import Outbox
    from tillpost.simulator import Running, Simulator

__all__ = ["outbox_demo"]

LUNCH = 12
"""Orders at lunch, when the worker dies."""

AFTERNOON = 8
"""Orders in the afternoon, when the platform fails."""

LONGEST = 60.0
"""Nothing here is waited for longer, in seconds."""

OUTAGE = 2.0
"""The platform stays down for so long after it was seen to be, in seconds."""

_CONNECTION = "cafe"

_SETTINGS = """[outbox]
db = {db}
lease = 2.0           # so that a dead worker's orders are taken over while you watch
concurrency = 3
first_wait = 0.3
longest_wait = 1.0
outage_after = 3

[connections.cafe]
platform = {platform}
"""


def outbox_demo(adapter: type[Adapter[Any]], *, as_json: bool) -> None:
    """Run the demo on the platform's simulator; exit with `NOT_RIGHT` if an order is lost or there twice."""
    need_simulators()
    need_outbox()
    from tillpost.outbox import Outbox
    from tillpost.simulator import serve_in_thread

    began = time.monotonic()
    with (
        TemporaryDirectory(prefix="tillpost-demo-") as folder,
        serve_in_thread(make_simulator(adapter)) as running,
    ):
        config = _write_config(Path(folder), adapter.platform, running.settings)
        with Outbox.from_config(config, url=_url(folder)) as outbox:
            play = _Play(outbox, running, config, _template(adapter), as_json=as_json)
            play.say(
                f"{adapter.title} simulator at {running.url} (a simulator: nothing leaves this machine)",
                "bold",
            )
            play.worker_dies()
            play.platform_fails()
            facts = play.ledger()
    facts = {"platform": adapter.platform, "simulator": f"{adapter.title} simulator", **facts}
    seconds = round(time.monotonic() - began, 1)
    if as_json:
        show_json({**facts, "seconds": seconds})
    else:
        tell(
            f"{'None lost, none twice' if facts['ok'] else 'Something went WRONG'}, in {seconds} seconds.",
            "bold",
        )
    if not facts["ok"]:
        raise typer.Exit(NOT_RIGHT)


class _Play:
    """The demo as it goes: the orders added so far, and what the workers said."""

    def __init__(
        self,
        outbox: Outbox,
        running: Running[Simulator],
        config: Path,
        template: Order,
        *,
        as_json: bool,
    ) -> None:
        self._outbox, self._running, self._config = outbox, running, config
        self._template = template
        self._as_json = as_json
        self._added: list[str] = []
        self._events: list[Mapping[str, Any]] = []

    def say(self, text: str, style: str = "") -> None:
        """Tell a person what happens."""
        if not self._as_json:
            tell(text, style)

    def worker_dies(self) -> None:
        """Kill a worker while orders are on their way, and start another."""
        from tillpost.simulator import Fault, FaultKind, FaultPlan, FaultRule

        self.say("")
        self.say("1. The worker is killed in the middle", "bold")
        self._add(LUNCH)
        lost = Fault(kind=FaultKind.TIMEOUT, when="after", hang_seconds=LONGEST)
        self._simulator.set_faults(FaultPlan(rules=(FaultRule(method="POST", skip=6, fault=lost),)))
        with self._worker() as worker:
            self._wait_for(lambda: bool(self._simulator.faults), "the worker sends orders")
            worker.kill()
            worker.wait()
        there = len(self._simulator.ledger().shown)
        self.say(
            f"The worker is dead (SIGKILL). {there} orders are on the register; one request had been carried out"
        )
        self.say("but not yet answered. The outbox knows that it left, and not what became of it.")
        self._simulator.set_faults(FaultPlan())
        with self._worker("--until-idle") as worker:
            self.say(
                "Another worker has started. It goes on at once with what nobody had in hand, and takes over"
            )
            self.say(
                "what the dead one had, as soon as that has given no sign of life for its lease of 2 seconds."
            )
            self._let_end(worker)
        self.say(
            f"{len(self._simulator.ledger().shown)} of {len(self._added)} orders are on the register.",
            "green",
        )

    def platform_fails(self) -> None:
        """Let the platform fail for a while."""
        from tillpost.simulator import Fault, FaultKind, FaultPlan, FaultRule

        self.say("")
        self.say("2. The platform fails for a while", "bold")
        down = Fault(kind=FaultKind.SERVER_ERROR, status=503)
        self._simulator.set_faults(FaultPlan(rules=(FaultRule(fault=down, times=None),)))
        before, asked = len(self._simulator.ledger().shown), self._simulator.count()
        self._add(AFTERNOON)
        with self._worker("--until-idle") as worker:
            self._wait_for(lambda: self._heard("outage_began"), "the outage is noticed")
            self.say(
                "Three orders in a row failed, so an outage has begun, told once. The others wait with them;"
            )
            self.say("one request now and then tries whether it is over.")
            time.sleep(OUTAGE)
            asked = self._simulator.count() - asked
            self._simulator.set_faults(FaultPlan())
            self.say(f"The platform is back. It was asked {asked} times meanwhile.")
            self._let_end(worker)
        if self._heard("outage_ended"):
            self.say(
                "The outage has ended, told once, and the orders went: one at first, then more at a time."
            )
        arrived = len(self._simulator.ledger().shown) - before
        self.say(f"{arrived} of {AFTERNOON} orders are on the register.", "green")

    def ledger(self) -> dict[str, Any]:
        """Compare the register with the outbox, and return what is so."""
        ledger = self._simulator.ledger()
        shown = {entry.reference for entry in ledger.shown}
        lost = [order for order in self._added if order not in shown]
        half_done = [entry.reference for entry in ledger.half_done]
        states = Counter(order.state.value for order in self._outbox.orders(most=10_000))
        told = [event["event"] for event in self._events]
        once = told.count("outage_began") == told.count("outage_ended") == 1
        arrived = states["received"] + states["accepted"] == len(self._added)
        self.say("")
        self.say("The ledger of the register, beside the outbox", "bold")
        if not self._as_json:
            show_facts(
                (
                    ("Orders added", str(len(self._added))),
                    (
                        "In the outbox",
                        ", ".join(f"{count} {state}" for state, count in states.items()),
                    ),
                    ("On the register", str(len(ledger.shown))),
                    ("Lost", ", ".join(lost) or "none"),
                    ("Twice", ", ".join(ledger.twice) or "none"),
                    ("Half done", ", ".join(half_done) or "none"),
                )
            )
        facts = {
            "shown": len(ledger.shown),
            "lost": lost,
            "twice": ledger.twice,
            "half_done": half_done,
        }
        right = arrived and once and not (lost or ledger.twice or half_done)
        return {
            "ok": right,
            "added": len(self._added),
            "ledger": facts,
            "states": dict(states),
            "events": self._events,
        }

    # ------------------------------------------------------------------ the parts

    @property
    def _simulator(self) -> Simulator:
        return self._running.simulator

    def _add(self, count: int) -> None:
        for _ in range(count):
            number = len(self._added) + 1
            order = self._template.model_copy(
                update={"id": f"outbox-{number}", "code": f"X{number}"}
            )
            self._outbox.add(order, connection=_CONNECTION)
            self._added.append(order.id)
        self.say(f"{count} paid orders are added to the outbox. They are on disk.")

    @contextmanager
    def _worker(self, *more: str) -> Generator[subprocess.Popen[str]]:
        """Run `tillpost worker` in a process of its own, and keep what it says."""
        program = (sys.executable, "-c", "from tillpost.cli import main; main()")
        command = [
            *program,
            "worker",
            "--json",
            "--config",
            str(self._config),
            *more,
            "--db",
            self._database,
        ]
        with subprocess.Popen(  # noqa: S603  the command is our own
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as worker:
            assert worker.stdout
            hearing = threading.Thread(target=self._hear, args=(worker.stdout,), daemon=True)
            hearing.start()
            try:
                yield worker
            finally:
                worker.kill()
                hearing.join(LONGEST)

    def _hear(self, lines: Iterable[str]) -> None:
        with contextlib.suppress(ValueError):  # a killed worker's last line may be cut off
            for line in lines:
                self._events.append(json.loads(line))

    @property
    def _database(self) -> str:
        return self._outbox.database.engine.url.render_as_string(hide_password=False)

    def _heard(self, event: str) -> bool:
        return any(said["event"] == event for said in self._events)

    def _wait_for(self, come_true: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + LONGEST
        with progress(f"Waiting until {what}"):
            while not come_true():
                if time.monotonic() > deadline:
                    raise CliError(f"the demo waited in vain until {what}", NOT_RIGHT)
                time.sleep(0.01)

    def _let_end(self, worker: subprocess.Popen[str]) -> None:
        with progress("Waiting until the worker has nothing left to do"):
            try:
                worker.wait(LONGEST)
            except subprocess.TimeoutExpired:
                raise CliError(
                    "the demo waited in vain until the worker was idle", NOT_RIGHT
                ) from None


def _template(adapter: type[Adapter[Any]]) -> Order:
    """Return the order of the first scenario of the platform's demo: the healthy one."""
    scenarios = cast(
        "Sequence[Scenario[Simulator]]", factories("demo_scenarios")[adapter.platform]()
    )
    return scenarios[0].order


def _url(folder: str) -> str:
    return f"sqlite:///{Path(folder) / 'orders.db'}"


def _write_config(folder: Path, platform: str, settings: Mapping[str, object]) -> Path:
    """Write the worker's file. What is in it are the simulator's own tokens, made up."""
    text = _SETTINGS.format(db=json.dumps(_url(str(folder))), platform=json.dumps(platform))
    file = folder / "tillpost.toml"
    file.write_text(
        text + "".join(f"{name} = {json.dumps(value)}\n" for name, value in settings.items())
    )
    return file
