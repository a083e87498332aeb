"""How a login flows: from begin to saved tokens, refreshed and ended."""
