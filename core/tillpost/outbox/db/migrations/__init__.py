"""The steps that bring the store's tables from version to version; `migrating` runs them."""
