"""Sphinx extension: writes our own SVG drawings into the page, so that they follow its theme.

As an image, a drawing follows the system's light or dark mode; in the page it follows the reader's
choice too, since `site.css` sets its colours. Other builders than HTML keep the image.
"""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

from docutils import nodes  # type: ignore[import-untyped]
from sphinx.application import Sphinx

_DECLARATION = re.compile(r"^\s*<\?xml.*?\?>\s*")


class InlineDrawings:
    """Replaces each image of a local SVG file by the drawing itself."""

    def __init__(self, app: Sphinx) -> None:
        self.source = Path(app.srcdir)
        self.is_html = app.builder.format == "html"

    def replace_in(self, document: Any) -> None:
        """Replace the drawings of one document."""
        for image in list(document.findall(nodes.image)):
            file = self.source / image["uri"]
            if self.is_html and file.suffix == ".svg" and file.is_file():
                image.replace_self(_drawing(file, image.get("alt", "")))


def _drawing(file: Path, text: str) -> nodes.raw:
    svg = _DECLARATION.sub("", file.read_text(encoding="utf-8"))
    # A blank line would end the block for some Markdown readers; none is needed.
    svg = re.sub(r"\n\s*\n", "\n", svg)
    caption = html.escape(text)
    figure = f'<div class="drawing" role="group" aria-label="{caption}" tabindex="0">{svg}</div>'
    return nodes.raw("", figure, format="html")


def inline_drawings(app: Sphinx, document: Any, _name: str) -> None:
    """Replace the drawings of a document that is about to be written."""
    InlineDrawings(app).replace_in(document)


def setup(app: Sphinx) -> dict[str, object]:
    """Register the extension."""
    app.connect("doctree-resolved", inline_drawings)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
