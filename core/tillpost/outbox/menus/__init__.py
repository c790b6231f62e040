"""The menus that all workers share, and the review of held ones."""
