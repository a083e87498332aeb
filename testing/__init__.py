"""For authors of transports, storages and programs: contract tests, and an authorization server."""
