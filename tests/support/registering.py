"""A program that begins a login by address: ``registering.py PLACE ADDRESS [wait]``.

It finds the server, registers a client where none is kept, pushes the request where it must, saves the
login, and prints its id and its client. With ``wait`` it begins once a line is on its standard input.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from stayfast import OAuthService
from stayfast.interfaces.assembly import Assembly


def service_in(place: str) -> OAuthService:
    """The service of any process over the vault in ``place``."""
    environ = {**os.environ, "STAYFAST_COURIER": "inline"}
    assembly = Assembly.open(
        state_dir=f"{place}/s", config_dir=f"{place}/c", store="file", environ=environ
    )
    return OAuthService(assembly=assembly)


def begin(place: str, address: str) -> Any:
    """Begin a login there."""
    return service_in(place).begin(address).value


if __name__ == "__main__":
    if sys.argv[3:] == ["wait"]:
        sys.stdin.readline()
    begun = begin(sys.argv[1], sys.argv[2])
    print(begun.login.id, begun.login.config.client_id, flush=True)
