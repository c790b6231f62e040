"""Where the vendors' own documents are: they aren't ours to publish, so no clone has them.

Set `TILLPOST_VENDOR_DOCUMENTS` to a folder that has `square-openapi.json` and `fixtures/kounta/`.
Then the tests marked `vendor_document` run too, and exchanges with Square are checked against its
document as well as against its SDK. Without it those tests are deselected; `.ci/run` has a step for
them.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

VARIABLE = "TILLPOST_VENDOR_DOCUMENTS"
SQUARE = "square-openapi.json"
KOUNTA = "fixtures/kounta"


def vendor_documents() -> Path | None:
    """Return the folder, or None where the environment names none."""
    folder = os.environ.get(VARIABLE)
    return Path(folder) if folder else None


def vendor_document(name: str) -> Path:
    """Return the path of a document; raise FileNotFoundError where there is none."""
    folder = vendor_documents()
    if folder is None:
        raise FileNotFoundError(f"{name} is a vendor's document: set {VARIABLE} to its folder")
    path = folder / name
    if not path.exists():
        raise FileNotFoundError(f"{VARIABLE} is {folder}, which has no {name}")
    return path


def kounta_sample(name: str) -> Any:
    """Return one of the samples in Kounta's documentation, such as "order"."""
    return json.loads(vendor_document(f"{KOUNTA}/{name}.json").read_text("utf-8"))
