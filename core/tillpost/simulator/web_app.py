"""The web application of a simulator.

It has the platform's routes, the faults and the control address. A request to the control address
goes straight to it. Any other request is handled in this order: draw its fault, run the platform's
handler under the lock (unless the fault strikes before it), apply the fault to the answer, add the
request to the log.
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
from urllib.parse import urlsplit

from aiohttp import web

from tillpost.simulator.control import CONTROL, control_routes
from tillpost.simulator.exchange import Answer, Call, Handler
from tillpost.simulator.faults import Fault, FaultKind
from tillpost.simulator.simulator import Simulator

log = logging.getLogger("tillpost.simulator")

_MAX_BODY_BYTES = 16 * 1024 * 1024
_DRIP_PIECES = 20
_HTML_PAGE = (
    b"<!DOCTYPE html><html><head><title>Bad gateway</title></head>"
    b"<body><h1>Bad gateway</h1></body></html>"
)

WebHandler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]


def web_application(simulator: Simulator) -> web.Application:
    """Return the aiohttp application that serves `simulator`."""

    @web.middleware
    async def with_faults(request: web.Request, handler: WebHandler) -> web.StreamResponse:
        if request.path.startswith(CONTROL):
            return await _control(request, handler)
        # A fault must not strike a request that the client is still writing.
        await request.read()
        fault = simulator.draw_fault(request.method, request.path)
        response = await _respond(simulator, request, handler, fault)
        if response is None:
            simulator.note_request(request.method, request.path, 0, fault)
            # Never sent: the connection is closed.
            return web.Response()
        simulator.note_request(request.method, request.path, response.status, fault)
        return response

    app = web.Application(middlewares=[with_faults], client_max_size=_MAX_BODY_BYTES)
    for route in simulator.routes():
        app.router.add_route(route.method, route.path, _web_handler(simulator, route.handler))
    app.router.add_routes(control_routes(simulator))
    return app


def _to_web(answer: Answer) -> web.Response:
    return web.Response(
        status=answer.status,
        body=answer.body,
        content_type=answer.content_type,
        headers=dict(answer.headers),
    )


async def _control(request: web.Request, handler: WebHandler) -> web.StreamResponse:
    """Serve the control address to the loopback only, since it needs no credential."""
    client = request.remote or ""
    # A name that a stranger had resolve to this machine is still in the Host header, and a page of
    # another site in the Origin header: browsers let no page choose either.
    host = request.headers.get("Host", "")
    origin = request.headers.get("Origin")
    is_own_page = origin is None or origin == f"http://{host}"
    if not (_is_loopback(client) and _is_loopback(_name_in(host)) and is_own_page):
        refusal = {"error": "the control address answers this machine's own programs only"}
        return web.json_response(refusal, status=403)
    return await handler(request)


def _name_in(host: str) -> str:
    """Return a Host header's name without its port, "" if it can't be read."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


async def _respond(
    simulator: Simulator, request: web.Request, handler: WebHandler, fault: Fault | None
) -> web.StreamResponse | None:
    """Return the answer with the fault applied, or None when nothing is sent."""
    if fault is None:
        return await _platform_answer(simulator, request, handler)
    if fault.moment == "after":
        answer = await _platform_answer(simulator, request, handler)
        return await _apply_fault(simulator, request, fault, answer)
    return await _apply_fault(simulator, request, fault, None)


async def _platform_answer(
    simulator: Simulator, request: web.Request, handler: WebHandler
) -> web.Response:
    """Return the platform's answer, before any fault."""
    with simulator.lock:
        outage = simulator.down()
    if outage is not None:
        return _to_web(outage)
    try:
        return cast("web.Response", await handler(request))
    except web.HTTPException as unrouted:
        return _to_web(simulator.failure(unrouted.status))
    except Exception:
        log.exception("handler_failed method=%r path=%r", request.method, request.path)
        return _to_web(simulator.failure(500))


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
            return _to_web(handler(call))

    return handle


# --- faults ---


async def _apply_fault(
    simulator: Simulator, request: web.Request, fault: Fault, answer: web.Response | None
) -> web.StreamResponse | None:
    """Return what is sent instead of the platform's answer, None if nothing is.

    Args:
        simulator: The simulator whose failures are sent.
        request: The request that the fault strikes.
        fault: The fault.
        answer: The platform's answer, or None when the fault strikes before the platform acts.
    """
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
            return _to_web(simulator.failure(fault.code))
        case FaultKind.RATE_LIMITED:
            return _to_web(simulator.failure(fault.code, fault.retry_after))
        case FaultKind.HTML:
            return web.Response(status=fault.code, body=_HTML_PAGE, content_type="text/html")
        case FaultKind.EMPTY:
            return web.Response(status=fault.code)
        case FaultKind.NULL:
            return web.Response(status=fault.code, body=b"null", content_type="application/json")
        case FaultKind.WRONG_TYPE:
            return web.json_response(_wrong_type(_body_of(answer)), status=fault.code)
        case FaultKind.TRUNCATED:
            return await _truncate(request, answer)
        case FaultKind.SLOW_DRIP:
            return await _drip(request, answer, fault.drip_seconds)


def _body_of(answer: web.Response | None) -> bytes:
    if answer is None or not isinstance(answer.body, bytes):
        return b""
    return answer.body


def _wrong_type(body: bytes) -> object:
    """Return the body's keys with 7 for each value, or a list when it isn't an object."""
    try:
        value: object = json.loads(body)
    except ValueError:
        value = None
    if isinstance(value, dict) and value:
        return dict.fromkeys(cast("dict[str, object]", value), 7)
    return [7]


def _stream_like(answer: web.Response | None, length: int) -> web.StreamResponse:
    """Return a response to write in pieces.

    It has the status and headers of the whole answer.
    """
    if answer is None:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
    else:
        response = web.StreamResponse(status=answer.status, headers=answer.headers)
    response.content_length = length
    return response


async def _truncate(request: web.Request, answer: web.Response | None) -> web.StreamResponse:
    """Announce the whole length, send half of the body, then close the connection."""
    body = _body_of(answer) or b'{"cut": "short"}'
    response = _stream_like(answer, len(body))
    await response.prepare(request)
    half = len(body) // 2
    await response.write(body[:half])
    _close(request)
    return response


async def _drip(
    request: web.Request, answer: web.Response | None, seconds: float
) -> web.StreamResponse:
    """Send the whole answer in small pieces, over this many seconds.

    Before the platform acts there is no answer, so blanks and an empty object are sent.
    """
    body = _body_of(answer) or b" " * 20 + b"{}"
    response = _stream_like(answer, len(body))
    await response.prepare(request)
    pieces = min(len(body), _DRIP_PIECES)
    size = -(-len(body) // pieces)
    for start in range(0, len(body), size):
        await response.write(body[start : start + size])
        await asyncio.sleep(seconds / pieces)
    await response.write_eof()
    return response


def _close(request: web.Request) -> None:
    """Close the connection after what was written has been sent."""
    if request.transport is not None:
        request.transport.close()


def _reset(request: web.Request) -> None:
    """Close the connection with a RST.

    With a linger time of 0 seconds, the kernel discards the socket at once.
    """
    if request.transport is None:
        return
    found: object = request.transport.get_extra_info("socket")
    if found is not None:
        connection = cast("socket.socket", found)
        no_linger = struct.pack("ii", 1, 0)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, no_linger)
    request.transport.abort()
