"""`Till` and `AsyncTill`: one store's POS, connected. Two thin loops over one flow."""
