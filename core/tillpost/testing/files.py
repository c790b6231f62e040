"""Cassette files: vcrpy's YAML, readable, and the same on every machine.

They are UTF-8, with fields in their order, bodies as indented text, and the provenance at the top
as `metadata`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import vcr.serialize  # type: ignore[import-untyped]
import yaml  # type: ignore[import-untyped, unused-ignore]

from tillpost.testing.provenance import Provenance

__all__ = ["Reader", "keep", "read_provenance", "read_yaml"]

_vcr: Any = vcr.serialize
_yaml: Any = yaml


def read_yaml(path: Path) -> Any:
    """Return the content of a cassette file."""
    return _yaml.safe_load(path.read_text("utf-8"))


def read_provenance(path: Path) -> Provenance:
    """Return where a cassette comes from.

    Raises:
        ValueError: That is missing or invalid.
    """
    return Provenance.model_validate(read_yaml(path).get("metadata"))


def keep(path: Path, cassette: Any, provenance: Provenance) -> None:
    """Write vcrpy's `cassette` to a file.

    Nothing is written if only the date of the recording differs.
    """
    content = {
        "requests": cassette.requests,
        "responses": cassette.responses,
        "metadata": provenance.model_dump(mode="json", exclude_defaults=True),
    }
    text = str(_vcr.serialize(content, _Format))
    before = path.read_text("utf-8") if path.is_file() else ""
    if _undated(before) != _undated(text):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8", newline="\n")


def _undated(text: str) -> list[str]:
    return [line for line in text.splitlines() if not line.startswith("  recorded:")]


class Reader:
    """How vcrpy reads a file; an `empty` one reads nothing. `keep` writes files."""

    def __init__(self, *, empty: bool) -> None:
        self._empty = empty

    def load_cassette(self, path: str, serializer: object) -> Any:
        """Return the file's requests and responses."""
        if self._empty:
            return ([], [])
        return _vcr.deserialize(Path(path).read_text("utf-8"), _Format)

    def save_cassette(self, path: str, content: object, serializer: object) -> None:
        """Leave the file as it is."""


class _Format:
    """vcrpy's serialiser for YAML."""

    @staticmethod
    def serialize(content: Mapping[str, Any]) -> str:
        first = {"metadata": content["metadata"], "version": content["version"]}
        ordered = {**first, **content}
        return str(
            _yaml.dump(ordered, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
        )

    @staticmethod
    def deserialize(text: str) -> Any:
        return _yaml.safe_load(text)


class _Dumper(yaml.SafeDumper):  # type: ignore[misc, unused-ignore]
    """A YAML dumper that writes texts of several lines as blocks, and no references."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _block(dumper: Any, text: str) -> Any:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_yaml.add_representer(str, _block, Dumper=_Dumper)
