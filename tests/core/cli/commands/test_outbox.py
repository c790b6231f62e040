"""The outbox's commands: add, deliver and find orders; and errors in one line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy

from core.cli.conftest import EXAMPLES, Command, write_config
from recent import PLACED_AT
from tillpost import Outbox
from tillpost.outbox.db import migrate as migrations
from tillpost.outbox.db import schema as t
from tillpost.simulator import Running
from tillpost_simulators.square import SquareSimulator

Store = Running[SquareSimulator]


def write_order(order_id: str, **changes: Any) -> str:
    """Write an order to a file in the working directory, and return the file's name."""
    order = json.loads((EXAMPLES / "lunch-pickup.json").read_text())
    Path(f"{order_id}.json").write_text(
        json.dumps({**order, "id": order_id, "placed_at": PLACED_AT, **changes})
    )
    return f"{order_id}.json"


def waffles(order_id: str) -> str:
    """Write an order for an item that the store doesn't sell, and return the file's name."""
    line = {"item_id": "none", "name": "Waffle", "quantity": 1, "unit_price": 900}
    payments = [{"method": "card", "amount": 900}]
    return write_order(order_id, lines=[line], charges=[], discounts=[], tip=0, payments=payments)


def test_order_goes_from_file_to_outbox_to_register(tillpost: Command, store: Store) -> None:
    added = tillpost("outbox", "add", write_order("ord-1"))
    assert (added.code, added.err) == (0, "")
    for text in (
        "Order B42 is in the outbox",
        "cafe",
        "28.81 AUD",
        "waits to be sent",
        "sqlite:///tillpost.db",
    ):
        assert text in added.out
    worked = tillpost("worker", "--until-idle")
    assert worked.code == 0
    assert "Worker started on sqlite:///tillpost.db with the engine embedded." in worked.out
    assert "Worker stopped: nothing is left to do. Orders that arrived: 1." in worked.out
    (decision,) = worked.err.splitlines()
    assert " info order_processed id=ord-1 connection=cafe state=received pos_order=" in decision
    assert "Mia" not in worked.err
    (entry,) = store.simulator.ledger().shown
    assert (entry.reference, entry.paid) == ("ord-1", 2881)


def test_first_order_creates_the_database(tillpost: Command, store: Store) -> None:
    refused = tillpost(
        "outbox", "add", write_order("ord-1"), "--connection", "nobody", "--db", "sqlite:///new.db"
    )
    assert refused.error_line.startswith("no connection 'nobody'")
    assert not Path("new.db").exists()
    assert tillpost("outbox", "add", "ord-1.json", "--db", "sqlite:///new.db").code == 0
    assert "ord-1" in tillpost("orders", "list", "--db", "sqlite:///new.db").out


def test_added_again_is_the_same_order_unless_changed(tillpost: Command, store: Store) -> None:
    facts = tillpost("outbox", "add", write_order("ord-1"), "--json").json
    assert (facts["ok"], facts["connection"], facts["order"]["state"]) == (True, "cafe", "due")
    assert tillpost("outbox", "add", "ord-1.json", "--json").json == facts
    refused = tillpost("outbox", "add", write_order("ord-1", note="No cutlery"))
    assert refused.code == 17
    assert "the outbox has an order with this id" in refused.out
    assert tillpost("outbox", "add", "ord-1.json", "--json").json["exit_code"] == 17


def test_worker_json_has_one_event_per_line(tillpost: Command, store: Store) -> None:
    tillpost("outbox", "add", write_order("ord-1"))
    tillpost("outbox", "add", waffles("ord-2"))
    worked = tillpost("worker", "--until-idle", "--json")
    assert worked.err == ""
    events = [json.loads(line) for line in worked.out.splitlines()]
    first, last = events[0], events[-1]
    assert (first["event"], first["engine"]) == ("begun", "embedded")
    assert first["db"] == "sqlite:///tillpost.db"
    assert (last["event"], last["why"]) == ("ended", "nothing is left to do")
    assert (last["arrived"], last["stopped"]) == (1, 1)
    by_order = {event["id"]: event for event in events if event["event"] == "order_processed"}
    assert by_order["ord-1"]["state"] == "received"
    assert (by_order["ord-2"]["state"], by_order["ord-2"]["error"]) == ("error", "MenuError")
    assert all(event["at"] and event["level"] for event in events)


def test_failed_order_shows_who_must_act(tillpost: Command, store: Store) -> None:
    tillpost("outbox", "add", waffles("ord-1"))
    worked = tillpost("worker", "--until-idle")
    assert "Orders that need a person: 1 (tillpost orders list --problem)." in worked.out
    listed = tillpost("orders", "list", "--problem").out
    for text in ("ord-1", "B42", "Mia Chen", "cafe", "error", "MenuError"):
        assert text in listed
    shown = tillpost("orders", "show", "ord-1").out
    for text in (
        "failed: a person has to act",
        "MenuError",
        "Waffle (line 1)",
        "Who must act",
        "the store",
    ):
        assert text in shown
    assert "step by step: tillpost diagnose ord-1" in shown
    assert "For developers" not in shown
    assert "For developers" in tillpost("orders", "show", "ord-1", "--full").out
    facts = tillpost("orders", "show", "ord-1", "--json").json
    assert facts["order"]["error"]["kind"] == "MenuError"
    assert facts["order"]["remedy"]["actor"] == "store"


def test_show_full_prints_exchanges_without_the_customer(tillpost: Command, store: Store) -> None:
    tillpost("outbox", "add", write_order("ord-1"))
    tillpost("worker", "--until-idle")
    brief = tillpost("orders", "show", "B42")
    assert brief.code == 0
    assert "at the platform: " in brief.out
    assert "POST" not in brief.out
    shown = tillpost("orders", "show", "B42", "--full")
    assert shown.code == 0
    for text in (
        "at the platform: ",
        "sending a request that can create the order",
        "POST /v2/orders",
        "200",
        "more characters",
    ):
        assert text in shown.out
    assert shown.out.count("Mia") == 1  # the customer of the order
    facts = tillpost("orders", "show", "B42", "--json").json
    events = [entry["event"] for entry in facts["journal"]]
    assert events == [
        "SubmissionRequested",
        "Intended",
        "Settled",
        "Intended",
        "Settled",
        "Submitted",
    ]
    exchanges = [entry["exchange"] for entry in facts["journal"] if entry["exchange"]]
    assert [exchange["status_code"] for exchange in exchanges] == [200, 200]
    assert "Mia" not in json.dumps(facts["journal"])


KEYS = [
    *"id connection state waits_for progress code customer added_at due_at".split(),
    *"updated_at problem_at pos_order ticket error remedy".split(),
]


def test_list_filters_orders(tillpost: Command, store: Store) -> None:
    write_config(cafe=store.settings, kiosk=store.settings)
    tillpost("outbox", "add", write_order("ord-1"), "-c", "cafe")
    tillpost(
        "outbox", "add", write_order("ord-2", code="K7", customer={"name": "Ann"}), "-c", "kiosk"
    )

    def ids(*filters: str) -> list[str]:
        facts = tillpost("orders", "list", *filters, "--json").json
        assert all(list(order) == KEYS for order in facts["orders"])
        return [order["id"] for order in facts["orders"]]

    assert ids() == ["ord-2", "ord-1"]
    assert ids("--most", "1") == ["ord-2"]
    assert ids("--connection", "cafe") == ["ord-1"]
    assert ids("--search", "mia") == ["ord-1"]
    assert ids("--state", "due", "--state", "error", "--search", "K7") == ["ord-2"]
    assert ids("--problem") == []
    assert ids("--new") == ["ord-2", "ord-1"]
    assert "No such order." in tillpost("orders", "list", "--problem").out
    assert "waits to be sent" in tillpost("orders", "list").out


def test_waiting_orders_say_what_they_wait_for(tillpost: Command, store: Store) -> None:
    scheduled = {"type": "pickup", "due_at": "2099-11-23T19:00:00+11:00"}
    tillpost("outbox", "add", write_order("ord-1", fulfilment=scheduled))
    tillpost("outbox", "add", write_order("ord-2"))
    store.simulator.revoke_token()
    tillpost("worker", "--until-idle")
    assert "scheduled; it is sent at 2099-11-23" in tillpost("orders", "show", "ord-1").out
    shown = tillpost("orders", "show", "ord-2").out
    assert "the store has to be reconnected" in shown
    assert "PermissionsError" in shown


def test_held_menu_is_listed_accepted_or_discarded(tillpost: Command, store: Store) -> None:
    def hold_import() -> None:
        """Import the menu as a worker does, so that it is held."""
        with Outbox.from_config() as outbox:
            from tillpost.outbox import Processor

            with Processor(outbox) as processor:
                assert processor.import_now("cafe").held

    tillpost("outbox", "add", waffles("ord-1"))
    tillpost("worker", "--until-idle")
    for variation in ("5312", "7302", "7303", "7310", "5320"):
        store.simulator.remove_variation(variation)
    hold_import()
    shown = tillpost("menu", "imports")
    assert "cafe: held" in shown.out
    assert "BLT toastie" in shown.out
    assert "tillpost menu accept|discard --connection cafe" in shown.out
    assert (
        tillpost("menu", "accept", "--connection", "kiosk").error_line == "no menu of kiosk is held"
    )
    discarded = tillpost("menu", "discard", "--json").json
    assert (discarded["ok"], discarded["connection"], discarded["settled"]) == (
        True,
        "cafe",
        "discarded",
    )
    assert tillpost("menu", "accept").error_line == "no menu is held"
    hold_import()
    accepted = tillpost("menu", "accept", "--connection", "cafe")
    assert (accepted.code, "The held menu of cafe is now in use." in accepted.out) == (0, True)
    imports = tillpost("menu", "imports", "--json").json["imports"]
    assert [one["settled"] for one in imports] == ["accepted", "discarded", ""]
    assert imports[0]["in_words"]


def test_erase_and_prune_keep_orders_known(tillpost: Command, store: Store) -> None:
    tillpost("outbox", "add", write_order("ord-1"))
    tillpost("worker", "--until-idle")
    with Outbox("sqlite:///tillpost.db") as outbox, outbox.database.writing() as db:
        # By then the register has confirmed the order, or that was reported.
        db.execute(sqlalchemy.update(t.orders).values(expected_at=None, poll_at=None))
    assert tillpost("outbox", "erase", "--days", "1", "--json").json["orders"] == 0
    assert "Erased customers' data from 1 orders" in tillpost("outbox", "erase", "--days", "0").out
    assert "Mia" not in tillpost("orders", "show", "ord-1").out
    assert tillpost("outbox", "add", "ord-1.json").code == 0  # still recognised
    assert tillpost("outbox", "prune", "--days", "0", "--json").json["events"] == 6
    assert "the events before were pruned" in tillpost("orders", "show", "ord-1").out
    assert "Deleted 0 events" in tillpost("outbox", "prune", "--days", "0").out
    assert len(store.simulator.ledger().shown) == 1


def test_migrate_and_refusal_of_a_newer_database(tillpost: Command, store: Store) -> None:
    assert tillpost("outbox", "migrate", "--db", "sqlite:///new.db", "--json").json == {
        "ok": True,
        "db": "sqlite:///new.db",
        "changed": True,
        "version": None,
        "steps": [
            {
                "version": "0001",
                "text": "Create the tables.",
                "oldest": "0001",
                "stops_others": False,
            },
            {
                "version": "0002",
                "text": "Find the connections that are due by an index, however many there are.",
                "oldest": "0001",
                "stops_others": False,
            },
        ],
    }
    assert (
        "already has this version" in tillpost("outbox", "migrate", "--db", "sqlite:///new.db").out
    )
    newer = sqlalchemy.create_engine("sqlite:///new.db")
    with newer.begin() as db:
        change = "UPDATE tillpost_version SET version_num = '9999', oldest = '9999'"
        db.execute(sqlalchemy.text(change))
    newer.dispose()
    for command in (("outbox", "migrate"), ("orders", "list"), ("worker", "--until-idle")):
        result = tillpost(*command, "--db", "sqlite:///new.db")
        assert (result.code, result.err.count("\n")) == (3, 1)
        assert "newer version (9999)" in result.err


STEPS = {
    "0002": ("Add a column.", "0001", "op.add_column('tillpost_orders', sa.Column('x', sa.Text))"),
    "0003": ("Drop that column.", "0002", "op.drop_column('tillpost_orders', 'x')"),
}
"""Steps that a later release has: the first leaves older programs working."""


@pytest.fixture
def later_release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Let Tillpost be the release whose newest step is named; 0001 is the first."""

    def become(head: str) -> None:
        folder = tmp_path / f"steps of {head}"
        shutil.copytree(migrations.STEPS, folder)
        for step in (folder / "versions").glob("0*.py"):
            if not step.name.startswith("0001"):
                step.unlink()
        versions = ["0001"]
        for version, (text, oldest, change) in STEPS.items():
            if version > head:
                break
            source = (
                f'"""{text}"""\nimport sqlalchemy as sa\nfrom alembic import op\n'
                f"revision = {version!r}\ndown_revision = {versions[-1]!r}\noldest = {oldest!r}\n"
                f"def upgrade():\n    {change}\n"
            )
            (folder / "versions" / f"{version}_made_up.py").write_text(source)
            versions.append(version)
        monkeypatch.setattr(migrations, "STEPS", folder)
        monkeypatch.setattr(migrations, "VERSIONS", tuple(versions))
        monkeypatch.setattr(migrations, "HEAD", head)

    return become


def test_migrate_says_what_it_does_and_may_be_tried(
    tillpost: Command, later_release: Callable[[str], None]
) -> None:
    later_release("0001")
    assert tillpost("outbox", "migrate").code == 0
    later_release("0002")
    step = "0002: Add a column. Programs that know version 0001 go on."
    dry = tillpost("outbox", "migrate", "--dry-run")
    assert dry.code == 0
    assert dry.out.splitlines() == [
        step,
        "sqlite:///tillpost.db would be migrated to this version. Nothing was changed.",
    ]
    facts = tillpost("outbox", "migrate", "--dry-run", "--json").json
    assert (facts["changed"], facts["version"], len(facts["steps"])) == (False, "0001", 1)
    assert tillpost("orders", "list").err.endswith("run `tillpost outbox migrate`\n")

    assert tillpost("outbox", "migrate").out.splitlines() == [
        step,
        "sqlite:///tillpost.db was migrated to this version.",
    ]
    assert tillpost("orders", "list").code == 0
    assert "already has this version" in tillpost("outbox", "migrate", "--dry-run").out


def test_step_that_stops_older_programs_needs_a_yes(
    tillpost: Command, later_release: Callable[[str], None]
) -> None:
    later_release("0001")
    tillpost("outbox", "migrate")
    later_release("0003")
    refused = tillpost("outbox", "migrate")
    assert refused.code == 2
    assert refused.error_line == (
        "step 0003 stops programs that don't know version 0002 of the tables, as those of earlier "
        "releases: stop or update them, then add --yes"
    )
    assert len(tillpost("outbox", "migrate", "--dry-run", "--json").json["steps"]) == 2
    done = tillpost("outbox", "migrate", "--yes")
    assert done.code == 0
    assert "0003: Drop that column. Programs that don't know version 0002 stop" in done.out


def test_dry_run_creates_no_database(tillpost: Command) -> None:
    result = tillpost("outbox", "migrate", "--dry-run")
    assert (result.code, result.err.count("\n")) == (3, 1)
    assert "no outbox at tillpost.db: " in result.err
    assert not Path("tillpost.db").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "line"),
    [
        (("orders", "list"), 3, "no outbox at tillpost.db: "),
        (("menu", "accept"), 3, "no outbox at tillpost.db: "),
        (("outbox", "erase", "--days", "3"), 3, "no outbox at tillpost.db: "),
        (("orders", "list", "--db", "nonsense"), 3, "--db: not a database URL: "),
        (
            ("worker", "--db", "mysql://cafe:hush@h/x"),
            3,
            "--db: the database must be SQLite or PostgreSQL, not MySQL or MariaDB: ",
        ),
        (
            ("worker", "--db", "sqlite:////no/x.db"),
            3,
            "sqlite:////no/x.db: the database failed: unable to open database file",
        ),
        (("worker", "--engine", "steam"), 2, "no outbox engine 'steam'; there are: embedded"),
        (("worker", "--config", "other.toml"), 2, "other.toml: No such file or directory"),
        (("outbox", "add", "none.json"), 2, "none.json: No such file or directory"),
        (
            ("outbox", "add", "none.json", "-c", "bar"),
            2,
            "no connection 'bar'; tillpost.toml has: cafe",
        ),
        (("outbox", "erase"), 2, "Missing option '--days'"),
        (("outbox", "erase", "--days", "-1"), 2, "Invalid value for '--days'"),
        (
            ("orders", "list", "--state", "lost"),
            2,
            "no state 'lost'; choose one of: due, sending, ",
        ),
    ],
)
def test_errors_are_one_line_with_an_exit_code(
    tillpost: Command, store: Store, arguments: tuple[str, ...], code: int, line: str
) -> None:
    result = tillpost(*arguments)
    assert (result.code, result.out, result.err.count("\n")) == (code, "", 1), result
    assert result.err.startswith(f"tillpost: {line}")
    assert "hush" not in result.err
    assert not Path("tillpost.db").exists()


def test_unknown_or_ambiguous_order_is_one_line(tillpost: Command, store: Store) -> None:
    tillpost("outbox", "add", write_order("ord-1"))
    tillpost("outbox", "add", write_order("ord-2"))
    assert tillpost("orders", "show", "ord-3").error_line.startswith("no order 'ord-3': ")
    assert (
        tillpost("orders", "show", "B42").error_line
        == "several orders have the code 'B42'; choose one by its id: ord-2, ord-1"
    )


def test_wrong_outbox_settings_are_named(
    tillpost: Command, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Path("tillpost.toml").read_text()
    Path("tillpost.toml").write_text(f"[outbox]\nthreds = 3\n{whole}")
    line = "tillpost.toml: [outbox] threds: isn't a field of it (did you mean 'threads'?)"
    assert tillpost("worker").error_line == line
    Path("tillpost.toml").write_text(f'[outbox]\ndb = "nonsense"\n{whole}')
    result = tillpost("worker")
    assert (result.code, result.err.partition(": it has")[0]) == (
        3,
        "tillpost: [outbox] db: not a database URL",
    )
    monkeypatch.setenv("TILLPOST_DB", "sqlite:///environment.db")
    assert tillpost("outbox", "migrate", "--json").json["db"] == "sqlite:///environment.db"
    assert (
        tillpost("outbox", "migrate", "--db", "sqlite:///call.db", "--json").json["db"]
        == "sqlite:///call.db"
    )


def test_unusable_connection_is_reported_and_blocks_no_other(
    tillpost: Command, store: Store
) -> None:
    Path("tillpost.toml").write_text(
        Path("tillpost.toml").read_text() + '[connections.bar]\nplatform = "abacus"\n'
    )
    tillpost("outbox", "add", write_order("ord-1"), "-c", "cafe")
    worked = tillpost("worker", "--until-idle")
    assert worked.code == 0
    assert "connection bar can't be used, so its orders will fail: " in worked.err
    assert len(store.simulator.ledger().shown) == 1


def test_help_shows_an_example_of_each_command(tillpost: Command) -> None:
    for command in (
        "worker",
        "outbox add",
        "outbox migrate",
        "outbox erase",
        "outbox prune",
        "orders list",
    ):
        assert f"Example: tillpost {command}" in tillpost(*command.split(), "--help").out
    for command in ("orders show", "menu imports", "menu accept", "menu discard"):
        assert f"Example: tillpost {command}" in tillpost(*command.split(), "--help").out
