"""Write a file that only its owner can read, since it holds tokens."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["write_private"]


def write_private(path: Path, text: str) -> None:
    """Write a text file with the permissions 0600, also if it exists with others.

    Raises:
        OSError: It can't be written.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        if hasattr(os, "fchmod"):  # Windows has none
            os.fchmod(descriptor, 0o600)
        file.truncate()
        file.write(text)
