"""A Kounta company whose access token has expired, and what connects it."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from tillpost.simulator import Running, serve_in_thread
from tillpost_simulators.kounta import KountaSettings, KountaSimulator

__all__ = ["expired_kounta", "settings_of"]


@contextmanager
def expired_kounta() -> Generator[Running[KountaSimulator]]:
    """Serve a company whose token has expired, and whose refresh tokens are good for one use."""
    settings = KountaSettings(rotates_refresh_tokens=True)
    with serve_in_thread(KountaSimulator(settings)) as running:
        running.simulator.expire_token()
        yield running


def settings_of(running: Running[KountaSimulator], **changed: object) -> dict[str, object]:
    """Return the settings of a quick connection to a company, with what refreshes its token."""
    app = running.simulator.settings
    client = {"client_id": app.client_id, "client_secret": app.client_secret}
    quick = {"import_pace": 0, "look_after": [0.01, 0.02]}
    return {**running.settings, **client, "refresh_token": app.refresh_token, **quick, **changed}
