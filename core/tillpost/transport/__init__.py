"""Carries requests over httpx, and classifies what the network did."""
