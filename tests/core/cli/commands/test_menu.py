"""`tillpost menu`: import into a file, changes between imports, and faults before they hurt."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from core.cli.conftest import Command, write_config
from tillpost import Menu
from tillpost.simulator import Running
from tillpost_simulators.square import SquareSimulator

Store = Running[SquareSimulator]


def read_menu(path: str = "menu.json") -> Menu:
    """Read a menu file of the working directory."""
    return Menu.model_validate_json(Path(path).read_bytes())


def read_json(path: str) -> dict[str, Any]:
    """Read a JSON file."""
    content: dict[str, Any] = json.loads(Path(path).read_text())
    return content


def test_first_import_writes_the_menu(tillpost: Command, store: Store) -> None:
    result = tillpost("menu", "import", "--output", "cafe.json")
    assert result.code == 0
    assert "First import: " in result.out
    _, variation = read_menu("cafe.json").by_variation["5312"]
    assert variation.price == 1450


def test_import_prints_changes_since_the_file(tillpost: Command, store: Store) -> None:
    tillpost("menu", "import")
    unchanged = tillpost("menu", "import")
    assert "Nothing has changed." in unchanged.out
    store.simulator.change_price("5312", 1500)
    repriced = tillpost("menu", "import")
    assert "BLT toastie" in repriced.out
    store.simulator.sell_out("5312")
    facts = tillpost("menu", "import", "--json").json
    assert facts["ok"] is True
    assert facts["held"] is False
    assert facts["file"] == "menu.json"
    assert facts["in_words"] == ["BLT toastie is sold out"]
    sold_out = facts["changes"]["sold_out"]
    assert [change["subject"] for change in sold_out] == ["BLT toastie"]


def test_import_that_removes_too_much_is_held_until_accepted(
    tillpost: Command, store: Store
) -> None:
    tillpost("menu", "import")
    before = Path("menu.json").read_text()
    for variation in ("5312", "7302", "7303", "7310", "5320"):
        store.simulator.remove_variation(variation)
    held = tillpost("menu", "import")
    assert held.code == 10
    assert "of the menu would be removed" in held.out
    assert "accept" in held.out
    facts = tillpost("menu", "import", "--json").json
    assert facts["error"]["reason"] == "held"
    assert Path("menu.json").read_text() == before
    accepted = tillpost("menu", "import", "--accept")
    assert accepted.code == 0
    assert "5312" not in read_menu().by_variation


def test_menu_of_another_site_is_not_overwritten(tillpost: Command, store: Store) -> None:
    tillpost("menu", "import")
    write_config(cafe={**store.settings, "location_id": "L-KIOSK"})
    line = tillpost("menu", "import").error_line
    assert line == (
        "menu.json has the menu of another site, L-CAFE; choose another file with --output"
    )


@pytest.mark.parametrize("output", ["no/such/folder/menu.json", "."])
def test_unwritable_output_is_one_line(output: str, tillpost: Command, store: Store) -> None:
    result = tillpost("menu", "import", "--output", output)
    assert output in result.error_line


def test_invalid_menu_file_is_one_line(tillpost: Command, store: Store, lunch: str) -> None:
    Path("menu.json").write_text("{}")
    imported = tillpost("menu", "import")
    assert imported.error_line.startswith("menu.json: isn't a menu: site: is missing")
    checked = tillpost("menu", "check", lunch, "--menu", "menu.json")
    assert checked.error_line.startswith("menu.json: isn't a menu: site: is missing")


def test_refused_import_exits_with_the_errors_code(tillpost: Command, store: Store) -> None:
    store.simulator.revoke_token()
    assert tillpost("menu", "import").code == 14
    assert tillpost("menu", "check").code == 14
    assert not Path("menu.json").exists()


def test_check_finds_faults_in_the_setup(tillpost: Command, store: Store) -> None:
    store.simulator.add_tax("Weekend surcharge", "10")
    people = tillpost("menu", "check")
    program = tillpost("menu", "check", "--json")
    assert people.code == 1
    assert program.code == 1
    assert "Weekend surcharge" in people.out
    assert program.json["ok"] is False
    assert set(program.json["faults"][0]) == {"subject", "text", "left_out", "ids"}


def test_check_of_a_sound_setup_finds_nothing(tillpost: Command, store: Store) -> None:
    store.simulator.remove_variation("6103")  # the cake without a price
    assert "No faults in the setup" in tillpost("menu", "check").out
    assert tillpost("menu", "check", "--json").json["faults"] == []


def broken_order(lunch: str) -> str:
    """Write an order with an unknown item and a changed price, and return the file's name."""
    order = read_json(lunch)
    first, second = order["lines"]
    first.update(item_id="gone", sku="", name="Cronut")
    second["unit_price"] = 1400
    (payment,) = order["payments"]
    payment["amount"] -= 50
    Path("broken.json").write_text(json.dumps(order))
    return "broken.json"


def test_check_reports_all_problems_of_an_order_by_line(
    tillpost: Command, store: Store, lunch: str
) -> None:
    tillpost("menu", "import")
    order = broken_order(lunch)
    check = ("menu", "check", order, "--menu", "menu.json")
    people = tillpost(*check)
    program = tillpost(*check, "--json")
    assert people.code == 10
    assert program.code == 10
    assert people.out.index("Cronut (line 1)") < people.out.index("BLT toastie (line 2)")
    problems = program.json["problems"]
    reasons = {problem["error"]["reason"] for problem in problems}
    assert len(problems) == 2
    assert reasons == {"gone", "price"}
    for problem in problems:
        assert "Square" in problem["remedy"]["manager"]


def test_check_of_a_matching_order_finds_nothing(
    tillpost: Command, store: Store, lunch: str
) -> None:
    assert "Order B42 matches the menu." in tillpost("menu", "check", lunch).out
    piped = tillpost("menu", "check", "-", "--json", input=Path(lunch).read_bytes())
    assert piped.json["problems"] == []


def test_check_reports_a_store_that_takes_no_orders(
    tillpost: Command, store: Store, lunch: str
) -> None:
    store.simulator.activate_location(False)
    people = tillpost("menu", "check", lunch)
    program = tillpost("menu", "check", lunch, "--json")
    assert people.code == 1
    assert program.code == 1
    assert "matches the menu" in people.out
    assert "The store can't take any orders now" in people.out
    assert (program.json["ok"], program.json["problems"]) == (False, [])
    assert all(finding["actor"] == "store" for finding in program.json["findings"])


def test_check_reports_a_missing_table(tillpost: Command, store: Store, lunch: str) -> None:
    tillpost("menu", "import")
    menu = read_json("menu.json")
    menu["tables"] = ["8", "9"]
    Path("menu.json").write_text(json.dumps(menu))
    order = read_json(lunch)
    order["fulfilment"] = {"type": "dine_in", "table": "7"}
    Path("dine-in.json").write_text(json.dumps(order))
    result = tillpost("menu", "check", "dine-in.json", "--menu", "menu.json")
    assert result.code == 10
    assert "the whole order" in result.out
    assert "there is no table 7" in result.out


def test_check_follows_the_connections_price_policy(
    tillpost: Command, store: Store, lunch: str
) -> None:
    store.simulator.change_price("5312", 1500)
    assert tillpost("menu", "check", lunch).code == 10
    config = Path("tillpost.toml")
    config.write_text(config.read_text() + 'prices = "keep_paid"\n')
    assert tillpost("menu", "check", lunch).code == 0
