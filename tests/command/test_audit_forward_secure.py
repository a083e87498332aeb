"""``stayfast audit forward-secure`` as its user meets it."""

from __future__ import annotations

from command import World


def test_it_is_turned_on_once_and_verified_with_what_it_showed(world: World) -> None:
    """The key is shown once; with it everything is checked, and a login goes on as before."""
    assert world.run("login", "demo", "--via", "loopback").code == 0
    before = world.run("audit", "verify", "--json").json["records"]
    key = world.run("audit", "forward-secure").out
    assert world.run("audit", "forward-secure", "--json").json["code"] == "CONFIG_INVALID"
    assert world.run("refresh", "demo").code == 0
    done = world.run("audit", "verify", "--json", "--forward-key", "-", stdin=key)
    since = done.json["records"] - before
    assert (done.code, done.json["unkeyed"], since) == (0, 0, 3)
    assert world.run("audit", "verify", "--json").json["unkeyed"] == since
    other = key.replace(key.strip()[-1] + "\n", "1\n" if key.strip()[-1] != "1" else "2\n")
    assert world.run("audit", "verify", "--forward-key", "-", stdin=other).code == 8
    assert world.run("audit", "verify", "--forward-key", "-", stdin="x").code == 1


def test_a_new_root_key_leaves_every_proof_as_it_was(world: World) -> None:
    """After a rekey the log, its verification key and its older checkpoints still agree."""
    assert world.run("login", "demo", "--via", "loopback").code == 0
    note = world.run("audit", "checkpoint").out
    key = world.run("audit", "forward-secure").out
    assert world.run("store", "rekey").code == 0
    assert world.run("refresh", "demo").code == 0
    assert world.run("audit", "verify", "--forward-key", "-", stdin=key).code == 0
    assert world.run("audit", "verify", "--checkpoint", "-", stdin=note).code == 0
