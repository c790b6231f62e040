"""Orders in the database: insert, claim, query, change of state."""
