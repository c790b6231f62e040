"""Webhooks of platforms, over HTTP (`asgi`) or from the embedder (`receiver`)."""
