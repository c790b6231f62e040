"""The scenes that `tillpost demo` plays."""
