"""The address of a store, and the error of an order that is at another."""

from __future__ import annotations

from typing import Annotated

from pydantic import SecretStr

from core.toy import KeylessToy, Toy, ToySettings
from tillpost.adapter.settings import WHICH_STORE
from tillpost.errors.remedies import Actor
from tillpost.submission.address import address_of, base_url_in, error_of_address

URL = "https://pos.example"


class _ManySettings(ToySettings):
    till: Annotated[str | None, WHICH_STORE] = None
    pin: Annotated[SecretStr, WHICH_STORE] = SecretStr("4711")


def test_address_has_the_host_and_the_marked_settings_alone() -> None:
    address = address_of(Toy(ToySettings(base_url=URL, access_token=SecretStr("toy-token-123"))))
    same = address_of(Toy(ToySettings(base_url=URL, access_token=SecretStr("toy-token-456"))))
    assert address == same
    for text in ("toy", URL, "shop-1"):
        assert text in address


def test_host_is_read_from_an_address() -> None:
    assert base_url_in(address_of(Toy(ToySettings(base_url=URL)))) == URL


def test_another_store_host_or_platform_is_another_address() -> None:
    adapters = (
        Toy(ToySettings(base_url=URL)),
        Toy(ToySettings(base_url="https://other.example")),
        Toy(ToySettings(base_url=URL, shop="shop-2")),
        KeylessToy(ToySettings(base_url=URL)),
    )
    assert len({address_of(adapter) for adapter in adapters}) == 4


def test_address_shows_no_secret_even_if_it_is_marked() -> None:
    assert "4711" not in address_of(Toy(_ManySettings(base_url=URL)))


def test_error_says_which_setting_changed_and_what_to_do() -> None:
    then = address_of(Toy(_ManySettings(base_url=URL)))
    now = address_of(Toy(_ManySettings(base_url=URL, shop="shop-2", till="t7")))
    error = error_of_address(then, now)
    assert error.detail == (
        "the order may be at another address: shop was shop-1 then and is shop-2 now, "
        "till was not set then and is t7 now"
    )
    assert error.remedy.actor is Actor.DEVELOPER
    assert "Set the connection back" in error.remedy.developer


def test_error_names_settings_that_only_one_platform_has() -> None:
    then = address_of(Toy(_ManySettings(base_url=URL, till="t7")))
    now = address_of(KeylessToy(ToySettings(base_url=URL)))
    assert "till was t7 then and is not set now" in error_of_address(then, now).detail
