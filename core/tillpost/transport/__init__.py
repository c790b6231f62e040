"""The carrying of requests over httpx, and what the network did, classified."""
