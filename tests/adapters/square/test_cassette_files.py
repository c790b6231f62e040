"""What Square's cassettes must be like: as all are, and in Square's own form."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from adapters.cassette_files import CassetteFiles, but_for_masks, exchanges
from adapters.square.cassette_origins import DOCUMENT, PUBLISHED_PEOPLE, SQUARE
from adapters.square.spec import SpecError, square_spec
from tillpost.testing import Source, read_provenance


class TestFiles(CassetteFiles):
    cassettes = SQUARE
    recorded_by = Path(__file__).with_name("test_cassettes.py")
    documents = (DOCUMENT,)
    people = PUBLISHED_PEOPLE
    operations = frozenset({"undo", "changed_since"})
    name, person = "New York Strip Steak", "display_name"

    def test_requests_and_answers_fit_squares_description(self, path: Path) -> None:
        spec = square_spec()
        simulated = (
            read_provenance(path).source is Source.SIMULATOR
        )  # samples are Square's words, and not always fit
        for request, response in exchanges(path):
            method, uri = str(request["method"]), str(request["uri"])
            asked = urlsplit(uri)
            with but_for_masks(SpecError):
                spec.check_request(method, f"{asked.path}?{asked.query}", request["body"].encode())
            answer = response["body"]["string"]
            if simulated and answer.startswith("{"):
                with but_for_masks(SpecError):
                    spec.check_answer(
                        method, asked.path, response["status"]["code"], answer.encode()
                    )
