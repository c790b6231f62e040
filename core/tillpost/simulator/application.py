"""The web application of a simulator: the platform's routes, the faults round them, and the control address beside.

Order of things for a request: is it for the control address? which fault strikes it? then the
platform's handler, under the lock; then the fault has its way with the answer; then the log.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import logging
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import TypeAlias, cast

from aiohttp import web

from tillpost.simulator.control import CONTROL, control_routes
from tillpost.simulator.exchange import Answer, Call, Handler
from tillpost.simulator.faults import Fault, FaultKind
from tillpost.simulator.simulator import Simulator

log = logging.getLogger("tillpost.simulator")

_LARGEST_BODY = 16 * 1024 * 1024
_PAGE = b"<!DOCTYPE html><html><head><title>Bad gateway</title></head><body><h1>Bad gateway</h1></body></html>"

WebHandler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]


def application(simulator: Simulator) -> web.Application:
    """The aiohttp application that serves `simulator`, faults and control address included."""

    @web.middleware
    async def with_faults(request: web.Request, handler: WebHandler) -> web.StreamResponse:
        if request.path.startswith(CONTROL):
            return await _control(request, handler)
        await request.read()  # a fault must not strike a request that the client is still writing
        fault = simulator.draw_fault(request.method, request.path)
        response: web.StreamResponse | None = None
        if fault is None:
            response = await _platform(simulator, request, handler)
        elif fault.moment == "after":
            answered = await _platform(simulator, request, handler)
            response = await _spoil(simulator, request, fault, answered)
        else:
            response = await _spoil(simulator, request, fault, None)
        if response is None:
            simulator.note_request(request.method, request.path, 0, fault)
            return web.Response()  # never sent: the connection is gone
        simulator.note_request(request.method, request.path, response.status, fault)
        return response

    app = web.Application(middlewares=[with_faults], client_max_size=_LARGEST_BODY)
    for route in simulator.routes():
        app.router.add_route(route.method, route.path, _web_handler(simulator, route.handler))
    app.router.add_routes(control_routes(simulator))
    return app


def to_web(answer: Answer) -> web.Response:
    """An answer in the web server's terms."""
    return web.Response(
        status=answer.status,
        body=answer.body,
        content_type=answer.content_type,
        headers=dict(answer.headers),
    )


async def _control(request: web.Request, handler: WebHandler) -> web.StreamResponse:
    """The control address answers the loopback only: it can change everything and asks for no credential."""
    if not ipaddress.ip_address(request.remote or "0.0.0.0").is_loopback:  # noqa: S104 - not bound to, only compared
        return web.json_response(
            {"error": "the control address answers the loopback only"}, status=403
        )
    return await handler(request)


async def _platform(
    simulator: Simulator, request: web.Request, handler: WebHandler
) -> web.Response:
    """The platform's answer to a request, whatever becomes of it afterwards."""
    with simulator.lock:
        outage = simulator.down()
    if outage is not None:
        return to_web(outage)
    try:
        return cast("web.Response", await handler(request))
    except web.HTTPException as unrouted:
        return to_web(simulator.failure(unrouted.status))
    except Exception:
        log.exception("the simulator failed at %s %s", request.method, request.path)
        return to_web(simulator.failure(500))


def _web_handler(simulator: Simulator, handler: Handler) -> WebHandler:
    async def handle(request: web.Request) -> web.StreamResponse:
        call = Call(
            method=request.method,
            path=request.path,
            body=await request.read(),
            headers={name.lower(): value for name, value in request.headers.items()},
            query=dict(request.query),
            path_values=dict(request.match_info),
            target=request.raw_path,
        )
        with simulator.lock:
            return to_web(handler(call))

    return handle


async def _spoil(
    simulator: Simulator, request: web.Request, fault: Fault, answered: web.Response | None
) -> web.StreamResponse | None:
    """What is sent instead of `answered` (None when the platform hasn't been asked), or None when nothing is."""
    match fault.kind:
        case FaultKind.LOST_ANSWER:
            _close(request)
            return None
        case FaultKind.RESET:
            _reset(request)
            return None
        case FaultKind.TIMEOUT:
            await asyncio.sleep(fault.hang_seconds)
            _close(request)
            return None
        case FaultKind.SERVER_ERROR:
            return to_web(simulator.failure(fault.code))
        case FaultKind.RATE_LIMITED:
            return to_web(simulator.failure(fault.code, fault.retry_after))
        case FaultKind.HTML:
            return web.Response(status=fault.code, body=_PAGE, content_type="text/html")
        case FaultKind.EMPTY:
            return web.Response(status=fault.code)
        case FaultKind.NULL:
            return web.Response(status=fault.code, body=b"null", content_type="application/json")
        case FaultKind.WRONG_TYPE:
            return web.json_response(_wrong_type(_body(answered)), status=fault.code)
        case FaultKind.TRUNCATED:
            return await _truncated(request, answered)
        case FaultKind.SLOW_DRIP:
            return await _drip(request, answered, fault.drip_seconds)


def _body(answered: web.Response | None) -> bytes:
    return answered.body if answered is not None and isinstance(answered.body, bytes) else b""


def _wrong_type(body: bytes) -> object:
    """The same keys with 7 for each value; a list when there is no object to start from."""
    try:
        value: object = json.loads(body)
    except ValueError:
        value = None
    if isinstance(value, dict) and value:
        return dict.fromkeys(cast("dict[str, object]", value), 7)
    return [7]


def _begun(answered: web.Response | None, length: int) -> web.StreamResponse:
    """An answer that is written piece by piece, with the status and the headers of the whole one."""
    headers = answered.headers if answered else {"Content-Type": "application/json"}
    response = web.StreamResponse(status=answered.status if answered else 200, headers=headers)
    response.content_length = length
    return response


async def _truncated(request: web.Request, answered: web.Response | None) -> web.StreamResponse:
    """Promises more than it sends, then closes."""
    body = _body(answered) or b'{"cut": "short"}'
    response = _begun(answered, len(body))
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    _close(request)
    return response


async def _drip(
    request: web.Request, answered: web.Response | None, seconds: float
) -> web.StreamResponse:
    """Sends the whole answer, slowly. Before the effect there is no answer to send, so spaces and an empty object."""
    body = _body(answered) or b" " * 20 + b"{}"
    response = _begun(answered, len(body))
    await response.prepare(request)
    pieces = min(len(body), 20)
    size = -(-len(body) // pieces)
    for start in range(0, len(body), size):
        await response.write(body[start : start + size])
        await asyncio.sleep(seconds / pieces)
    await response.write_eof()
    return response


def _close(request: web.Request) -> None:
    """Ends the connection in good order: what was written is sent, and nothing more."""
    if request.transport is not None:
        request.transport.close()


def _reset(request: web.Request) -> None:
    """Ends the connection with a RST: lingering for 0 seconds makes the kernel throw the socket away."""
    if request.transport is not None:
        raw: object = request.transport.get_extra_info("socket")
        if raw is not None:
            cast("socket.socket", raw).setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )
        request.transport.abort()
