"""Logins that are over are removed once they are old enough; the log still proves what happened."""

from __future__ import annotations

from pathlib import Path

import pytest
from conductors import conductor_over
from instant import InstantTransport, ManualClock
from logins import CONFIG
from stayfast.engine.audit.findings import FindingCode
from stayfast.engine.errors import ConfigInvalid
from stayfast.engine.flows.logins import Conductor
from stayfast.engine.table import State
from stayfast.interfaces.assembly import Assembly
from stayfast.interfaces.catalogue import Catalogue
from stayfast.storage import EncryptedFileStorage, MemoryStorage, Vault
from stayfast.storage.vault import ended

DAY = 86400.0


@pytest.fixture
def place(tmp_path: Path) -> Path:
    tmp_path.chmod(0o700)
    return tmp_path


@pytest.fixture
def vault(place: Path) -> Vault:
    return EncryptedFileStorage(str(place / "s"), config_dir=str(place / "c"), environ={})


def begun(conductor: Conductor, many: int = 1, timeout: float = 600) -> list[str]:
    transport = InstantTransport(lambda _url: [])
    return [conductor.start(CONFIG, transport, timeout=timeout).login_id for _ in range(many)]


def sound(vault: Vault) -> bool:
    return vault.problems() == [] and vault.verify().findings == []


def test_what_has_been_over_for_long_goes(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    """Younger ones and those that wait stay; nothing that the log tells is missed afterwards."""
    monkeypatch.setattr(ended, "BATCH", 4)
    clock = ManualClock()
    conductor = conductor_over(vault, clock=clock)
    for login in begun(conductor, 10):
        conductor.cancel(login)
    clock.time += 10 * DAY
    young, waiting = begun(conductor, 2)
    conductor.cancel(young)
    assert vault.purge(clock.now() - 5 * DAY) == 10
    assert {one.id for one in vault.summaries()} == {young, waiting}
    assert vault.read(waiting) is not None
    assert sound(vault)
    generation = vault.about().generation
    assert vault.purge(clock.now() - 5 * DAY) == 0
    assert vault.about().generation == generation
    assert vault.mend() == []
    conductor.cancel(waiting)
    assert sound(vault)


def test_a_purge_hides_no_login_that_vanishes_later(vault: Vault, place: Path) -> None:
    """Only those that were over at that moment may be missing."""
    clock = ManualClock()
    conductor = conductor_over(vault, clock=clock)
    (gone, waiting) = begun(conductor, 2)
    conductor.cancel(gone)
    clock.time += DAY
    assert vault.purge(clock.now()) == 1
    with vault._vault_connection.writing() as (connection, _):
        connection.execute("DELETE FROM login WHERE id = ?", (waiting,))
    assert FindingCode.VANISHED in {one.code for one in vault.verify().findings}


def test_a_purged_vault_is_still_mended_and_pruned(vault: Vault) -> None:
    """A damaged row is set aside, and the ended logins are not reported as missing."""
    clock = ManualClock()
    conductor = conductor_over(vault, clock=clock)
    gone, torn = begun(conductor, 2)
    conductor.cancel(gone)
    clock.time += DAY
    vault.purge(clock.now())
    with vault._vault_connection.writing() as (connection, _):
        connection.execute("UPDATE login SET secret = meta WHERE id = ?", (torn,))
    assert [one.login for one in vault.mend()] == [torn]
    assert vault.problems() == []
    vault.prune(clock.now() + DAY)
    assert sound(vault)


def assembly(
    vault: Vault | MemoryStorage, place: Path, clock: ManualClock, **said: str
) -> Assembly:
    return Assembly(vault, Catalogue(str(place), environ={}), clock=clock, environ=said)


def test_abandoned_logins_are_ended_and_go_in_their_turn(vault: Vault, place: Path) -> None:
    """What nobody finished ends at its deadline, and is kept for as long as is said from then on."""
    clock = ManualClock()
    own = assembly(vault, place, clock, STAYFAST_RETENTION="2d")
    begun(own.conductor, 3, timeout=60)
    clock.time += DAY
    assert own.purge(2 * DAY) == (3, 0)
    clock.time += 3 * DAY
    own.tidy()
    assert list(vault.summaries()) == []
    assert sound(vault)


@pytest.mark.parametrize("said", ["soon", "30", "-1d", "1.5d", "30 d", "٣d"])
def test_a_retention_that_is_none_is_refused(place: Path, said: str) -> None:
    """Before anything is removed."""
    with pytest.raises(ConfigInvalid):
        assembly(MemoryStorage(), place, ManualClock(), STAYFAST_RETENTION=said)


def test_a_storage_without_upkeep_says_so(place: Path) -> None:
    """And a login is begun in it all the same."""
    own = assembly(MemoryStorage(), place, ManualClock(), STAYFAST_RETENTION="1d")
    with pytest.raises(ConfigInvalid):
        own.purge(1.0)
    own.tidy()


@pytest.mark.parametrize("many", [3, 40])
def test_a_look_at_many_abandoned_logins_writes_for_few(vault: Vault, many: int) -> None:
    """All are shown as over; only where they are few are they ended at once."""
    clock = ManualClock()
    conductor = conductor_over(vault, clock=clock)
    begun(conductor, many, timeout=60)
    clock.time += 61
    before = vault.about().generation
    shown = conductor.overview.summaries()
    assert {(one.state, one.reason) for one in shown} == {(State.IDLE, "deadline_passed")}
    assert vault.about().generation - before == (many if many < 20 else 0)
    assert conductor.overview.end_overdue() == (0 if many < 20 else many)
    assert sound(vault)
