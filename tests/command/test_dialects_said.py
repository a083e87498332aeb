"""What the command says of a provider's own ways."""

from __future__ import annotations

import json

from command import World


def test_a_login_without_pkce_is_loud_and_in_the_log(world: World) -> None:
    """A warning at each login by browser, the fact in its explanation, a member of each audit event.

    The device flow has no code in a browser's address, and nothing to warn of.
    """
    world.provide("bare", pkce="off")
    loud = world.run("login", "bare", "--via", "manual", "--start", "--explain")
    device = world.run("login", "bare", "--via", "device", "--start")
    usual = world.run("login", "demo", "--via", "manual", "--start", "--explain")

    assert loud.code == device.code == usual.code == 3
    assert loud.err.count("RFC 7636") > usual.err.count("RFC 7636")
    assert "code_challenge" not in loud.err + loud.out
    assert "RFC 7636" not in device.err
    assert "code_challenge" in usual.err + usual.out
    events = [json.loads(line) for line in world.run("audit", "show", "--json").out.splitlines()]
    said = {
        (one["provider"], one.get("transport"), one.get("pkce")) for one in events if "to" in one
    }
    assert ("bare", "manual", "off") in said
    assert ("bare", "device", None) in said
    assert not [one for one in said if one[0] == "demo" and one[2]]


def test_the_setting_is_shown_with_the_provider(world: World) -> None:
    """``provider show`` has whatever a provider's dialect is."""
    world.provide("bare", pkce="off", refresh_rotates="yes")
    shown = json.loads(world.run("provider", "show", "bare", "--json").out)

    assert (shown["pkce"], shown["refresh_rotates"]) == ("off", "yes")
