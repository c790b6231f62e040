"""`Till` and `AsyncTill`: one store's POS, connected.

Two thin loops run the same flows.
"""
