"""The machine drawn from its table."""
