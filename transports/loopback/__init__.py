"""The callback comes to a port of this machine."""
