"""A file with tokens is its owner's alone, also if it existed before."""

from __future__ import annotations

import stat
from pathlib import Path

from tillpost.cli.private_files import write_private


def test_written_file_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    new, old = tmp_path / "new.toml", tmp_path / "old.toml"
    old.write_text("a longer text than the new one")
    old.chmod(0o666)
    for file in (new, old):
        write_private(file, "token = 1\n")
        assert file.read_text() == "token = 1\n"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
