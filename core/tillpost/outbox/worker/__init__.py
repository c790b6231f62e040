"""The processor, the bundled worker, and the work that recurs."""
