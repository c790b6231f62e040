"""Tools for adapter authors: offline replay of a platform's recorded answers.

`tillpost.testing.cassettes` is a pytest plugin. It provides the fixture `store`, which answers from
a cassette, and records the cassette when pytest runs with `--record`. Its promises:

- A request that isn't in the cassette fails the test. So does a recorded exchange that the test
  doesn't use.
- While a cassette plays, nothing can reach the network.
- Only what was declared public is written. Every other text, header and query value is masked
  (`masking`).
- Each cassette says where it comes from (`provenance`). Recording it again changes the file only if
  an exchange changed.

The conformance suite is `tillpost.testing.conformance`.

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
