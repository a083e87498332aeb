"""What goes wrong outside a program: a hostile or careless provider, and odd surroundings.

:mod:`.faults` says how the embedded authorization server can go wrong, :mod:`.provider` lists what
real servers, proxies and attackers send and what a client must make of it, :mod:`.resources` does so
for protected resources such as MCP servers, and :mod:`.surroundings` lists the odd processes and environments that a command is started in. All of it is data:
:mod:`stayfast.testing.sign_in_contract` runs it against any program.
"""

from .faults import NULL, Fault, FaultKind, Signature

__all__ = ["NULL", "Fault", "FaultKind", "Signature"]
