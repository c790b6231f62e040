"""What Kounta's cassettes must be like: as all are."""

from __future__ import annotations

from pathlib import Path

from adapters.cassette_files import CassetteFiles
from adapters.kounta.cassette_origins import DOCUMENT, KOUNTA, PUBLISHED_PEOPLE


class TestFiles(CassetteFiles):
    cassettes = KOUNTA
    recorded_by = Path(__file__).with_name("test_cassettes.py")
    documents = (DOCUMENT,)
    people = PUBLISHED_PEOPLE
    name, person = "Salmon Sandwich", "first_name"
