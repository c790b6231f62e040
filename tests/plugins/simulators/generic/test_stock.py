from __future__ import annotations

import pytest

from adapters.menu_shops import shop_of


@pytest.mark.parametrize(
    ("object_id", "changes"),
    [
        ("MUFFIN", {"variations": "none"}),
        ("6105", {"price": "5.20"}),
        ("6105", {"id": None}),
    ],
)
def test_spoiled_object_costs_only_itself(object_id: str, changes: dict[str, object]) -> None:
    shop = shop_of("generic")
    whole = shop.menu
    shop.simulator.spoil_object(object_id, changes)
    menu = shop.menu
    assert set(whole.by_variation) - set(menu.by_variation) == {"6105"}
    assert len(menu.faults) == len(whole.faults) + 1
    shop.simulator.spoil_object(object_id, {})
    assert shop.menu.items == whole.items


@pytest.mark.parametrize("object_id", ["5312", "TOASTIE", "MILK", "228", "TAX-GST"])
def test_each_object_of_the_menu_may_be_spoiled(object_id: str) -> None:
    shop = shop_of("generic")
    answers: list[str] = []
    shop.simulator.spoil_object(object_id, {"name": "As it is not"})

    def noted(_: str, body: object) -> object:
        answers.append(str(body))
        return body

    shop.spoil = noted
    shop.till.import_menu()
    assert answers[0].count("As it is not") == 1


def test_unknown_object_cannot_be_spoiled() -> None:
    with pytest.raises(LookupError, match="no object"):
        shop_of("generic").simulator.spoil_object("0000", {})
