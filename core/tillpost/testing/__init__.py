"""Tools for whoever writes an adapter: cassettes, which replay a platform's recorded answers without any network.

`tillpost.testing.cassettes` is a pytest plugin: it gives a test a `store` that plays from a
cassette, and records the cassette when pytest is called with `--record`. What it promises:

- a request that the cassette doesn't hold fails the test, and so does an exchange of the cassette
    that isn't asked for;
- while a cassette plays, nothing can reach the network;
- nothing is written but what was declared public: every other text, header and query value is
    masked (`masking`);
- each cassette says where it comes from (`provenance`), and recording it again changes nothing
  unless something has changed.

Needs the extra `testing`: pip install 'tillpost[testing]'.
"""

from __future__ import annotations

from tillpost.testing.cases import Case, cases, plays
from tillpost.testing.files import read_provenance
from tillpost.testing.leaks import Leak, leaks_in
from tillpost.testing.masking import Mask
from tillpost.testing.network import NetworkUsed, no_network
from tillpost.testing.origins import Opened, Origin, Sample, sampled, simulated
from tillpost.testing.provenance import Provenance, Source
from tillpost.testing.store import Store
from tillpost.testing.tape import Cassettes, UnmatchedRequest

__all__ = [
    "Case",
    "Cassettes",
    "Leak",
    "Mask",
    "NetworkUsed",
    "Opened",
    "Origin",
    "Provenance",
    "Sample",
    "Source",
    "Store",
    "UnmatchedRequest",
    "cases",
    "leaks_in",
    "no_network",
    "plays",
    "read_provenance",
    "sampled",
    "simulated",
]
