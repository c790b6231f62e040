"""A cassette in use: vcrpy records or plays it, under stricter rules than its own.

Requests are masked and then compared as `matching` describes. A request that isn't in the cassette
ends the test at once; a recorded exchange that wasn't used fails it at its end.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import vcr.cassette  # type: ignore[import-untyped]
import vcr.filters  # type: ignore[import-untyped]
from vcr.record_mode import RecordMode  # type: ignore[import-untyped]

from tillpost.plugins.manager import adapter_named
from tillpost.submission.policy import Policy
from tillpost.testing.files import Reader, keep
from tillpost.testing.masking import Mask
from tillpost.testing.matching import nearest, same_body, same_call
from tillpost.testing.network import no_network
from tillpost.testing.origins import Origin
from tillpost.testing.provenance import Provenance
from tillpost.testing.store import Kind, OpenAsyncTill, OpenTill, Store

__all__ = ["Cassettes", "Tape", "UnmatchedRequest"]

HEADERS = frozenset({"accept", "content-type", "retry-after"})
"""The headers that every cassette keeps."""

_Cassette: Any = vcr.cassette.Cassette
_filters: Any = vcr.filters


class UnmatchedRequest(BaseException):
    """A request that isn't in the cassette.

    It isn't an `Exception`: a Till makes an outage of those.
    """


@dataclass(frozen=True)
class Tape:
    """A cassette while a test runs.

    Attributes:
        store: The store that answers from it.
        cassette: vcrpy's own object.
        kept_as: Where a recording is written, and its provenance; None while playing.
    """

    store: Store
    cassette: Any
    kept_as: tuple[Path, Provenance] | None = None

    def finish(self) -> None:
        """Write what was recorded, or check that all was played.

        Call it after the test passed.
        """
        if self.kept_as:
            path, provenance = self.kept_as
            keep(path, self.cassette, provenance)
        elif left := _unplayed(self.cassette):
            requests = ", ".join(f"{request.method} {request.uri}" for request in left)
            raise AssertionError(f"recorded exchanges that the test didn't use: {requests}")


@dataclass(frozen=True)
class Cassettes:
    """A platform's cassettes, and how they are recorded and played.

    Attributes:
        platform: The adapter's name.
        folder: Where the files are, one for each case.
        settings: The adapter's settings except `base_url`; the credentials are made up.
        api_version: The version of the platform's API, for the provenance.
        public_fields: JSON fields whose texts are kept, beside those that the adapter declares.
        public_headers: Headers that are kept beside the usual ones, in lower case.
        public_query: Query parameters whose values are kept.
    """

    platform: str
    folder: Path
    settings: Mapping[str, object]
    api_version: str = ""
    public_fields: frozenset[str] = frozenset()
    public_headers: frozenset[str] = frozenset()
    public_query: frozenset[str] = frozenset()

    @property
    def headers(self) -> frozenset[str]:
        """All headers that a cassette may contain."""
        return HEADERS | self.public_headers

    @property
    def host(self) -> str:
        """The host name that replaces the platform's; no such host can exist (RFC 2606)."""
        return f"{self.platform}.invalid"

    @property
    def mask(self) -> Mask:
        """What the cassettes may contain."""
        fields = adapter_named(self.platform).shown_fields() | self.public_fields
        return Mask(self.host, fields, self.public_query, self.headers)

    @contextmanager
    def recording(self, name: str, origin: Origin, policy: Policy) -> Generator[Tape]:
        """Open a store that answers from `origin`, and record its exchanges."""
        path = self.folder / f"{name}.yaml"
        with origin.open() as opened, self._inserted(path, record=True) as cassette:
            settings = self._settings(origin, opened.settings)
            till = OpenTill.connect(
                self.platform, policy=policy, http_client=opened.client, **settings
            )
            store = Store(till)
            with closing(store):
                yield Tape(store, cassette, (path, self._provenance(origin)))

    @contextmanager
    def playing(self, name: str, origin: Origin, policy: Policy, kind: Kind) -> Generator[Tape]:
        """Open a store that answers from the cassette, with the network blocked."""
        path = self.folder / f"{name}.yaml"
        if not path.is_file():
            raise FileNotFoundError(
                f"there is no cassette {path.name}: run pytest with --record to record it"
            )
        with ExitStack() as stack:
            stack.enter_context(no_network())
            cassette = stack.enter_context(self._inserted(path, record=False))
            opener = OpenTill if kind == "sync" else OpenAsyncTill
            store = Store(opener.connect(self.platform, policy=policy, **self._settings(origin)))
            stack.callback(store.close)
            yield Tape(store, cassette)

    def _settings(
        self, origin: Origin, opened: Mapping[str, object] = MappingProxyType({})
    ) -> dict[str, Any]:
        """Return a case's settings.

        Its own override the running origin's, and these the usual ones.
        """
        return {"base_url": f"https://{self.host}", **self.settings, **opened, **origin.settings}

    def _provenance(self, origin: Origin) -> Provenance:
        return Provenance(
            platform=self.platform,
            api_version=self.api_version,
            recorded=datetime.now(UTC).date().isoformat(),
            source=origin.source,
            origin=origin.origin,
            adapted=tuple(origin.adapted),
            note=origin.note,
        )

    @contextmanager
    def _inserted(self, path: Path, *, record: bool) -> Generator[Any]:
        """Let vcrpy answer httpx's requests."""
        mask = self.mask

        def of_request(request: Any) -> Any:
            request.uri = mask.uri(request.uri)
            request.headers = mask.allowed(request.headers.items())
            request.body = mask.body(request.body or b"")
            return request

        def of_response(response: Any) -> Any:
            decoded = _filters.decode_response(response)
            received = decoded["headers"].items()
            headers = mask.allowed((name, values[0]) for name, values in received)
            body = {"string": mask.body(decoded["body"]["string"] or b"")}
            return {
                **decoded,
                "headers": {name: [value] for name, value in headers.items()},
                "body": body,
            }

        used = _Cassette.use(
            path=str(path),
            record_mode=RecordMode.ALL if record else RecordMode.NONE,
            persister=Reader(empty=record),
            match_on=(same_call, same_body),
            before_record_request=of_request,
            before_record_response=of_response,
        )
        with used as cassette:
            if not record:
                _make_strict(cassette)
            yield cassette


def _make_strict(cassette: Any) -> None:
    """End the test at an unmatched request; a Till would handle vcrpy's own exception."""
    can_play = cassette.can_play_response_for

    def can_play_response_for(request: Any) -> bool:
        if not can_play(request):
            sent = cassette.filter_request(request)
            difference = nearest(sent, _unplayed(cassette))
            raise UnmatchedRequest(f"{sent.method} {sent.uri} isn't in the cassette{difference}")
        return True

    cassette.can_play_response_for = can_play_response_for


def _unplayed(cassette: Any) -> list[Any]:
    counts = cassette.play_counts
    return [request for number, request in enumerate(cassette.requests) if not counts[number]]
