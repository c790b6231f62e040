"""`tillpost demo --outbox`: every order arrives once, whatever fails.

A worker is killed, and the platform fails. The platform is a simulator in this process, over real
HTTP. The worker is `tillpost worker` in its own process, with a SQLite file in a temporary folder.
The command exits with 0 only if no order was lost and none is on the register twice. With `--json`
it prints {"ok", "seconds", "platform", "simulator", "added", "ledger": {"shown", "lost", "twice",
"half_done"}, "states", "events": [...]}; the events are the worker's log lines as `tillpost worker
--json` prints them.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import typer

from tillpost.adapter.base import Adapter
from tillpost.cli.exit_codes import NOT_RIGHT, CliError
from tillpost.cli.outbox_option import need_outbox
from tillpost.cli.output import print_line, progress, show_facts, show_json
from tillpost.cli.private_files import write_private
from tillpost.cli.simulators import load_scenarios, make_simulator, need_simulators
from tillpost.models.order import Order

if TYPE_CHECKING:
    from tillpost.outbox import Outbox
    from tillpost.simulator import Fault, Running, Simulator

__all__ = ["outbox_demo"]

ORDERS_AT_LUNCH = 12
"""The number of orders while a worker is killed."""

ORDERS_IN_AFTERNOON = 8
"""The number of orders while the platform fails."""

TIMEOUT = 60.0
"""The longest wait, in seconds."""

OUTAGE = 2.0
"""How long the platform stays down after the outage was noticed, in seconds."""

_CONNECTION = "cafe"
_POLL_SECONDS = 0.01
_MAX_ORDERS = 10_000

_CONFIG = """[outbox]
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
    """Run the demo on the platform's simulator.

    Raises:
        typer.Exit: An order was lost, or is on the register twice.
    """
    need_simulators()
    need_outbox()
    from tillpost.outbox import Outbox
    from tillpost.simulator import serve_in_thread

    started = time.monotonic()
    simulator_title = f"{adapter.title} simulator"
    with (
        TemporaryDirectory(prefix="tillpost-demo-") as folder,
        serve_in_thread(make_simulator(adapter)) as running,
    ):
        url = _database_url(Path(folder))
        config = _write_config(Path(folder), adapter.platform, running.settings)
        with Outbox.from_config(config, url=url) as outbox:
            healthy_order = load_scenarios(adapter)[0].order
            demo = _OutboxDemo(outbox, running, config, healthy_order, as_json=as_json)
            notice = "(a simulator: nothing leaves this machine)"
            demo.say(f"{simulator_title} at {running.url} {notice}", "bold")
            demo.kill_worker()
            demo.fail_platform()
            facts = demo.compare_ledger()
    ok = facts["ok"]
    seconds = round(time.monotonic() - started, 1)
    if as_json:
        title = {"platform": adapter.platform, "simulator": simulator_title}
        show_json({**title, **facts, "seconds": seconds})
    else:
        verdict = "None lost, none twice" if ok else "Something went WRONG"
        print_line(f"{verdict}, in {seconds} seconds.", "bold")
    if not ok:
        raise typer.Exit(NOT_RIGHT)


class _OutboxDemo:
    """The demo in progress: orders added so far, and events that workers reported."""

    def __init__(
        self,
        outbox: Outbox,
        running: Running[Simulator],
        config: Path,
        order: Order,
        *,
        as_json: bool,
    ) -> None:
        self._outbox = outbox
        self._simulator = running.simulator
        self._config = config
        self._order = order
        self._as_json = as_json
        self._added_ids: list[str] = []
        self._events: list[Mapping[str, Any]] = []

    def say(self, text: str, style: str = "") -> None:
        """Print a line, unless the output is JSON."""
        if not self._as_json:
            print_line(text, style)

    # --- the acts ---

    def kill_worker(self) -> None:
        """Kill a worker while it sends orders, and start another."""
        from tillpost.simulator import Fault, FaultKind

        self.say("")
        self.say("1. The worker is killed while it sends orders", "bold")
        self._add_orders(ORDERS_AT_LUNCH)
        lost_answer = Fault(kind=FaultKind.TIMEOUT, when="after", hang_seconds=TIMEOUT)
        self._inject(lost_answer, method="POST", skip=6)
        with self._worker() as worker:
            self._wait_until(lambda: bool(self._simulator.faults), "the worker sends orders")
            worker.kill()
            worker.wait()
        self.say(f"The worker is dead (SIGKILL). {self._shown_count()} orders are on the register.")
        self.say("One request was carried out but not answered: the outbox knows that it was sent,")
        self.say("but not its outcome.")
        self._end_faults()
        with self._worker("--until-idle") as worker:
            self.say(
                "Another worker has started. It claims the waiting orders at once, and those of"
            )
            self.say("the dead worker as soon as their lease of 2 seconds has expired.")
            self._wait_for_exit(worker)
        total = len(self._added_ids)
        self.say(f"{self._shown_count()} of {total} orders are on the register.", "green")

    def fail_platform(self) -> None:
        """Let the platform fail for a while."""
        from tillpost.simulator import Fault, FaultKind

        self.say("")
        self.say("2. The platform fails for a while", "bold")
        self._inject(Fault(kind=FaultKind.SERVER_ERROR, status=503), times=None)
        shown_before = self._shown_count()
        requests_before = self._simulator.count()
        self._add_orders(ORDERS_IN_AFTERNOON)
        with self._worker("--until-idle") as worker:
            self._wait_until(lambda: self._has_event("outage_began"), "the outage is noticed")
            self.say(
                "Three orders in a row failed, so an outage has begun, reported once. The other"
            )
            self.say("orders wait; now and then one request checks whether it is over.")
            time.sleep(OUTAGE)
            requests = self._simulator.count() - requests_before
            self._end_faults()
            self.say(f"The platform is back. It received {requests} requests meanwhile.")
            self._wait_for_exit(worker)
        if self._has_event("outage_ended"):
            self.say("The outage has ended, reported once, and the orders were sent: one at first,")
            self.say("then more at a time.")
        arrived = self._shown_count() - shown_before
        self.say(f"{arrived} of {ORDERS_IN_AFTERNOON} orders are on the register.", "green")

    def compare_ledger(self) -> dict[str, Any]:
        """Compare the register with the outbox, show both, and return the JSON's facts."""
        ledger = self._simulator.ledger()
        shown = {entry.reference for entry in ledger.shown}
        lost = [order_id for order_id in self._added_ids if order_id not in shown]
        half_done = [entry.reference for entry in ledger.half_done]
        orders = self._outbox.orders(most=_MAX_ORDERS)
        states = Counter(order.state.value for order in orders)
        is_register_right = not (lost or ledger.twice or half_done)
        all_arrived = states["received"] + states["accepted"] == len(self._added_ids)
        self.say("")
        self.say("The ledger of the register, and the outbox", "bold")
        if not self._as_json:
            state_counts = [f"{count} {state}" for state, count in states.items()]
            facts = (
                ("Orders added", str(len(self._added_ids))),
                ("In the outbox", ", ".join(state_counts)),
                ("On the register", str(len(ledger.shown))),
                ("Lost", ", ".join(lost) or "none"),
                ("Twice", ", ".join(ledger.twice) or "none"),
                ("Half done", ", ".join(half_done) or "none"),
            )
            show_facts(facts)
        return {
            "ok": is_register_right and all_arrived and self._outage_was_reported_once(),
            "added": len(self._added_ids),
            "ledger": {
                "shown": len(ledger.shown),
                "lost": lost,
                "twice": ledger.twice,
                "half_done": half_done,
            },
            "states": dict(states),
            "events": self._events,
        }

    # --- orders and faults ---

    def _add_orders(self, count: int) -> None:
        for _ in range(count):
            number = len(self._added_ids) + 1
            identity = {"id": f"outbox-{number}", "code": f"X{number}"}
            order = self._order.model_copy(update=identity)
            self._outbox.add(order, connection=_CONNECTION)
            self._added_ids.append(order.id)
        self.say(f"{count} paid orders were added to the outbox. They are on disk.")

    def _shown_count(self) -> int:
        return len(self._simulator.ledger().shown)

    def _inject(
        self,
        fault: Fault,
        *,
        method: str | None = None,
        skip: int = 0,
        times: int | None = 1,
    ) -> None:
        from tillpost.simulator import FaultPlan, FaultRule

        rule = FaultRule(fault=fault, method=method, skip=skip, times=times)
        self._simulator.set_faults(FaultPlan(rules=(rule,)))

    def _end_faults(self) -> None:
        from tillpost.simulator import FaultPlan

        self._simulator.set_faults(FaultPlan())

    # --- workers and their events ---

    @contextmanager
    def _worker(self, *options: str) -> Generator[subprocess.Popen[str]]:
        """Run `tillpost worker` in its own process, and collect its events."""
        database_url = self._outbox.database.engine.url.render_as_string(hide_password=False)
        command = [
            sys.executable,
            "-c",
            "from tillpost_command import main; main()",
            "worker",
            "--json",
            "--config",
            str(self._config),
            "--db",
            database_url,
            *options,
        ]
        with subprocess.Popen(  # nosec B603  # noqa: S603  the command is our own
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as worker:
            assert worker.stdout
            reader = threading.Thread(target=self._read_events, args=(worker.stdout,), daemon=True)
            reader.start()
            try:
                yield worker
            finally:
                worker.kill()
                reader.join(TIMEOUT)

    def _read_events(self, lines: Iterable[str]) -> None:
        # The last line of a killed worker may be cut off.
        with contextlib.suppress(ValueError):
            for line in lines:
                self._events.append(json.loads(line))

    def _has_event(self, name: str) -> bool:
        return any(event["event"] == name for event in self._events)

    def _outage_was_reported_once(self) -> bool:
        names = [event["event"] for event in self._events]
        return names.count("outage_began") == 1 and names.count("outage_ended") == 1

    def _wait_until(self, condition: Callable[[], bool], description: str) -> None:
        deadline = time.monotonic() + TIMEOUT
        with progress(f"Waiting until {description}"):
            while not condition():
                if time.monotonic() > deadline:
                    raise CliError(f"timed out waiting until {description}", NOT_RIGHT)
                time.sleep(_POLL_SECONDS)

    def _wait_for_exit(self, worker: subprocess.Popen[str]) -> None:
        with progress("Waiting until the worker has nothing left to do"):
            try:
                worker.wait(TIMEOUT)
            except subprocess.TimeoutExpired:
                message = "timed out waiting until the worker was idle"
                raise CliError(message, NOT_RIGHT) from None


def _database_url(folder: Path) -> str:
    return f"sqlite:///{folder / 'orders.db'}"


def _write_config(folder: Path, platform: str, settings: Mapping[str, object]) -> Path:
    """Write the worker's configuration. Its tokens are the simulator's own, made up."""
    db = json.dumps(_database_url(folder))
    text = _CONFIG.format(db=db, platform=json.dumps(platform))
    for name, value in settings.items():
        text += f"{name} = {json.dumps(value)}\n"
    file = folder / "tillpost.toml"
    write_private(file, text)
    return file
