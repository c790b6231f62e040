"""The table of the benchmarks, of the figures that their command has written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import ref_markdown as md

__all__ = ["speed"]

FIGURES = Path(__file__).parents[1] / "explanation" / "speed.json"


def speed() -> str:
    """Return the date, the kind of machine, and a table with a row for each benchmark."""
    whole: dict[str, Any] = json.loads(FIGURES.read_text(encoding="utf-8"))
    heads = ["Row", "What / reference", "Min", "Median", "Max", "Bar"]
    table = md.table(heads, [_cells(row) for row in whole["rows"]])
    return f"Measured on {whole['date']}. Machine: {whole['machine']}.\n\n{table}"


def _cells(row: dict[str, Any]) -> list[str]:
    unit = "" if row["unit"] == "ratio" else f" {row['unit']}"
    figures = [f"{_shown(row[name])}{unit}" for name in ("min", "median", "max")]
    bar = f"{row['bar']}: {row['verdict']}" if row["bar"] else ""
    return [f"`{row['name']}`", row["text"], *figures, bar]


def _shown(figure: float) -> str:
    if figure >= 100:
        return f"{figure:.0f}"
    return f"{figure:.2f}" if figure >= 0.1 or not figure else f"{figure:.2g}"
