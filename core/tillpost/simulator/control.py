"""The control address of a running simulator, for people and tests.

It is under `/_simulator/`.

GET  /_simulator/            a summary, and the actions with their signatures
GET  /_simulator/ledger      the ledger
GET  /_simulator/register    every order on the register as text; `?order=ID` is one of them
GET  /_simulator/requests    the request log, and the number of requests by method and path
GET  /_simulator/faults      the faults injected so far
POST /_simulator/faults      a fault plan, which replaces the current one
POST /_simulator/reset       restore the initial state
POST /_simulator/change      {"action": "...", ...}: run an action with these arguments
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
    """Return the control address of `simulator`.

    The server restricts it to the loopback.
    """

    async def overview(_: web.Request) -> web.Response:
        signatures = {
            name: str(inspect.signature(act)) for name, act in simulator.actions().items()
        }
        summary = {
            "ledger": simulator.ledger().summary(),
            "requests": len(simulator.requests),
            "actions": signatures,
        }
        return _json(summary)

    async def ledger(_: web.Request) -> web.Response:
        with simulator.lock:
            return _json(simulator.ledger())

    async def register(request: web.Request) -> web.Response:
        order = request.query.get("order")
        if order is None:
            return web.Response(text=simulator.register_views())
        try:
            return web.Response(text=simulator.register_view(order))
        except LookupError as error:
            return _json({"error": str(error)}, status=404)

    async def requests(_: web.Request) -> web.Response:
        log = {
            "count": len(simulator.requests),
            "counts": simulator.counts(),
            "log": simulator.requests,
        }
        return _json(log)

    async def faults(_: web.Request) -> web.Response:
        return _json({"count": len(simulator.faults), "faults": simulator.faults})

    async def set_faults(request: web.Request) -> web.Response:
        body = await request.read()
        try:
            plan = FaultPlan.model_validate_json(body)
        except ValidationError as error:
            return _bad_request(error)
        simulator.set_faults(plan)
        return _json({"ok": True})

    async def reset(_: web.Request) -> web.Response:
        simulator.reset()
        return _json({"ok": True})

    async def change(request: web.Request) -> web.Response:
        return _run_action(simulator, await request.read())

    return [
        web.get(CONTROL, overview),
        web.get(f"{CONTROL}/", overview),
        web.get(f"{CONTROL}/ledger", ledger),
        web.get(f"{CONTROL}/register", register),
        web.get(f"{CONTROL}/requests", requests),
        web.get(f"{CONTROL}/faults", faults),
        web.post(f"{CONTROL}/faults", set_faults),
        web.post(f"{CONTROL}/reset", reset),
        web.post(f"{CONTROL}/change", change),
    ]


def _run_action(simulator: Simulator, body: bytes) -> web.Response:
    try:
        parsed: object = from_json(body)
    except ValueError as error:
        return _bad_request(error)
    arguments = dict(cast("dict[str, object]", parsed)) if isinstance(parsed, dict) else {}
    name = arguments.pop("action", None)
    actions = simulator.actions()
    act = actions.get(name) if isinstance(name, str) else None
    if act is None:
        return _json({"error": f"no action {name!r}", "actions": list(actions)}, status=404)
    try:
        result = validate_call(act)(**arguments)
    except (ValidationError, LookupError, ValueError) as error:
        return _bad_request(error)
    return _json({"ok": True, "result": result})


def _json(value: object, status: int = 200) -> web.Response:
    if isinstance(value, BaseModel):
        return web.json_response(value.model_dump(mode="json"), status=status)
    return web.json_response(to_jsonable_python(value), status=status)


def _bad_request(error: Exception) -> web.Response:
    return _json({"error": str(error)}, status=400)
