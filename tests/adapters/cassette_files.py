"""Tests of a platform's cassette files: provenance, size, no secrets and no personal data.

Recording them again must give the same files. A platform's own test derives from `CassetteFiles`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any, ClassVar

import pytest

from adapters.cassette_orders import CANARIES, CANARY
from tillpost.adapter.redaction import MASK
from tillpost.plugins.manager import adapter_named
from tillpost.testing import Cassettes, Source, leaks_in, read_provenance
from tillpost.testing.files import read_yaml

SAMPLES_OF_PEOPLE = (
    "Mia Chen",
    "+61400111222",
    "mia@example.com",
    "Tom O'Neil",
    "+61400333444",
    "Wattle St",
)
"""The people in this repository's example orders."""

UNRECORDED = frozenset(
    {"authorize_url", "parse_webhook", "exchange_code", "refresh", "revoke", "account"}
)
"""Operations without a cassette.

The first two send nothing. Of the exchanges of the next, masking leaves nothing to play. `account`
isn't about orders: it is called once, when a store is connected.
"""


def exchanges(path: Path) -> list[tuple[Any, Any]]:
    """Return the requests of a cassette, each with its response."""
    return [
        (exchange["request"], exchange["response"]) for exchange in read_yaml(path)["interactions"]
    ]


@contextmanager
def but_for_masks(misfit: type[Exception]) -> Generator[None]:
    """Ignore misfits that masking causes: a masked country isn't a country."""
    try:
        yield
    except misfit as error:
        if misfits := [fault for fault in str(error).split(" | ") if f"'{MASK}' is" not in fault]:
            raise misfit(" | ".join(misfits)) from error


class CassetteFiles:
    """The tests.

    Attributes:
        cassettes: The platform's cassettes.
        recorded_by: The test file that plays and records them.
        documents: How the origin of a vendor's sample begins.
        people: Personal data in such samples.
        operations: Operations with a cassette, beside the adapter's own.
        name: A text in `submit.yaml` under a public field.
        person: A field of `submit.yaml` with personal data.
    """

    cassettes: ClassVar[Cassettes]
    recorded_by: ClassVar[Path]
    documents: ClassVar[tuple[str, ...]] = ()
    people: ClassVar[tuple[str, ...]] = ()
    operations: ClassVar[frozenset[str]] = frozenset()
    name: ClassVar[str]
    person: ClassVar[str]

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Run what asks for a `path` for each cassette, and for a `source` for each source."""
        if "path" in metafunc.fixturenames:
            files = sorted(self.cassettes.folder.glob("*.yaml"))
            metafunc.parametrize("path", [pytest.param(path, id=path.stem) for path in files])
        if "source" in metafunc.fixturenames:
            sources = [pytest.param(Source.SIMULATOR, id="simulator")]
            if self.documents:
                mark = pytest.mark.vendor_document
                sources.append(pytest.param(Source.VENDOR_SAMPLE, id="samples", marks=mark))
            metafunc.parametrize("source", sources)

    def test_it_says_where_it_comes_from(self, path: Path) -> None:
        provenance = read_provenance(path)

        assert (provenance.platform, provenance.api_version) == (
            self.cassettes.platform,
            self.cassettes.api_version,
        )
        assert date.fromisoformat(provenance.recorded)
        if provenance.source is Source.VENDOR_SAMPLE:
            assert provenance.origin.startswith(self.documents)
        else:
            assert "no sample" in provenance.note

    def test_it_holds_no_secret_and_no_person(self, path: Path) -> None:
        used = (*CANARIES, *self.people, *SAMPLES_OF_PEOPLE)

        assert leaks_in(path, headers=self.cassettes.headers, canaries=used) == []

    def test_masking_it_again_changes_nothing(self, path: Path) -> None:
        mask = self.cassettes.mask
        for request, response in exchanges(path):
            for body in (request["body"] or "", response["body"]["string"]):
                assert mask.body(body.encode()).decode() == body
            assert mask.uri(request["uri"]) == request["uri"]

    def test_it_is_small_enough_to_be_read(self, path: Path) -> None:
        assert path.stat().st_size < 25_000

    @pytest.mark.parametrize("planted", [CANARIES[0], CANARY.phone, "ada@lovelace.example"])
    def test_secret_or_person_under_a_public_name_is_found(
        self, tmp_path: Path, planted: str
    ) -> None:
        spoilt = self._spoilt(tmp_path, self.name, planted)

        assert leaks_in(spoilt, headers=self.cassettes.headers, canaries=CANARIES)

    def test_person_in_field_made_public_by_mistake_is_found(self, tmp_path: Path) -> None:
        spoilt = self._spoilt(tmp_path, f'"{self.person}": "{MASK}"', f'"{self.person}": "Ada"')

        assert {leak.looks_like for leak in leaks_in(spoilt, headers=self.cassettes.headers)} == {
            "a person"
        }

    def _spoilt(self, folder: Path, text: str, instead: str) -> Path:
        """Return `submit.yaml` with another text in it."""
        (one,) = self.cassettes.folder.glob("submit.yaml")
        before = one.read_text("utf-8")
        assert text in before
        spoilt = folder / one.name
        spoilt.write_text(before.replace(text, instead), "utf-8")
        return spoilt

    def test_every_operation_has_a_cassette(self) -> None:
        adapter = adapter_named(self.cassettes.platform)
        written = adapter.capabilities() - adapter.carries
        wanted = written - UNRECORDED | self.operations

        assert wanted <= {path.stem for path in self.cassettes.folder.glob("*.yaml")}

    @pytest.mark.slow
    def test_recording_again_gives_the_same_files(self, tmp_path: Path, source: Source) -> None:
        """Record in a process of its own, as a person would. Only the date may differ."""
        command = [sys.executable, "-m", "pytest", str(self.recorded_by), "-q", "-n0"]
        plugins = "tillpost.testing.cassettes", "adapters.recording", "no:cacheprovider"
        for plugin in plugins:
            command += ["-p", plugin]
        command += ["--record", "--record-source", source, "--cassettes", str(tmp_path)]
        run = subprocess.run(
            command, capture_output=True, text=True, timeout=300, env=_with_tests_on_path()
        )
        assert run.returncode == 0, run.stdout + run.stderr
        assert _undated(tmp_path, source) == _undated(self.cassettes.folder, source)


def _with_tests_on_path() -> dict[str, str]:
    """Return the environment in which a plugin of the tests can be imported."""
    paths = [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


def _undated(folder: Path, source: Source) -> dict[str, list[str]]:
    """Return the lines of the cassettes of a source, without the dates, by the files' names."""
    found: dict[str, list[str]] = {}
    for path in folder.glob("*.yaml"):
        if read_provenance(path).source is source:
            lines = path.read_text("utf-8").splitlines()
            found[path.name] = [line for line in lines if not line.startswith("  recorded:")]
    return found
