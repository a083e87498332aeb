"""A stand-in for providers that answer in dialects of their own.

The embedded server (:mod:`stayfast.testing.authorization_server`) keeps to the specifications. Many
providers do not, and an entry of the catalogue says how. Here is what it is tried on: a dialect, written
from a provider's documentation, and a server that speaks it.
"""

from .dialect import Dialect
from .server import Provider, StandIn, Visitor
from .speaker import Speaker

__all__ = ["Dialect", "Provider", "Speaker", "StandIn", "Visitor"]
