"""What people do: operate on orders, connect stores, diagnose, see the status."""
