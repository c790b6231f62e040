from __future__ import annotations

import socket
import ssl

import pytest

from tillpost.simulator.sender import Sender, Sent


def test_many_webhooks_read_the_certificates_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading them takes 20 ms of a processor, and a burst has hundreds of webhooks."""
    contexts: list[ssl.SSLContext] = []
    create = ssl.create_default_context

    def counted(cafile: str | None = None) -> ssl.SSLContext:
        contexts.append(create(cafile=cafile))
        return contexts[-1]

    monkeypatch.setattr(ssl, "create_default_context", counted)
    sender = Sender()
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/"
        webhooks = [Sent(url, "order.updated", b"%d" % number, ()) for number in range(3)]
        for webhook in webhooks:
            sender.send(webhook)
        assert sender.wait() == webhooks
    assert len(contexts) == 1
