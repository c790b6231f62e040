"""The control address: what a person or a test may ask of a running simulator, under `/_simulator/`.

GET  /_simulator/            what there is to ask, and the actions by name GET  /_simulator/ledger
the ledger GET  /_simulator/requests    the log of requests, and how many there were of each GET
/_simulator/faults      the faults that struck POST /_simulator/faults      a fault plan, replacing
the last POST /_simulator/reset       begin again POST /_simulator/change      {"action": "...",
...}: one of the platform's actions, its arguments beside its name
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import cast

from aiohttp import web
from pydantic import BaseModel, ValidationError, validate_call
from pydantic_core import from_json, to_jsonable_python

from tillpost.simulator.faults import FaultPlan
from tillpost.simulator.simulator import Simulator

CONTROL = "/_simulator"


def control_routes(simulator: Simulator) -> Sequence[web.AbstractRouteDef]:
    """The control address of `simulator`. Whoever serves it keeps it to the loopback."""

    async def overview(_: web.Request) -> web.Response:
        actions = {name: str(inspect.signature(act)) for name, act in simulator.actions().items()}
        return _json(
            {
                "ledger": simulator.ledger().summary(),
                "requests": len(simulator.requests),
                "actions": actions,
            }
        )

    async def ledger(_: web.Request) -> web.Response:
        with simulator.lock:
            return _json(simulator.ledger())

    async def requests(_: web.Request) -> web.Response:
        return _json(
            {
                "count": len(simulator.requests),
                "counts": simulator.counts(),
                "log": simulator.requests,
            }
        )

    async def faults(_: web.Request) -> web.Response:
        return _json({"count": len(simulator.faults), "faults": simulator.faults})

    async def set_faults(request: web.Request) -> web.Response:
        try:
            simulator.set_faults(FaultPlan.model_validate_json(await request.read()))
        except ValidationError as error:
            return _refuse(error)
        return _json({"ok": True})

    async def reset(_: web.Request) -> web.Response:
        simulator.reset()
        return _json({"ok": True})

    async def change(request: web.Request) -> web.Response:
        try:
            wanted: object = from_json(await request.read())
        except ValueError as error:
            return _refuse(error)
        arguments = dict(cast("dict[str, object]", wanted)) if isinstance(wanted, dict) else {}
        name = arguments.pop("action", None)
        act = simulator.actions().get(name) if isinstance(name, str) else None
        if act is None:
            return _json(
                {"error": f"no action {name!r}", "actions": list(simulator.actions())}, status=404
            )
        try:
            return _json({"ok": True, "result": validate_call(act)(**arguments)})
        except (ValidationError, LookupError, ValueError) as error:
            return _refuse(error)

    return [
        web.get(CONTROL, overview),
        web.get(f"{CONTROL}/", overview),
        web.get(f"{CONTROL}/ledger", ledger),
        web.get(f"{CONTROL}/requests", requests),
        web.get(f"{CONTROL}/faults", faults),
        web.post(f"{CONTROL}/faults", set_faults),
        web.post(f"{CONTROL}/reset", reset),
        web.post(f"{CONTROL}/change", change),
    ]


def _json(value: object, status: int = 200) -> web.Response:
    plain = (
        value.model_dump(mode="json") if isinstance(value, BaseModel) else to_jsonable_python(value)
    )
    return web.json_response(plain, status=status)


def _refuse(error: Exception) -> web.Response:
    return _json({"error": str(error)}, status=400)
