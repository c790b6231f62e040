"""What people do: act on orders, connect stores, diagnose, see the status."""
