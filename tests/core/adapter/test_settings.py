"""Settings: which addresses and tokens are valid, and that no message shows a secret."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

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
