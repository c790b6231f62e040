"""People act on orders by the commands: each act says what came of it, and one that doesn't fit is one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.cli.commands.test_outbox import waffles, write_order
from core.cli.conftest import EXAMPLES, Command
from tillpost.simulator import Running
from tillpost_simulators.square import SquareSimulator

Store = Running[SquareSimulator]


@pytest.fixture
def stuck(tillpost: Command, store: Store) -> str:
    """An order for what the store doesn't sell, which stands in error."""
    tillpost("outbox", "add", waffles("ord-1"))
    tillpost("worker", "--until-idle")
    return "ord-1"


def test_an_order_in_error_is_red_accepted_and_moved_on_by_its_code(
    tillpost: Command, stuck: str
) -> None:
    assert tillpost("orders", "list", "--problem", "--json").json["orders"][0]["id"] == stuck
    assert tillpost("orders", "accept", "B42").out == "Order B42 is accepted.\n"
    assert tillpost("orders", "advance", "B42", "--to", "ready").out == "Order B42 is ready.\n"
    assert tillpost("orders", "advance", "B42", "--json").json["order"]["progress"] == "completed"
    refused = tillpost("orders", "advance", stuck)
    assert (refused.code, refused.out) == (1, "")
    assert "nothing comes after that" in refused.err


def test_a_resubmitted_order_goes_again(tillpost: Command, stuck: str) -> None:
    again = tillpost("orders", "resubmit", stuck)
    assert again.out == "Order B42 waits to be sent. A worker sends it (`tillpost worker`).\n"
    tillpost("worker", "--until-idle")
    assert tillpost("orders", "show", stuck, "--json").json["order"]["state"] == "error"


def test_an_order_taken_over_prints_a_docket_for_keying_in(
    tillpost: Command, store: Store, stuck: str
) -> None:
    taken = tillpost("orders", "manual", stuck, "--by", "Mia")
    assert taken.out.startswith("=")
    for said in ("PAID ONLINE - TAKE NO MONEY", "1 x Waffle", "TOTAL, PAID"):
        assert said in taken.out
    assert tillpost("orders", "show", stuck, "--json").json["order"]["state"] == "manual"
    assert "taken over by hand" in tillpost("orders", "resubmit", stuck).err


def test_an_order_is_cancelled_at_the_platform_too(tillpost: Command, store: Store) -> None:
    tillpost("outbox", "add", write_order("ord-1"))
    tillpost("worker", "--until-idle")
    assert "The customer's money has to go back" in tillpost("orders", "cancel", "ord-1").out
    (entry,) = store.simulator.ledger().entries
    assert entry.fulfilment_state == "CANCELED"


def test_what_is_exported_is_json_without_the_customer(tillpost: Command, stuck: str) -> None:
    told = tillpost("orders", "export", stuck)
    assert json.loads(told.out)["order"] == stuck
    assert "Mia" not in told.out


@pytest.mark.parametrize("act", ["accept", "advance", "resubmit", "manual", "cancel", "export"])
def test_an_order_that_isnt_there_is_one_line(tillpost: Command, stuck: str, act: str) -> None:
    missing = tillpost("orders", act, "nowhere")
    assert missing.code == 2
    assert "no order 'nowhere'" in missing.err


def test_an_order_is_never_acted_on_by_a_customers_name_which_only_names_it(
    tillpost: Command, stuck: str
) -> None:
    missing = tillpost("orders", "cancel", "mia")
    assert "no order 'mia': name it by its id or code; is it ord-1 (Mia Chen)?" in missing.complaint
    for number in range(2, 6):
        tillpost("outbox", "add", write_order(f"ord-{number}"))
    assert tillpost("orders", "cancel", "mia").complaint.endswith(", ord-3 (Mia Chen) or another?")


def test_an_orders_code_is_typed_in_either_case(tillpost: Command, stuck: str) -> None:
    assert tillpost("orders", "accept", "b42").out == "Order B42 is accepted.\n"


def test_who_did_what_stands_with_the_order(tillpost: Command, stuck: str) -> None:
    tillpost("orders", "accept", stuck, "--by", "Sam")
    shown = tillpost("orders", "show", stuck).out
    assert " Sam: accept (accepted)\n" in shown
    assert "  Progress      accepted\n" in shown


def test_a_delivery_goes_on_board_as_the_help_writes_it(tillpost: Command, store: Store) -> None:
    order = json.loads((EXAMPLES / "scheduled-delivery.json").read_text())
    Path("delivery.json").write_text(json.dumps({**order, "id": "ord-9", "code": "D9"}))
    tillpost("outbox", "add", "delivery.json")
    assert tillpost("orders", "advance", "D9", "--to", "on board").out == "Order D9 is on_board.\n"


def test_a_step_that_isnt_one_is_one_line(tillpost: Command, stuck: str) -> None:
    assert "no step 'eaten'" in tillpost("orders", "advance", stuck, "--to", "eaten").err
