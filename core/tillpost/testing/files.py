"""Cassettes as files, in vcrpy's format, written so that they are the same on every machine and read by people.

UTF-8, fields in their order, bodies as indented text, and the provenance at the top, where vcrpy
keeps `metadata`.
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
    """Return what stands in a cassette's file."""
    return _yaml.safe_load(path.read_text("utf-8"))


def read_provenance(path: Path) -> Provenance:
    """Return where the cassette at `path` comes from. Raises `ValueError` when it doesn't say, or says it wrongly."""
    return Provenance.model_validate(read_yaml(path).get("metadata"))


def keep(path: Path, cassette: Any, provenance: Provenance) -> None:
    """Write what vcrpy's `cassette` has recorded, unless the file says the same already, but for its day."""
    told = {"requests": cassette.requests, "responses": cassette.responses}
    text = str(
        _vcr.serialize(
            {**told, "metadata": provenance.model_dump(mode="json", exclude_defaults=True)}, _Format
        )
    )
    before = path.read_text("utf-8") if path.is_file() else ""
    if _undated(before) != _undated(text):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8", newline="\n")


def _undated(text: str) -> list[str]:
    return [line for line in text.splitlines() if not line.startswith("  recorded:")]


class Reader:
    """How vcrpy gets at a file, or at none when it is `empty`. It never writes one; `keep` does."""

    def __init__(self, *, empty: bool) -> None:
        self._empty = empty

    def load_cassette(self, path: str, serializer: object) -> Any:
        """Return the file's requests and responses."""
        return ([], []) if self._empty else _vcr.deserialize(Path(path).read_text("utf-8"), _Format)

    def save_cassette(self, path: str, content: object, serializer: object) -> None:
        """Leave the file as it is."""


class _Format:
    """YAML, as vcrpy asks for it."""

    @staticmethod
    def serialize(content: Mapping[str, Any]) -> str:
        first = {"metadata": content["metadata"], "version": content["version"]}
        written = _yaml.dump(
            {**first, **content}, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120
        )
        return str(written)

    @staticmethod
    def deserialize(text: str) -> Any:
        return _yaml.safe_load(text)


class _Dumper(yaml.SafeDumper):  # type: ignore[misc, unused-ignore]
    """Writes texts of several lines as blocks, and nothing by reference."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _block(dumper: Any, text: str) -> Any:
    return dumper.represent_scalar(
        "tag:yaml.org,2002:str", text, style="|" if "\n" in text else None
    )


_yaml.add_representer(str, _block, Dumper=_Dumper)
