"""Every remedy is a sentence for a manager and one for a developer, whatever is known of the trouble."""

from __future__ import annotations

import re
from itertools import product

import pytest

from tillpost.errors import (
    DoubtError,
    KeyRetiredError,
    MenuError,
    OrderError,
    OutageError,
    PermissionsError,
    PosError,
    RateLimitError,
    RegisterOfflineError,
    SetupError,
    StoreClosedError,
    TaxError,
    UnknownPosError,
    UnsupportedError,
)
from tillpost.errors.remedies import MENU_IMPORTED, REMEDIES, Action, fill

KINDS = (
    KeyRetiredError, DoubtError, MenuError, OrderError, OutageError, PermissionsError, PosError, RateLimitError,
    RegisterOfflineError, SetupError, StoreClosedError, TaxError, UnknownPosError, UnsupportedError,
)  # fmt: skip


SUBJECTS = ((), ("Tea (line 1)",), ("Tea (line 1)", "Chai (line 2)", "Mate (line 3)"))
DETAILS = ("", "it failed", "It failed.", "{braces} and %s")
CONTACTS = ("", "Call us on 1300 000 000.")


@pytest.mark.parametrize("row", REMEDIES)
def test_every_row_reads_well_whatever_is_known(row: str) -> None:
    for subjects, detail, imported, contact in product(
        SUBJECTS, DETAILS, ("", MENU_IMPORTED), CONTACTS
    ):
        remedy = fill(
            REMEDIES[row],
            platform="Square",
            subjects=subjects,
            detail=detail,
            imported=imported,
            contact=contact,
        )
        assert remedy.action is REMEDIES[row].action
        for text in (remedy.manager, remedy.developer):
            assert text == text.strip()
            assert text[0].isupper() or text.startswith("{braces}")
            assert text.endswith(contact or ".")
            assert not re.search(r"\.\.|  | \.|\{(platform|subjects|detail|imported)\}", text)


def test_a_manager_reads_the_subjects_as_a_list() -> None:
    def manager(*subjects: str) -> str:
        return fill(
            REMEDIES["menu.sold_out"],
            platform="Square",
            subjects=subjects,
            detail="",
            imported="",
            contact="",
        ).manager

    assert manager().startswith("Something on the order is marked as sold out in Square.")
    assert manager("Tea").startswith("Tea is marked")
    assert manager("Tea", "Chai").startswith("Tea and Chai is marked")
    assert manager("Tea", "Chai", "Mate").startswith("Tea, Chai and Mate is marked")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_row(kind: type[PosError]) -> None:
    assert kind.default_remedy in REMEDIES
    assert kind("x").remedy.action is REMEDIES[kind.default_remedy].action


def test_every_row_belongs_to_a_kind() -> None:
    assert {row.partition(".")[0] for row in REMEDIES} == {kind.default_remedy for kind in KINDS}


@pytest.mark.parametrize("row", [row for row in REMEDIES if "." in row])
def test_a_reason_picks_its_own_row_and_an_unknown_one_the_general_row(row: str) -> None:
    default, reason = row.split(".")
    kind = next(kind for kind in KINDS if kind.default_remedy == default)
    assert kind("x", reason=reason).remedy.manager != kind("x").remedy.manager
    assert kind("x", reason="never heard of").remedy == kind("x").remedy


def test_an_import_in_vain_is_told() -> None:
    error = MenuError("x", reason="gone", subjects=["Tea"])
    assert MENU_IMPORTED not in error.remedy.manager
    error.menu_imported = True
    assert MENU_IMPORTED in error.remedy.manager


def test_without_a_platforms_name_the_remedy_speaks_of_the_pos() -> None:
    assert OutageError("x").remedy.manager.startswith("The POS can't be reached")


def test_a_price_is_told_with_the_way_out() -> None:
    remedy = MenuError(
        "Tea was paid at 3.00 AUD, the menu says 3.50 AUD", reason="price", subjects=["Tea"]
    ).remedy
    assert remedy.action is Action.FIX_MENU
    assert "keep_paid" in remedy.developer
    assert "Tea was paid at 3.00 AUD, the menu says 3.50 AUD." in remedy.developer
