"""What a login is, what it may become, and what it says to a provider.

Nothing here opens a socket, reads a clock, touches a disk or a terminal, or draws a random
number: those arrive as the small protocols of :mod:`stayfast.engine.ports`.
"""
