"""The results of the benchmarks, as a table, as JSON and as a drawing."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from html import escape

from benchmarks.frame import NoLessThan, Result

__all__ = ["as_json", "as_svg", "as_table"]

_HEAD = ("row", "min", "median", "max", "bar", "")


def as_table(results: Iterable[Result]) -> str:
    """Return the results as a table for people."""
    rows = [_HEAD, *(_cells(result) for result in results)]
    widths = [max(len(cells[column]) for cells in rows) for column in range(len(_HEAD))]
    return "\n".join(_line(cells, widths) for cells in rows)


def _cells(result: Result) -> Sequence[str]:
    row = result.row
    figures = (min(result.figures), result.median, max(result.figures))
    bar = str(row.bar or "")
    return (row.name, *(_shown(figure, row.unit) for figure in figures), bar, result.verdict)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    name, *others = cells
    padded = [name.ljust(widths[0])]
    padded += [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
    return "  ".join(padded).rstrip()


def _shown(figure: float, unit: str) -> str:
    if figure >= 100:
        text = f"{figure:.0f}"
    else:
        text = f"{figure:.2f}" if figure >= 0.1 or not figure else f"{figure:.2g}"
    return f"{text} {unit}".rstrip()


def as_json(results: Iterable[Result], *, machine: str, date: str) -> str:
    """Return all figures, with what they are."""
    rows = [
        {
            "name": result.row.name,
            "text": result.row.text,
            "unit": result.row.unit or "ratio",
            "bar": str(result.row.bar or ""),
            "verdict": result.verdict,
            "min": min(result.figures),
            "median": result.median,
            "max": max(result.figures),
            "figures": result.figures,
        }
        for result in results
    ]
    whole = {"machine": machine, "date": date, "rows": rows}
    return json.dumps(whole, indent=1) + "\n"


# The drawing: a line a row from its least to its largest figure, on a logarithmic scale, with a dot
# at the median and a tick at the bar, which points to where the dot should be.

_LEFT, _WIDTH, _ROW, _TOP = 240, 620, 22, 40
_STYLE = (
    "text{font:12px sans-serif;fill:#444}.grid{stroke:#ccc}.range{stroke:#4a76a8;stroke-width:3}"
    ".bar{stroke:#b3372b;stroke-width:2}circle{fill:#4a76a8}.holds{fill:#2c7a4b}.missed{fill:#b3372b}"
)


def as_svg(results: Iterable[Result], *, title: str) -> str:
    """Return the results that are ratios as an SVG drawing.

    Raises:
        ValueError: none is.
    """
    shown = [result for result in results if not result.row.unit]
    if not shown:
        raise ValueError("none of these rows is a ratio, so there is nothing to draw")
    figures = [figure for result in shown for figure in result.figures]
    figures += [result.row.bar.limit for result in shown if result.row.bar]
    lowest = math.floor(math.log10(min(figures)))
    highest = max(math.ceil(math.log10(max(figures))), lowest + 1)
    height = _TOP + _ROW * len(shown)
    width = _LEFT + _WIDTH + 40

    def x(figure: float) -> float:
        share = (math.log10(figure) - lowest) / (highest - lowest)
        return round(_LEFT + _WIDTH * share, 1)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">',
        f"<title>{escape(title)}</title>",
        f"<style>{_STYLE}</style>",
    ]
    for exponent in range(lowest, highest + 1):
        at = x(10**exponent)
        parts.append(f'<line class="grid" x1="{at}" x2="{at}" y1="24" y2="{height}"/>')
        parts.append(f'<text x="{at}" y="16" text-anchor="middle">{10.0**exponent:g}</text>')
    for number, result in enumerate(shown):
        parts += _drawn(result, x, _TOP + _ROW * number)
    parts.append("</svg>")
    return "\n".join(parts) + "\n"


def _drawn(result: Result, x: Callable[[float], float], y: int) -> Iterator[str]:
    """Yield the elements of a row that is drawn at a height."""
    least, most = x(min(result.figures)), x(max(result.figures))
    bar = result.row.bar
    yield f'<text x="0" y="{y + 4}">{escape(result.row.name)}</text>'
    yield f'<line class="range" x1="{least}" x2="{most}" y1="{y}" y2="{y}"/>'
    yield f'<circle class="{result.verdict}" cx="{x(result.median)}" cy="{y}" r="5"/>'
    if bar:
        at = x(bar.limit)
        to_median = at + (8 if isinstance(bar, NoLessThan) else -8)
        yield f'<path class="bar" d="M{at} {y - 8}V{y + 8}M{at} {y}H{to_median}"/>'
