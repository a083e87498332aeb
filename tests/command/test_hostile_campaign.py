"""A real login waits at its port while everybody else calls there; then its user comes."""

from __future__ import annotations

import json
from collections import Counter

import hostile
import pytest
import requests
from command import PATIENCE, World, events_of
from stayfast.engine.table import State
from stayfast.testing.user_agent import UserAgent
from wire_talk import Background


def campaign(world: World, *, rounds: int, crowd: int) -> hostile.Target:
    """Besiege a waiting login, then finish it; gives the counts."""
    waiting = world.start("login", "demo", "--via", "loopback", "--no-browser", "--json")
    assert waiting.stdout is not None
    lines = (json.loads(line) for line in waiting.stdout)
    url = next(line["url"] for line in lines if line["event"] == "login.action_required")
    target = hostile.of(url, str(world.server.config().issuer))

    siege = Background(lambda: hostile.besiege(target, rounds=rounds, crowd=crowd))
    agent = UserAgent()
    callback = agent.walk(url, approve=True)
    while siege.running:  # prefetched, and looked at, before the user comes
        ahead = requests.get(callback, headers={"Sec-Purpose": "prefetch"}, timeout=20)
        assert ahead.status_code == 503
        assert requests.head(callback, timeout=20).status_code == 405
    siege.result(600)
    assert world.logins()[0].state is State.AWAITING_CALLBACK

    before = world.server.counts["token"]
    first, again = Background(lambda: visit(callback)), Background(lambda: visit(callback))
    pages = [page for page in (first.result(), again.result()) if page is not None]
    assert pages
    assert all('class="good"' in page.text for page in pages)
    assert not any("code=" in page.url for page in pages)
    _, complaints = waiting.communicate(timeout=PATIENCE)
    assert waiting.returncode == 0, complaints
    assert world.logins()[0].state is State.AUTHENTICATED
    assert world.server.counts["token"] == before + 1
    assert visit(callback) is None
    return target


def visit(callback: str) -> requests.Response | None:
    """What a browser is shown; ``None`` if nobody listens any more."""
    try:
        return requests.get(callback, timeout=20)
    except requests.ConnectionError:
        return None


def judge(world: World, target: hostile.Target) -> None:
    """Everybody got the answer that was theirs; each guess left a line in the log."""
    print(f"\nhostile callers while a login waits:\n{hostile.report(target)}")
    for name, counts in target.counts.items():
        if name in {"parallel", "slow drip", "half open"}:
            continue  # in a crowd the oldest is let go
        assert set(counts) <= hostile.ANSWERS.get(name, {"400"}), name
    assert set(target.counts["parallel"]) <= {"400", "reset", "closed"}
    assert not {"200", "303"} & {got for counts in target.counts.values() for got in counts}
    refused = Counter(e["reason"] for e in events_of(world) if e["event"] == "login.refused")
    for reason in ("wrong_state", "missing_state", "wrong_issuer", "duplicate_parameter"):
        assert refused[reason]


def test_a_login_is_finished_whoever_else_calls(world: World) -> None:
    """Wrong, slow, huge, broken, foreign and parallel callers change nothing, a thousand at once included."""
    target = campaign(world, rounds=1, crowd=1000)
    judge(world, target)


@pytest.mark.soak
def test_a_login_is_finished_after_a_long_siege(world: World) -> None:
    """The same, many times over, and with more at once than the kernel queues."""
    target = campaign(world, rounds=20, crowd=2000)
    judge(world, target)
    assert target.counts["parallel"]["400"] > 500
