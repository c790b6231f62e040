"""What Kounta answers once it has made something: 201, a `Location`, and a body that may say nothing.

The vendor's page promises the status and the header. A shop's plugin in production reads the body
`null` after orders that were made.
"""

from __future__ import annotations

from tillpost.simulator import Answer, Call
from tillpost_simulators.kounta.paging import base_url
from tillpost_simulators.kounta.wire import Json, json_answer
from tillpost_simulators.kounta.world import World


def created(world: World, call: Call, path: str, resource: Json) -> Answer:
    """The answer for a new resource at `path`, which begins with a slash."""
    behaviour = world.behaviour
    headers = {
        "Location": f"{base_url(call)}{path}{'.json' if call.path.endswith('.json') else ''}"
    }
    if behaviour.location_missing_once:
        behaviour.location_missing_once -= 1
        headers = {}
    elif not behaviour.sends_location:
        headers = {}
    kind = behaviour.created_once.pop(0) if behaviour.created_once else behaviour.created_body
    if kind == "resource":
        return json_answer(resource, 201, headers)
    return Answer(201, b"null" if kind == "null" else b"", headers=headers)
