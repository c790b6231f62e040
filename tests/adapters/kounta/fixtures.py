"""The vendor's samples of Kounta's answers, which stand beside this repository or where `TILLPOST_FIXTURES` says."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

WHERE = "TILLPOST_FIXTURES"
BESIDE = Path(__file__).parents[4] / "shared" / "reference" / "fixtures"


def fixtures() -> Path:
    """Where the samples are. Skips the test when they aren't at hand; in CI that is a failure."""
    where = Path(os.environ.get(WHERE, BESIDE)) / "kounta"
    if not where.is_dir():
        message = f"the vendor's samples aren't at hand (set {WHERE})"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return where


def sample(name: str) -> Any:
    """Return a sample by its name, such as "order"."""
    return json.loads((fixtures() / f"{name}.json").read_text())
