"""A simulator whose whole state is one object, its world.

The bundled simulators extend `WorldSimulator`, which replaces the world on a reset and refuses
every request while the world has an outage.
"""

from __future__ import annotations

import copy
from abc import abstractmethod
from typing import Generic, Protocol, TypeVar

from tillpost.simulator.exchange import Answer
from tillpost.simulator.faults import FaultPlan
from tillpost.simulator.simulator import Simulator, action


class World(Protocol):
    """What every platform's world has."""

    outage: bool
    """Whether the platform is out of order."""


W = TypeVar("W", bound=World)


class WorldSimulator(Simulator, Generic[W]):
    """A simulator with a world.

    A subclass sets what `new_world` needs before it calls `super().__init__`.

    Args:
        faults: The fault plan to start with; no faults by default.
    """

    def __init__(self, faults: FaultPlan | None = None) -> None:
        super().__init__(faults)
        self._remembered: W | None = None
        self._world = self.new_world()

    @abstractmethod
    def new_world(self) -> W:
        """Return a world in its initial state."""

    @property
    def world(self) -> W:
        """The current state. Hold `lock` while you read it from another thread."""
        return self._world

    def start_afresh(self) -> None:
        """Restore the initial world, or the one that `remember` last saved."""
        if self._remembered is None:
            self._world = self.new_world()
        else:
            self._world = copy.deepcopy(self._remembered)

    def remember(self) -> None:
        """Save the current world as the one that `reset` restores."""
        with self.lock:
            self._remembered = copy.deepcopy(self._world)

    def down(self) -> Answer | None:
        """Return the platform's 503 during an outage, otherwise None."""
        if not self._world.outage:
            return None
        return self.failure(503)

    @action
    def set_outage(self, down: bool = True) -> None:
        """Start an outage, in which every request is answered with 503, or end it."""
        self._world.outage = down
