"""The generic adapter connects to public addresses only, unless that is switched off."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from adapters.generic.store import ONCE, adapter_for
from adapters.square.shop_orders import TOASTIE, paid
from tillpost import SetupError, Till
from tillpost.errors import Outcome
from tillpost.simulator import serve_in_thread
from tillpost.submission.context import Connection
from tillpost_generic.adapter import Generic
from tillpost_generic.settings import GenericSettings
from tillpost_simulators.generic import GenericSimulator

ORDER = paid("ord_1", [TOASTIE])


def test_private_address_is_used_only_with_allow_private() -> None:
    with serve_in_thread(GenericSimulator()) as running:
        stranger = adapter_for(running.simulator, running.url, allow_private=False)
        with Till(Connection(stranger, policy=ONCE)) as till:
            with pytest.raises(SetupError, match="isn't a public one") as raised:
                till.submit(ORDER)
            assert raised.value.outcome is Outcome.NOT_CREATED
            assert not till.check().ready
        assert running.simulator.requests == ()
        with Till(Connection(adapter_for(running.simulator, running.url), policy=ONCE)) as till:
            assert till.submit(ORDER).total == ORDER.total


@pytest.mark.parametrize("private", ["127.0.0.1", "::ffff:127.0.0.1"])
def test_public_name_that_resolves_to_this_machine_is_refused(
    monkeypatch: pytest.MonkeyPatch, private: str
) -> None:
    real = socket.getaddrinfo

    def rebound(host: Any, *more: Any, **named: Any) -> Any:
        return real(private if host in ("pos.example", b"pos.example") else host, *more, **named)

    monkeypatch.setattr(socket, "getaddrinfo", rebound)
    with serve_in_thread(GenericSimulator()) as running:
        port = running.url.rpartition(":")[2]
        stranger = adapter_for(
            running.simulator, f"https://pos.example:{port}", allow_private=False
        )
        with (
            Till(Connection(stranger, policy=ONCE)) as till,
            pytest.raises(SetupError, match="isn't a public one"),
        ):
            till.submit(ORDER)
        assert running.simulator.requests == ()


def test_public_addresses_only_unless_allow_private_is_set() -> None:
    simulator = GenericSimulator()
    known: dict[str, Any] = dict(simulator.connection_settings("https://pos.example"))
    del known["allow_private"]
    assert not adapter_for(simulator).public_only
    assert Generic(GenericSettings.model_validate(known)).public_only
