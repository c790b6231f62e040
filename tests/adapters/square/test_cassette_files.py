"""What Square's cassettes must be like: of known origin, in Square's own form, small, without a secret or a person.

And recording them again gives the same files.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from adapters.square.cassette_origins import CANARIES, CANARY, DOCUMENT, PUBLISHED_PEOPLE, SQUARE
from adapters.square.spec import SpecError, SquareSpec, square_spec
from tillpost.redaction import MASK
from tillpost.testing import Source, leaks_in, read_provenance
from tillpost.testing.files import read_yaml
from tillpost_square.adapter import Square

FILES = [pytest.param(path, id=path.stem) for path in sorted(SQUARE.folder.glob("*.yaml"))]
SAMPLES_OF_PEOPLE = ("Mia Chen", "+61400111222", "mia@example.com", "Tom O'Neil", "+61400333444", "Wattle St")
"""Who stands in the example orders of this repository."""


@pytest.fixture(scope="module")
def spec() -> SquareSpec:
    return square_spec()


def exchanges(path: Path) -> list[tuple[Any, Any]]:
    return [(exchange["request"], exchange["response"]) for exchange in read_yaml(path)["interactions"]]


@pytest.mark.parametrize("path", FILES)
def test_it_says_where_it_comes_from(path: Path) -> None:
    said = read_provenance(path)

    assert (said.platform, said.api_version) == ("square", SQUARE.api_version)
    assert date.fromisoformat(said.recorded)
    if said.source is Source.VENDOR_SAMPLE:
        assert said.origin.startswith(DOCUMENT)
    else:
        assert "no sample" in said.note


@pytest.mark.parametrize("path", FILES)
def test_it_holds_no_secret_and_no_person(path: Path) -> None:
    used = (*CANARIES, *PUBLISHED_PEOPLE, *SAMPLES_OF_PEOPLE)

    assert leaks_in(path, headers=SQUARE.headers, canaries=used) == []


@pytest.mark.parametrize("path", FILES)
def test_masking_it_again_changes_nothing(path: Path) -> None:
    for request, response in exchanges(path):
        for body in (request["body"], response["body"]["string"]):
            assert SQUARE.mask.body(body.encode()).decode() == body
        assert SQUARE.mask.uri(request["uri"]) == request["uri"]


@pytest.mark.parametrize("planted", [CANARIES[0], CANARY.phone, "ada@lovelace.example"])
def test_a_secret_or_a_person_planted_under_a_public_name_is_found(tmp_path: Path, planted: str) -> None:
    (one,) = (path for path in SQUARE.folder.glob("submit.yaml"))
    spoilt = tmp_path / one.name
    spoilt.write_text(one.read_text("utf-8").replace("New York Strip Steak", planted), "utf-8")

    assert leaks_in(spoilt, headers=SQUARE.headers, canaries=CANARIES)


def test_a_person_in_a_field_that_was_declared_public_by_mistake_is_found(tmp_path: Path) -> None:
    (one,) = (path for path in SQUARE.folder.glob("submit.yaml"))
    spoilt = tmp_path / one.name
    spoilt.write_text(one.read_text("utf-8").replace(f'"display_name": "{MASK}"', '"display_name": "Ada"'), "utf-8")

    assert [leak.looks_like for leak in leaks_in(spoilt, headers=SQUARE.headers)] == ["a person"]


@pytest.mark.parametrize("path", FILES)
def test_its_requests_and_the_simulators_answers_are_such_as_square_describes(path: Path, spec: SquareSpec) -> None:
    simulated = read_provenance(path).source is Source.SIMULATOR  # samples are Square's own words, and not always fit
    for request, response in exchanges(path):
        method, uri = str(request["method"]), str(request["uri"])
        asked = urlsplit(uri)
        with _but_for_masks():
            spec.check_request(method, f"{asked.path}?{asked.query}", request["body"].encode())
        answer = response["body"]["string"]
        if simulated and answer.startswith("{"):
            with _but_for_masks():
                spec.check_answer(method, asked.path, response["status"]["code"], answer.encode())


@contextmanager
def _but_for_masks() -> Generator[None]:
    """Let a text pass that misfits because it is masked: it isn't a country any more."""
    try:
        yield
    except SpecError as error:
        if misfits := [misfit for misfit in str(error).split(" | ") if f"'{MASK}' is" not in misfit]:
            raise SpecError(" | ".join(misfits)) from error


UNRECORDED = frozenset({"authorize_url", "parse_webhook", "exchange_code", "refresh", "revoke", "account"})
"""The first two send nothing; of what the next send and get, masking leaves nothing to be played. `account` isn't about
orders, and is asked once, when a store is connected."""


def test_every_operation_has_a_cassette() -> None:
    wanted = Square.capabilities() - UNRECORDED | {"undo", "changed_since"}

    assert wanted <= {path.stem for path in SQUARE.folder.glob("*.yaml")}


@pytest.mark.parametrize("path", FILES)
def test_it_is_small_enough_to_be_read(path: Path) -> None:
    assert path.stat().st_size < 25_000


def test_recording_again_gives_the_same_files(tmp_path: Path, spec: SquareSpec) -> None:
    """In a process of its own, as a person would; another day may stand in them."""
    case = Path(__file__).with_name("test_cassettes.py")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tillpost.testing.cassettes", "-p", "no:cacheprovider"]
    options = [str(case), "-k", "sync and not async", "--record", "--cassettes", str(tmp_path)]
    run = subprocess.run([*command, *options], capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stdout

    def undated(folder: Path) -> dict[str, list[str]]:
        return {
            path.name: [line for line in path.read_text("utf-8").splitlines() if not line.startswith("  recorded:")]
            for path in folder.glob("*.yaml")
        }

    assert undated(tmp_path) == undated(SQUARE.folder)
