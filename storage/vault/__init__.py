"""The sealed vault: one SQLite file with every login and its log."""
