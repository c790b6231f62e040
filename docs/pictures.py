"""Take pictures of the site's main pages with a headless browser, and check what can be checked.

`python docs/pictures.py` needs the site in `docs/_build/html` and Chromium: the program that
`CHROMIUM` names, else `chromium` or a like name on the path. The pictures are written to
`docs/_build/pictures`, for people to look at: light, dark, and as wide as a phone. `--browser` only
prints the path of the browser.

The exit code is 1 if a page, or a box of code in it, is wider than its window, an image or another
file is missing, or the browser's console shows an error.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

from playwright.sync_api import Browser, ConsoleMessage, Page, Response, sync_playwright

BUILT = Path(__file__).parent / "_build"
SITE = BUILT / "html"
PICTURES = BUILT / "pictures"

PAGES = (
    "index",
    "tutorial",
    "explanation/journey",
    "explanation/never-twice",
    "explanation/outbox",
    "how-to/index",
    "how-to/errors",
    "reference/index",
    "reference/settings",
    "reference/errors",
    "reference/refusals",
    "reference/cli",
    "reference/public-api",
    "reference/hooks",
    "reference/order",
    "reference/outbox-api",
    "reference/runbook",
    "architecture",
    "unconfirmed",
)

TALLEST = 2400
"""Pixels of a page that a picture shows at most."""

BROWSERS = ("chromium", "chromium-browser", "google-chrome")

# What a page must not have. Each line that is returned names one fault.
FAULTS = """() => {
  const faults = [];
  const page = document.documentElement;
  if (page.scrollWidth > page.clientWidth)
    faults.push(`the page is ${page.scrollWidth} px wide in a window of ${page.clientWidth}`);
  for (const code of document.querySelectorAll("article pre")) {
    const wider = code.scrollWidth - code.clientWidth;
    if (wider > 0)
      faults.push(`code is ${wider} px too wide: ${code.textContent.trim().slice(0, 60)}`);
  }
  for (const image of document.images)
    if (image.complete && image.naturalWidth === 0) faults.push(`no image: ${image.src}`);
  return faults;
}"""


class View(NamedTuple):
    """A window in which pages are shown."""

    name: str
    width: int
    height: int
    is_dark: bool = False


VIEWS = (
    View("light", 1280, 900),
    View("dark", 1280, 900, True),
    View("phone", 390, 844),
)


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves files without a log."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Write nothing."""


@contextmanager
def served(folder: Path) -> Generator[str]:
    """Serve a folder on this machine; yield its address."""
    server = ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(QuietHandler, directory=str(folder))
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def browser_program() -> str:
    """Return the path of Chromium. Exits with a message if there is none."""
    named = os.environ.get("CHROMIUM")
    found = [path for name in BROWSERS if (path := shutil.which(name))]
    if named or found:
        return named or found[0]
    sys.exit(
        "no Chromium found: install it (apt-get install chromium), or set CHROMIUM"
    )


def take_pictures(browser: Browser, address: str, view: View) -> list[str]:
    """Take a picture of each page in one view; return the faults that were found."""
    context = browser.new_context(
        viewport={"width": view.width, "height": view.height},
        color_scheme="dark" if view.is_dark else "light",
    )
    context.set_default_timeout(60_000)
    page = context.new_page()
    errors: list[str] = []

    def on_console(message: ConsoleMessage) -> None:
        if message.type == "error":
            errors.append(f"console: {message.text}")

    def on_response(response: Response) -> None:
        if response.status >= 400:
            errors.append(f"{response.status}: {response.url.removeprefix(address)}")

    page.on("console", on_console)
    page.on("pageerror", lambda error: errors.append(f"script: {error}"))
    page.on("response", on_response)
    faults: list[str] = []
    for name in PAGES:
        errors.clear()
        page.goto(f"{address}/{name}.html")
        found = [*errors, *page.evaluate(FAULTS)]
        faults += [f"{name} ({view.name}): {fault}" for fault in found]
        _save_picture(page, name, view)
    context.close()
    return faults


def _save_picture(page: Page, name: str, view: View) -> None:
    file = PICTURES / f"{name.replace('/', '-')}-{view.name}.png"
    height = min(page.evaluate("document.documentElement.scrollHeight"), TALLEST)
    page.set_viewport_size({"width": view.width, "height": height})
    page.screenshot(path=file)
    page.set_viewport_size({"width": view.width, "height": view.height})


def main() -> int:
    """Take all pictures, print the faults, and return the exit code."""
    if sys.argv[1:] == ["--browser"]:
        print(browser_program())
        return 0
    if not (SITE / "index.html").is_file():
        sys.exit("no site: run sphinx-build -b html docs docs/_build/html")
    shutil.rmtree(PICTURES, ignore_errors=True)
    PICTURES.mkdir(parents=True)
    faults: list[str] = []
    with served(SITE) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=browser_program(),
            args=[
                "--no-sandbox",
                "--disable-gpu",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
            ],
        )
        for view in VIEWS:
            faults += take_pictures(browser, address, view)
        browser.close()
    for fault in faults:
        print(fault, file=sys.stderr)
    print(f"{len(PAGES) * len(VIEWS)} pictures in {PICTURES}; faults: {len(faults)}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
