"""The processor, the bundled worker, and its recurring tasks."""
