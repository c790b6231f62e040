"""Actions on orders: each says what it did, and one that isn't allowed ends in one line."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from core.cli.commands.test_outbox import waffles, write_order
from core.cli.conftest import EXAMPLES, Command
from core.outbox.poison import damage
from tillpost import Outbox
from tillpost.outbox import Processor
from tillpost.outbox.db import schema as t
from tillpost.outbox.operations.orders import OrderOperations
from tillpost.outbox.orders.claims import Claim
from tillpost.simulator import Running
from tillpost_simulators.square import SquareSimulator

Store = Running[SquareSimulator]


@pytest.fixture
def stuck(tillpost: Command, store: Store) -> str:
    """Add an order that fails because the store doesn't sell its item."""
    tillpost("outbox", "add", waffles("ord-1"))
    tillpost("worker", "--until-idle")
    return "ord-1"


def state_of(tillpost: Command, order_id: str) -> object:
    """Return the order's state as `orders show` prints it."""
    shown = tillpost("orders", "show", order_id, "--json").json
    return shown["order"]["state"]


def test_failed_order_is_accepted_and_advanced_by_its_code(tillpost: Command, stuck: str) -> None:
    problems = tillpost("orders", "list", "--problem", "--json").json["orders"]
    assert [order["id"] for order in problems] == [stuck]
    accepted = tillpost("orders", "accept", "B42")
    assert accepted.out == "Order B42 is accepted.\n"
    ready = tillpost("orders", "advance", "B42", "--to", "ready")
    assert ready.out == "Order B42 is ready.\n"
    completed = tillpost("orders", "advance", "B42", "--json").json
    assert completed["order"]["progress"] == "completed"
    refused = tillpost("orders", "advance", stuck)
    assert refused.code == 1
    assert refused.out == ""
    assert "nothing comes after that" in refused.err


def test_resubmitted_order_is_sent_again(tillpost: Command, stuck: str) -> None:
    again = tillpost("orders", "resubmit", stuck)
    assert again.out == "Order B42 waits to be sent. A worker sends it (`tillpost worker`).\n"
    tillpost("worker", "--until-idle")
    assert state_of(tillpost, stuck) == "error"


def test_manual_prints_a_docket_marked_paid(tillpost: Command, store: Store, stuck: str) -> None:
    taken = tillpost("orders", "manual", stuck, "--by", "Mia")
    assert taken.out.startswith("=")
    for text in ("PAID ONLINE - TAKE NO MONEY", "1 x Waffle", "TOTAL, PAID"):
        assert text in taken.out
    assert state_of(tillpost, stuck) == "manual"
    refused = tillpost("orders", "resubmit", stuck)
    assert "taken over by hand" in refused.err


def test_cancel_cancels_at_the_platform(tillpost: Command, store: Store) -> None:
    tillpost("outbox", "add", write_order("ord-1"))
    tillpost("worker", "--until-idle")
    cancelled = tillpost("orders", "cancel", "ord-1")
    assert "Refund 28.81 AUD to the customer." in cancelled.out
    (entry,) = store.simulator.ledger().entries
    assert entry.fulfilment_state == "CANCELED"


@pytest.mark.parametrize(
    ("paid", "says"),
    [
        (2881, "Refund 28.81 AUD to the customer."),
        (1000, "Refund 10.00 AUD to the customer."),
        (0, "Nothing of it was paid online."),
    ],
)
def test_cancel_names_what_has_to_be_refunded(
    tillpost: Command, store: Store, paid: int, says: str
) -> None:
    payments = [{"method": "card", "amount": paid}] if paid else []
    order_file = write_order("ord-1", payments=payments, amount_due=2881 - paid)
    tillpost("outbox", "add", order_file)
    assert says in tillpost("orders", "cancel", "ord-1").out


def test_export_is_json_without_the_customer(tillpost: Command, stuck: str) -> None:
    exported = tillpost("orders", "export", stuck)
    assert exported.json["order"] == stuck
    assert "Mia" not in exported.out


@pytest.mark.parametrize("action", ["accept", "advance", "resubmit", "manual", "cancel", "export"])
def test_unknown_order_is_one_line(tillpost: Command, stuck: str, action: str) -> None:
    missing = tillpost("orders", action, "nowhere")
    assert missing.code == 2
    assert "no order 'nowhere'" in missing.err


def test_customers_name_only_suggests_orders(tillpost: Command, stuck: str) -> None:
    missing = tillpost("orders", "cancel", "mia")
    assert (
        "no order 'mia': use its id or code. Did you mean ord-1 (Mia Chen)?" in missing.error_line
    )
    for number in range(2, 6):
        tillpost("outbox", "add", write_order(f"ord-{number}"))
    ambiguous = tillpost("orders", "cancel", "mia")
    assert ambiguous.error_line.endswith(", ord-3 (Mia Chen) or another?")


def test_code_matches_in_either_case(tillpost: Command, stuck: str) -> None:
    accepted = tillpost("orders", "accept", "b42")
    assert accepted.out == "Order B42 is accepted.\n"


def test_actions_are_shown_with_who_did_them(tillpost: Command, stuck: str) -> None:
    tillpost("orders", "accept", stuck, "--by", "Sam")
    shown = tillpost("orders", "show", stuck).out
    assert " Sam: accept (accepted)\n" in shown
    assert "  Progress      accepted\n" in shown


def test_advance_accepts_on_board_as_help_spells_it(tillpost: Command, store: Store) -> None:
    order = json.loads((EXAMPLES / "scheduled-delivery.json").read_text())
    Path("delivery.json").write_text(json.dumps({**order, "id": "ord-9", "code": "D9"}))
    tillpost("outbox", "add", "delivery.json")
    advanced = tillpost("orders", "advance", "D9", "--to", "on board")
    assert advanced.out == "Order D9 is on_board.\n"


def test_unknown_step_is_one_line(tillpost: Command, stuck: str) -> None:
    refused = tillpost("orders", "advance", stuck, "--to", "eaten")
    assert "no step 'eaten'" in refused.err


def test_order_that_cannot_be_read_is_shown_and_closed(tillpost: Command, store: Store) -> None:
    """It stops neither a worker nor a command, and the other orders are sent."""
    for order_id in ("ord-1", "ord-2"):
        tillpost("outbox", "add", write_order(order_id))
    with Outbox("sqlite:///tillpost.db") as outbox:
        damage(outbox, t.orders, "content", '{"id": ', named="ord-1")

    worked = tillpost("worker", "--until-idle")
    assert worked.code == 0
    assert "order_unreadable id=ord-1 columns=content" in worked.err
    assert [entry.reference for entry in store.simulator.ledger().shown] == ["ord-2"]

    listed = tillpost("orders", "list", "--problem", "--json").json["orders"]
    assert [(order["id"], order["state"]) for order in listed] == [("ord-1", "error")]
    assert "can't be read: content" in tillpost("orders", "show", "ord-1").out
    assert tillpost("status", "--json").json["problems"] == {"OrderError": 1}
    assert "damaged" in tillpost("diagnose", "ord-1").out
    assert tillpost("orders", "export", "ord-1").json["order"] == "ord-1"
    refused = tillpost("orders", "resubmit", "ord-1")
    assert (refused.code, "its row can't be read" in refused.err) == (1, True)
    docket = tillpost("orders", "manual", "ord-1")
    assert "its content can't be read" in docket.out
    assert tillpost("orders", "cancel", "ord-1").code == 0
    assert tillpost("status", "--json").json["problems"] == {}


def test_order_at_another_address_is_shown_so(tillpost: Command, store: Store) -> None:
    tillpost("outbox", "add", write_order("ord-1"))
    tillpost("worker", "--until-idle")
    assert tillpost("orders", "show", "ord-1", "--json").json["order"]["elsewhere"] == ""
    config = Path("tillpost.toml")
    config.write_text(config.read_text().replace("127.0.0.1", "localhost"))
    shown = tillpost("orders", "show", "ord-1").out
    assert " Address  " in shown, shown
    assert "the order may be at another address: base_url was http://127" in shown
    assert "at another address" in tillpost("diagnose", "ord-1").out


def test_person_whose_claim_is_lost_reads_one_line(
    tillpost: Command, stuck: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that was stopped for longer than its lease finds its order released by others."""
    real = Processor.withdraw_ticket

    def stopped(processor: Processor, claim: Claim) -> bool:
        workers = processor.workers
        workers.reap(claim.worker, workers.beats()[claim.worker], time.time())
        return real(processor, claim)

    monkeypatch.setattr(Processor, "withdraw_ticket", stopped)
    result = tillpost("orders", "manual", stuck, "--by", "Mia")
    assert (result.code, result.out) == (1, "")
    assert "was acted on by somebody else: check its state, then try again" in result.err


def test_user_without_account_is_named_by_number(
    tillpost: Command, stuck: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr("os.getuid", lambda: 54321)
    assert tillpost("orders", "accept", stuck).code == 0
    with Outbox.from_config() as outbox:
        (act,) = OrderOperations(outbox, "Mia").acts(stuck)
    assert act.who == "uid 54321"
