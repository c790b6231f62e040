"""The names of Tillpost's queue and task in Procrastinate."""

from __future__ import annotations

__all__ = ["QUEUE", "TASK"]


QUEUE = "tillpost"
"""The queue of the jobs.

Your own workers that share the database use other queues.
"""


TASK = "tillpost.process"
"""The task of the jobs."""
