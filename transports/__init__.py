"""How the user's answer comes back to a login: loopback, manual, device; and how one is chosen."""
