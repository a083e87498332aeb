"""A program of one user that signs in by address, over a storage of its own."""

from __future__ import annotations

from typing import Any

from stayfast import Failure, MemoryStorage, OAuthService
from stayfast.interfaces.assembly import Assembly
from stayfast.interfaces.catalogue import Catalogue
from stayfast.testing.user_agent import UserAgent


class Signing:
    """A program of one user, and what it knows after signing in."""

    def __init__(self, storage: Any = None, **environ: str) -> None:
        self.assembly = Assembly(
            storage or MemoryStorage(),
            Catalogue(environ={}),
            environ={"STAYFAST_COURIER": "inline", **environ},
        )
        self.service = OAuthService(assembly=self.assembly)

    def sign_in(self, address: str, **given: Any) -> Any:
        """Begin, let the user agent approve, and complete."""
        begun = self.service.begin(address, **given)
        if isinstance(begun, Failure):
            return begun
        landed = UserAgent().walk(begun.value.address, approve=True)
        return self.service.complete(landed)

    def login(self, address: str) -> Any:
        return self.assembly.resource_logins.login(address)

    def kinds(self) -> list[str]:
        return [str(one.members["event"]) for one in self.assembly.storage.events()]
