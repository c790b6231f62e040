"""Settings: which addresses and tokens are valid, and that no message shows a secret."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import pytest
from pydantic import SecretStr, ValidationError

from core.toy import ToySettings
from tillpost import explain
from tillpost.adapter.settings import AdapterSettings


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({}, "base_url: is missing"),
        (
            {"base_url": "http://pos.example"},
            "base_url: must be https; plain http is for this machine only",
        ),
        (
            {"base_url": "http://localhost.example"},
            "base_url: must be https; plain http is for this machine only",
        ),
        (
            {"base_url": "http://127.0.0.1.example"},
            "base_url: must be https; plain http is for this machine only",
        ),
        ({"base_url": "ftp://localhost"}, "base_url: must be an https address"),
        ({"base_url": "https://"}, "base_url: must be an https address"),
        ({"base_url": "pos.example"}, "base_url: must be an https address"),
        ({"base_url": "https://[::1"}, "base_url: Invalid IPv6 URL"),
        (
            {"base_url": "https://me:pw@pos.example"},
            "base_url: must hold no user, password, query or fragment",
        ),
        (
            {"base_url": "https://pos.example?x=1"},
            "base_url: must hold no user, password, query or fragment",
        ),
        (
            {"base_url": "https://pos.example#x"},
            "base_url: must hold no user, password, query or fragment",
        ),
        (
            {"base_url": "https://pos.example", "access_token": "CANARY-1\n"},
            "access_token: holds a space, a line break or another character that no token has",
        ),
        (
            {"base_url": "https://pos.example", "access_token": "CANARY \N{SNOWMAN}"},
            "access_token: holds a space, a line break or another character that no token has",
        ),
        ({"base_url": "https://pos.example", "token": "CANARY-1"}, "token: isn't a field of it"),
    ],
)
def test_wrong_setting_is_named_without_its_value(settings: dict[str, str], fault: str) -> None:
    with pytest.raises(ValidationError) as caught:
        ToySettings.model_validate(settings)
    assert explain(caught.value) == fault
    assert "CANARY" not in str(caught.value)


@pytest.mark.parametrize(
    "base_url",
    ["https://pos.example/v2/", "http://localhost:8080", "http://127.0.0.1:1", "http://[::1]:1"],
)
def test_base_url_loses_its_last_slash(base_url: str) -> None:
    assert ToySettings(base_url=base_url).base_url == base_url.rstrip("/")


def test_access_token_is_the_default_credential() -> None:
    settings = AdapterSettings.model_validate(
        {"base_url": "https://pos.example", "access_token": "CANARY-1"}
    )
    assert settings.credentials().secrets() == ("CANARY-1",)
    assert "CANARY" not in repr(settings) + str(settings) + repr(settings.credentials())


BASE = "https://pos.example"


@pytest.mark.parametrize(
    "address",
    [
        f"{BASE}?",
        f"{BASE}#",
        f"{BASE}/v1?",
        "https://@pos.example",
        "https://pos.example@evil.example",
        "https://pos.example\\@evil.example",
        "https://pos.example\\.evil.example",
        f"{BASE}\n",
        "https://pos\t.example",
        " https://pos.example",
        "https://pos.example/a b",
        f"{BASE}/../v2",
        f"{BASE}/./v2",
        f"{BASE}:0",
        f"{BASE}:CANARY",
        f"{BASE}:99999",
        "https:pos.example",
        "//pos.example",
        "",
    ],
)
def test_address_with_a_second_reading_is_refused(address: str) -> None:
    with pytest.raises(ValidationError) as caught:
        ToySettings(base_url=address)
    assert explain(caught.value).startswith("base_url: must ")
    assert "CANARY" not in str(caught.value)


def test_changed_copy_of_settings_is_validated() -> None:
    settings = ToySettings(base_url=BASE, access_token=SecretStr("t"))
    with pytest.raises(ValidationError, match="plain http"):
        settings.model_copy(update={"base_url": "http://evil.example"})
    moved = settings.model_copy(update={"base_url": f"{BASE}/v2/"})
    assert moved.base_url == f"{BASE}/v2"
    assert moved.access_token == settings.access_token
    assert settings.model_copy() == settings


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_settings_are_copied_and_never_pickled(copied: Callable[[object], object]) -> None:
    settings = ToySettings(base_url=BASE, access_token=SecretStr("CANARY-1"))
    for secret in (settings, settings.credentials()):
        assert copied(secret) == secret
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            with pytest.raises(TypeError, match="can't be pickled"):
                pickle.dumps([secret], protocol)
        shown = f"{secret!r} {secret} {secret.model_dump_json()} {secret.model_dump(mode='json')}"
        assert "CANARY" not in shown
