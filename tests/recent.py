"""When a run's orders were placed: recently, and at the same time in all of its processes.

An order that was placed long ago is looked up first on a platform that forgets keys.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime

__all__ = ["PLACED_AT"]

PLACED_AT = os.environ.setdefault("TESTS_BEGAN", datetime.now(UTC).isoformat(timespec="seconds"))
