"""Secrets and people that are planted in a cassette are found, and what is harmless isn't."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tillpost.testing import leaks_in


def cassette(
    folder: Path, body: Any, headers: dict[str, list[str]] | None = None, path: str = "/orders"
) -> Path:
    request = {
        "method": "POST",
        "uri": f"https://toy.invalid{path}",
        "headers": headers or {},
        "body": "",
    }
    answer = {
        "status": {"code": 200, "message": "OK"},
        "headers": {},
        "body": {"string": json.dumps(body)},
    }
    file = folder / "case.yaml"
    file.write_text(
        json.dumps({"version": 1, "interactions": [{"request": request, "response": answer}]}),
        "utf-8",
    )
    return file


def kinds(file: Path, **options: Any) -> set[str]:
    return {leak.looks_like for leak in leaks_in(file, headers={"accept"}, **options)}


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"customer": {"name": "Ada"}}, "a person"),
        ({"display_name": "Ada"}, "a person"),
        ({"recipient": {"address": {"country": "GB"}}}, "a person"),
        ({"address_line_1": "12 St James's Sq"}, "a person"),
        ({"phone_number": "555"}, "a person"),
        ({"note": "ring twice"}, "a person"),
        ({"items": [{"name": "Toast for ada@lovelace.example"}]}, "an e-mail address"),
        ({"detail": "The phone number `+61 400 111 222` is wrong"}, "a phone number"),
        ({"detail": "0400 111 222 is wrong"}, "a phone number"),
        ({"access_token": "x"}, "a secret"),
        ({"client_secret": "x"}, "a secret"),
        ({"card": {"last_4": "1111"}}, "a secret"),
        ({"detail": "Bearer abcdefgh is wrong"}, "a token"),
        ({"detail": "EAAAlongaccesstoken"}, "a token"),
        ({"name": "sq0csp-abcdefghijkl"}, "a token"),
        ({"name": "eyJhbGciOiJI.eyJzdWIiOiIx.c2ln"}, "a token"),
        ({"url": "http://127.0.0.1:8123/x"}, "an address of a machine"),
        ({"file": "/home/ada/order.json"}, "an address of a machine"),
    ],
)
def test_what_is_planted_is_found(tmp_path: Path, body: Any, kind: str) -> None:
    assert kind in kinds(cassette(tmp_path, body))


def test_what_is_harmless_is_not_found(tmp_path: Path) -> None:
    body = {
        "id": "CAISENgvlJ6jLWAzERDzjyHVybY",
        "key": "pay-70cfe3410093dcc159d9adb1e3aa4932fe540189",
        "uid": "945986d1-9586-11e6-ad5a-28cfe92138cf",
        "updated_at": "2017-02-21T14:50:26.495Z",
        "version": 1487688626495,
        "name": "Flat white, 12 oz",
        "variation_name": "Large",
        "customer": {"name": "***", "phone": ""},
        "note": "***",
    }

    assert (
        leaks_in(cassette(tmp_path, body, {"accept": ["application/json"]}), headers={"accept"})
        == []
    )


def test_a_header_that_is_not_declared_is_found(tmp_path: Path) -> None:
    assert kinds(cassette(tmp_path, {}, {"Authorization": ["***"]})) == {
        "a header that isn't declared"
    }


def test_an_address_with_a_person_in_it_is_found(tmp_path: Path) -> None:
    assert kinds(cassette(tmp_path, {}, path="/customers?mail=ada@lovelace.example")) == {
        "an e-mail address"
    }


def test_canary_is_found_wherever_it_is(tmp_path: Path) -> None:
    file = cassette(tmp_path, {"id": "tok-canary-1"})

    assert kinds(file, canaries=["tok-canary-1"]) == {"a text that was used while recording"}
    assert kinds(file, canaries=["another"]) == set()
