"""Remedies: every row gives complete texts for a manager and a developer."""

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
    Outcome,
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
from tillpost.errors.remedies import (
    HAS_ORDER,
    MAY_EXIST,
    MENU_IMPORTED,
    NOT_THERE,
    REMEDIES,
    Action,
    fill,
)

ERROR_CLASSES: tuple[type[PosError], ...] = (
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

ONLY_OF_ORDERS = (
    "tax",
    "order",
    "doubt",
    "store_closed",
    "register_offline",
    "setup.product",
    "setup.product_tax",
    "setup.discounts",
    "setup.added",
)
"""Without an order there are no such errors, or they are about the register."""

ONLY_BEFORE_SENDING = ("menu", "tax", "order", "setup")
"""Without a reason of their own these are of orders that the platform doesn't have."""

SUBJECTS = ((), ("Tea (line 1)",), ("Tea (line 1)", "Chai (line 2)", "Mate (line 3)"))
DETAILS = ("", "it failed", "It failed.", "{braces} and %s")
CONTACTS = ("", "Call us on 1300 000 000.")


@pytest.mark.parametrize("row", REMEDIES)
def test_every_row_is_complete_sentences_for_any_input(row: str) -> None:
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
            assert not re.search(r"[\[\]<>]", text)


def test_subjects_are_joined_as_a_list() -> None:
    def manager(*subjects: str) -> str:
        return fill(
            REMEDIES["menu.sold_out"],
            platform="Square",
            subjects=subjects,
            detail="",
            imported="",
            contact="",
        ).manager

    assert manager().startswith("Square shows something on the order as sold out.")
    assert manager("Tea").startswith("Square shows Tea as")
    assert manager("Tea", "Chai").startswith("Square shows Tea and Chai as")
    assert manager("Tea", "Chai", "Mate").startswith("Square shows Tea, Chai and Mate as")


@pytest.mark.parametrize("error_class", ERROR_CLASSES)
def test_every_error_class_has_a_row(error_class: type[PosError]) -> None:
    assert error_class.default_remedy in REMEDIES
    expected = REMEDIES[error_class.default_remedy].action
    assert error_class("x").remedy.action is expected


def test_every_row_belongs_to_an_error_class() -> None:
    prefixes = {row.partition(".")[0] for row in REMEDIES}
    assert prefixes == {error_class.default_remedy for error_class in ERROR_CLASSES}


@pytest.mark.parametrize("row", [row for row in REMEDIES if "." in row])
def test_reason_selects_its_row_and_unknown_the_general(row: str) -> None:
    default, reason = row.split(".")
    error_class = next(kind for kind in ERROR_CLASSES if kind.default_remedy == default)
    general = error_class("x").remedy
    assert error_class("x", reason=reason).remedy.manager != general.manager
    assert error_class("x", reason="no such reason").remedy == general


def test_remedy_mentions_an_import_without_success() -> None:
    error = MenuError("x", reason="gone", subjects=["Tea"])
    assert MENU_IMPORTED not in error.remedy.manager
    error.menu_imported = True
    assert MENU_IMPORTED in error.remedy.manager


@pytest.mark.parametrize("error_class", ERROR_CLASSES)
def test_order_in_doubt_is_looked_for_before_it_is_keyed_in(error_class: type[PosError]) -> None:
    error = error_class("no answer in time")
    error.outcome = Outcome.UNKNOWN
    manager = error.remedy.manager
    assert re.search(r"before keying (it|the order) in", manager), manager
    assert NOT_THERE not in manager
    error.outcome = Outcome.NOT_CREATED
    assert MAY_EXIST not in error.remedy.manager


@pytest.mark.parametrize("row", REMEDIES)
def test_every_remedy_says_where_the_order_is(row: str) -> None:
    text = REMEDIES[row].manager
    says_so = re.search(r"already has|has a copy|may be at another|was (rejected|cancelled)", text)
    looks = re.search(r"[Cc]heck (the|whether)|[Ll]ook for it at the register", text)
    only_access = row == "unsupported" or row == "order.uncancelled"
    assert "{register}" in text or says_so or looks or only_access, text


@pytest.mark.parametrize("row", REMEDIES)
def test_order_that_the_platform_has_is_not_sent_again(row: str) -> None:
    manager = fill(
        REMEDIES[row],
        platform="Square",
        subjects=(),
        detail="it failed",
        imported="",
        contact="",
        register=HAS_ORDER,
    ).manager
    if "{register}" in REMEDIES[row].manager:
        assert "Square has the order: don't key it in or send it again." in manager
    if row.partition(".")[0] not in ONLY_BEFORE_SENDING:
        assert not re.search(r"order (can be )?sent again|and send it again|key the", manager), row


@pytest.mark.parametrize(
    ("detail", "manager", "developer"),
    [
        ("charges[0].amount: no such thing", "(no such thing)", "charges[0].amount: no such"),
        ("currency: in JPY", "(in JPY)", "currency: in JPY"),
        ("lines[0].modifiers[1].unit_price: odd", "(odd)", "lines[0].modifiers[1].unit"),
        ("Tea was paid: no", "(Tea was paid: no)", "Tea was paid: no"),
        ("it failed", "(it failed)", "It failed"),
    ],
)
def test_field_of_an_order_is_named_to_developers_only(
    detail: str, manager: str, developer: str
) -> None:
    remedy = OrderError(detail, reason="currency").remedy
    assert manager in remedy.manager
    assert remedy.developer.startswith(developer)


@pytest.mark.parametrize("row", REMEDIES)
def test_remedy_without_an_order_does_not_speak_of_one(row: str) -> None:
    if {row, row.partition(".")[0]} & {*ONLY_OF_ORDERS} or row.startswith("menu."):
        return
    remedy = fill(
        REMEDIES[row],
        platform="Square",
        subjects=(),
        detail="it failed",
        imported="",
        contact="",
        concerns_order=False,
    )
    for text in (remedy.manager, remedy.developer):
        assert not re.search(r"\bthe orders?\b|\bthis order\b|register", text), text
        assert text.endswith(".")
        assert "[" not in text
        assert "  " not in text


def test_brackets_of_a_platforms_text_are_kept() -> None:
    assert "[x]" in OrderError("field [x]").remedy.developer


def test_refused_token_names_the_address_as_a_cause() -> None:
    remedy = PermissionsError("This request could not be authorized.").remedy
    assert "base_url" in remedy.developer
    assert "test account" in remedy.manager


def test_unnamed_platform_is_called_the_pos() -> None:
    assert OutageError("x").remedy.manager.startswith("The POS can't be reached")


def test_price_remedy_names_both_prices_and_keep_paid() -> None:
    remedy = MenuError(
        "Tea was paid at 3.00 AUD, the menu says 3.50 AUD", reason="price", subjects=["Tea"]
    ).remedy
    assert remedy.action is Action.FIX_MENU
    assert "keep_paid" in remedy.developer
    assert "Tea was paid at 3.00 AUD, the menu says 3.50 AUD." in remedy.developer


# What the customer is told

PLACES = (NOT_THERE, MAY_EXIST, HAS_ORDER)
FAILED = re.compile(r"couldn't be passed|not available|isn't available|taking longer|can't make")
NOT_FOR_CUSTOMERS = re.compile(
    r"[{}<>\[\]\d$€£]|POS\b|register|platform|token|account|menu|tax|key|dashboard|support"
    r"|settings|connect|refresh|error|invalid|\bid\b|\b[A-Z]{2,}\b|Square|Kounta|price|total|amount"
)


def customer(row: str, register: str, *, concerns_order: bool = True) -> str:
    return fill(
        REMEDIES[row],
        platform="Square",
        subjects=("Tea (line 1)",),
        detail="ord_1: 28.81 AUD",
        imported=MENU_IMPORTED,
        contact="Call us on 1300 000 000.",
        granted_by="Mia",
        register=register,
        concerns_order=concerns_order,
    ).customer


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("row", REMEDIES)
def test_customer_is_told_in_a_few_plain_words(row: str, place: str) -> None:
    text = customer(row, place)
    assert text[0].isupper()
    assert text.endswith(".")
    assert len(text) <= 140
    assert not NOT_FOR_CUSTOMERS.search(text), text


@pytest.mark.parametrize("row", REMEDIES)
def test_customer_is_never_told_that_an_order_failed_which_may_be_there(row: str) -> None:
    for place in (MAY_EXIST, HAS_ORDER):
        assert not FAILED.search(customer(row, place))
    if row not in ("order.rejected", "order.uncancelled"):
        assert "whether it has your order" in customer(row, MAY_EXIST)


@pytest.mark.parametrize("row", REMEDIES)
def test_customer_is_told_that_the_restaurant_has_the_order(row: str) -> None:
    expected = {
        "order.rejected": "won't be prepared",
        "order.cancelled": "was cancelled",
        "order.uncancelled": "couldn't be cancelled yet",
    }
    assert expected.get(row, "The restaurant has your order.") in customer(row, HAS_ORDER)


@pytest.mark.parametrize("row", REMEDIES)
def test_only_what_passes_by_itself_is_said_to_be_tried_again(row: str) -> None:
    is_transient = REMEDIES[row].action is Action.WAIT or row == "register_offline"
    assert ("keep trying" in customer(row, NOT_THERE)) == is_transient


@pytest.mark.parametrize("row", [row for row in REMEDIES if row.endswith("created")])
def test_order_that_was_created_is_never_said_to_be_missing(row: str) -> None:
    assert customer(row, NOT_THERE) == "The restaurant has your order."


@pytest.mark.parametrize("row", REMEDIES)
def test_without_an_order_there_is_nothing_to_tell_a_customer(row: str) -> None:
    assert customer(row, NOT_THERE, concerns_order=False) == ""


@pytest.mark.parametrize("outcome", Outcome)
@pytest.mark.parametrize("error_class", ERROR_CLASSES)
def test_customers_text_goes_by_the_orders_outcome(
    error_class: type[PosError], outcome: Outcome
) -> None:
    error = error_class("no answer in time")
    error.outcome = outcome
    place = dict(zip(Outcome, (NOT_THERE, HAS_ORDER, MAY_EXIST), strict=True))[outcome]
    assert error.remedy.customer == customer(error_class.default_remedy, place)
