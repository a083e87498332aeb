"""A provider in a process of its own, for figures: it must not share the interpreter with its clients."""

from __future__ import annotations

import multiprocessing
from multiprocessing.connection import Connection
from types import SimpleNamespace

from stayfast.engine.oauth.provider import OAuthConfig
from stayfast.testing.authorization_server import AuthorizationServer


def provide(line: Connection) -> None:
    """Run until something comes through ``line``; then send what was counted."""
    with AuthorizationServer() as provider:
        line.send((provider.issuer, provider.config()))
        line.recv()
        line.send(dict(provider.counts))


class ProviderApart:
    """The provider, as a :class:`command.World` needs one."""

    def __init__(self) -> None:
        """Start it."""
        spawning = multiprocessing.get_context("spawn")
        self._line, theirs = spawning.Pipe()
        self._process = spawning.Process(target=provide, args=(theirs,))
        self._process.start()
        self.issuer, self._config = self._line.recv()
        self.settings = SimpleNamespace(send_iss=True)

    def config(self) -> OAuthConfig:
        """How to sign in there."""
        config: OAuthConfig = self._config
        return config

    def counts(self) -> dict[str, int]:
        """End it, and give what it counted."""
        self._line.send(None)
        counts: dict[str, int] = self._line.recv()
        self._process.join()
        return counts

    def end(self) -> None:
        """End it, however it goes."""
        self._process.kill()
        self._process.join()
