"""Webhooks received: verified, applied, served over ASGI."""
