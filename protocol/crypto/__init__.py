"""Who protects the records: one interface and its providers."""
