"""A token that a process has in memory, where the logins are in a database far away."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from postgres_server import Host
from stayfast import OAuthService, Success
from stayfast.engine.record import Login
from stayfast.engine.summary import account_alias
from stayfast.engine.table import State
from stayfast.interfaces.assembly import Assembly
from stayfast.interfaces.catalogue import Catalogue
from stayfast.storage.capabilities import Capabilities
from stayfast.storage.host import CLOCK
from stayfast.storage.postgres import PostgresStorage
from stayfast.storage.postgres.storage import SEEN_WITHIN
from stayfast.testing.storage_contract import finished, further, saved

ALIAS = account_alias("acme", "default")
FOR_DAYS = 1e6


class Reading(PostgresStorage):
    """Counts how often a login is looked up."""

    looked = 0

    @property
    def capabilities(self) -> Capabilities:
        return super().capabilities

    def find(self, alias: str) -> Login | None:
        self.looked += 1
        return super().find(alias)


def signed_in(storage: PostgresStorage) -> None:
    login = finished("acme")
    assert login.tokens is not None
    saved(storage, [replace(login, tokens=replace(login.tokens, issued_at=time.time()))])


def service_over(storage: PostgresStorage) -> OAuthService:
    return OAuthService(assembly=Assembly(storage, Catalogue(environ={}), environ={}))


def counted(storage: PostgresStorage) -> Reading:
    storage.__class__ = Reading
    assert isinstance(storage, Reading)
    return storage


def test_what_another_host_saves_is_seen_within_the_interval(host: Host) -> None:
    """A call that begins later than that after a logout elsewhere does not give the token."""
    here, there = host("here"), host("there")
    signed_in(there)
    service = service_over(here)
    assert isinstance(service.get_bearer_token("acme"), Success)
    login = there.find(ALIAS)
    assert login is not None
    saved(there, [further(login, state=State.IDLE, tokens=None)])
    at = CLOCK.monotonic()
    began = at
    while isinstance(service.get_bearer_token("acme"), Success):
        assert began - at < SEEN_WITHIN
        began = CLOCK.monotonic()


@pytest.mark.parametrize(("seconds", "reads"), [(FOR_DAYS, False), (0.0, True)])
def test_a_program_chooses_how_late_it_may_see_a_change(
    host: Host, seconds: float, reads: bool
) -> None:
    """Within the time that it allows it reads nothing; without any it always reads."""
    storage = counted(host("here", seen_within=seconds))
    signed_in(storage)
    service = service_over(storage)
    assert isinstance(service.get_bearer_token("acme"), Success)
    storage.looked = 0
    assert isinstance(service.get_bearer_token("acme"), Success)
    assert (storage.looked > 0) is reads


def test_a_program_sees_its_own_logout_at_once(host: Host) -> None:
    """What a process has saved itself holds for its next call."""
    storage = host("here", seen_within=FOR_DAYS)
    signed_in(storage)
    service = service_over(storage)
    assert isinstance(service.get_bearer_token("acme"), Success)
    assert service.logout("acme", revoke=False).value
    assert not isinstance(service.get_bearer_token("acme"), Success)
