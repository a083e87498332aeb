"""The audit log as rows of the vault, its keys and its segments."""
