"""The generic format's cassettes are sound, and fit the published document."""

from __future__ import annotations

from pathlib import Path

import httpx

from adapters.cassette_files import CassetteFiles, exchanges
from adapters.generic.cassette_origins import GENERIC
from adapters.generic.spec import HOST, PROBLEM, check_answer, check_request

HEADERS = {  # which no cassette keeps
    "Authorization": "Bearer made-up",
    "Idempotency-Key": "ord-1-0",
    "Tillpost-Timestamp": "1700000000",
    "Tillpost-Signature": "0" * 64,
}


class TestFiles(CassetteFiles):
    cassettes = GENERIC
    recorded_by = Path(__file__).with_name("test_cassettes.py")
    name, person = '"reference": "ord-1"', "phone"

    def test_requests_and_answers_fit_the_document(self, path: Path) -> None:
        for asked, answered in exchanges(path):
            uri = asked["uri"].replace(f"https://{GENERIC.host}", HOST)
            request = httpx.Request(
                asked["method"], uri, headers=HEADERS, content=asked["body"] or ""
            )
            check_request(request)
            body, status = answered["body"]["string"], answered["status"]["code"]
            if body.startswith(("{", "[")):  # a fault of the network is no answer of the POS
                kind = "application/json" if status < 400 else PROBLEM
                check_answer(
                    request, httpx.Response(status, headers={"Content-Type": kind}, content=body)
                )
