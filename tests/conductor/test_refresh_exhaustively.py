"""One refresh for everybody: every interleaving, every crash, tried one by one on the real code.

In each of them, wherever they lead: no refresh token is under way twice, versions only grow, who
is given a token finds it saved, nobody waits for ever, and who asks last learns where things stand.
"""

from __future__ import annotations

import pytest
from explorer import Findings, Scenario, World, explore
from stayfast.engine.table import State


def nobody_fails(world: World, last: str) -> None:
    """Every process that lived was served, and the provider never saw a spent token."""
    assert {process.ended for process in world.processes} <= {"served", "killed"}
    assert last == "served"
    assert world.provider.reused == 0


def nothing_is_lost(world: World, last: str) -> None:
    """Whatever became of the others, who asks last is served."""
    del world
    assert last == "served"


def reported(findings: Findings) -> Findings:
    print(f"\n{findings.states} states, {findings.endings}")
    return findings


@pytest.mark.parametrize("processes", [2, 3])
@pytest.mark.parametrize("strict", [True, False], ids=["strict", "graceful"])
def test_a_crowd_refreshes_once(processes: int, *, strict: bool) -> None:
    """Without a crash one request is sent, and all are served with its answer."""

    def once(world: World, last: str) -> None:
        nobody_fails(world, last)
        assert world.provider.issued == 1

    reported(explore(Scenario(processes=processes, strict=strict), once))


@pytest.mark.parametrize("kills", [1, 2])
def test_with_a_courier_no_kill_costs_anything(kills: int) -> None:
    """A strict provider, callers killed anywhere: nothing is lost, nothing is sent twice."""
    reported(explore(Scenario(kills=kills, courier=True), nobody_fails))


def test_without_a_courier_a_graceful_provider_forgives_one_kill() -> None:
    """The predecessor is taken until its successor was used."""
    reported(explore(Scenario(kills=1, strict=False), nobody_fails))


def test_without_a_courier_a_strict_provider_does_not() -> None:
    """Such a loss is real, and the courier exists because of it; it is reported as a refusal."""
    findings = reported(explore(Scenario(kills=1)))
    assert set(findings.endings) == {"served", "TokenRefreshFailed"}


@pytest.mark.parametrize("strict", [True, False], ids=["strict", "graceful"])
def test_a_request_that_never_arrived_costs_nothing(*, strict: bool) -> None:
    """A lost answer of a strict provider may cost the login; whatever else goes wrong does not."""

    def kept(world: World, last: str) -> None:
        assert last == "served" or (strict and world.provider.reused == 1)

    reported(explore(Scenario(faults=1, strict=strict), kept))


def test_a_newer_login_is_never_written_over() -> None:
    """A refresh that is under way gives way to a login that was finished meanwhile."""

    def newer_stands(world: World, last: str) -> None:
        nothing_is_lost(world, last)
        (older, newer) = (world.logins[name] for name in sorted(world.logins))
        assert (older.state, newer.state) == (State.IDLE, State.AUTHENTICATED)
        assert newer.tokens is not None
        assert newer.tokens.access_token == "new"

    reported(explore(Scenario(newer=True), newer_stands))


def test_without_leases_the_search_finds_what_is_wrong() -> None:
    """Compare-and-set alone lets two processes send; the search says which moves led there."""
    with pytest.raises(AssertionError, match="under way twice") as caught:
        explore(Scenario(leases=False))
    assert ":step" in caught.value.__notes__[0]


@pytest.mark.soak
@pytest.mark.parametrize(
    "scenario",
    [
        Scenario(processes=3, kills=2, courier=True),
        Scenario(processes=3, kills=1, strict=False),
        Scenario(processes=4),
        Scenario(processes=2, kills=1, courier=True, newer=True),
        Scenario(processes=3, newer=True),
    ],
    ids=str,
)
def test_larger_crowds(scenario: Scenario) -> None:
    """The same with more processes and more kills; minutes rather than seconds."""
    reported(explore(scenario, nothing_is_lost))
