"""The names under which Tillpost's jobs stand in Procrastinate."""

from __future__ import annotations

__all__ = ["QUEUE", "TASK"]


QUEUE = "tillpost"
"""The queue of the jobs. Workers of yours that share the database take other queues."""


TASK = "tillpost.process"
"""The name of the jobs' task."""
