"""Several accounts of one provider: which one a command means, and what they are called."""

from __future__ import annotations

import os
import time
from dataclasses import replace

import pytest
from command import World
from stayfast.engine.record import Login
from stayfast.engine.summary import Identity
from stayfast.engine.table import State
from stayfast.testing.storage_contract import finished, saved


def keep(world: World, *accounts: str, provider: str = "demo", **fields: object) -> None:
    """Signed-in ``accounts``, each with a token of its own name."""
    storage = world.assembly.storage
    saved(storage, [_login(provider, account, **fields) for account in accounts])


def _login(provider: str, account: str, **fields: object) -> Login:
    login = replace(finished(provider, token=f"token-of-{account}"), account=account)
    assert login.tokens is not None
    tokens = replace(login.tokens, issued_at=time.time() - 60)
    named = Identity(subject=f"sub-{account}", name=f"{account}@demo.test")
    return replace(login, **{"tokens": tokens, "identity": named, **fields})  # type: ignore[arg-type]  a test names fields


COMMANDS = {
    "token": ("token", "demo"),
    "refresh": ("refresh", "demo"),
    "logout": ("logout", "demo", "--no-revoke"),
    "exec": ("exec", "demo", "--", "true"),
    "status": ("status", "demo"),
    "whoami": ("whoami", "demo"),
}
every_command = pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
of_one_account = pytest.mark.parametrize(
    "words",
    [words for name, words in COMMANDS.items() if name not in {"status", "refresh"}],
    ids=[name for name in COMMANDS if name not in {"status", "refresh"}],
)


def worded(words: tuple[str, ...], *more: str) -> list[str]:
    """``words`` with options behind the provider."""
    return [*words[:2], *more, *words[2:]]


@of_one_account
def test_the_only_account_is_meant(world: World, words: tuple[str, ...]) -> None:
    """Whatever it is called."""
    keep(world, "work")
    assert world.run(*words).code == 0


@of_one_account
def test_of_several_accounts_none_is_guessed(world: World, words: tuple[str, ...]) -> None:
    """All are named with their owners, and nothing is done."""
    keep(world, "home", "work")
    done = world.run(*words)
    assert (done.code, done.out) == (1, "")
    assert {"home@demo.test", "work@demo.test"} <= set(done.err.replace(",", "").split())
    assert len(world.logins()) == 2
    assert all(login.tokens for login in world.logins())


@every_command
def test_an_account_that_is_not_there_is_compared_with_those_that_are(
    world: World, words: tuple[str, ...]
) -> None:
    """A misspelt name is an error that names the others, and not a login that is missing."""
    keep(world, "default", "work")
    done = world.run(*worded(words, "--account", "wrok"))
    assert (done.code, done.out) == (4, "")
    assert "work@demo.test (work)" in done.err
    assert "--account work" in done.err.splitlines()[-1]


@every_command
def test_a_provider_that_does_not_exist_is_not_one_without_a_login(
    world: World, words: tuple[str, ...]
) -> None:
    """The name is what is wrong; a similar one is named."""
    keep(world, "default")
    done = world.run(words[0], "dmeo", *words[2:])
    assert done.code == 4
    assert "there is no provider 'dmeo'" in done.err
    assert "demo" in done.err.splitlines()[-1]


def test_an_account_is_known_by_its_owner_too(world: World) -> None:
    """Email, user name or subject name it as well as its own name does."""
    keep(world, "home", "work")
    for name in ("work", "work@demo.test", "sub-work"):
        assert world.run("token", "demo", "--account", name).out == "token-of-work\n"


def test_the_chosen_account_is_meant_by_the_short_way_as_well(world: World) -> None:
    """`account use` decides for every command, until another is chosen."""
    keep(world, "default", "home", "work")
    assert world.run("token", "demo").out == "token-of-default\n"
    for chosen in ("work", "home", "default"):
        assert world.run("account", "use", "demo", chosen).code == 0
        assert world.run("token", "demo").out == f"token-of-{chosen}\n"
        assert world.run("token", "demo", "--no-refresh").out == f"token-of-{chosen}\n"
        (meant,) = [one for one in _listed(world) if one["default"]]
        assert meant["account"] == chosen
    assert world.run("account", "use", "demo", "nobody").code == 4
    assert world.run("token", "demo").out == "token-of-default\n"


def _listed(world: World) -> list[dict[str, object]]:
    answer = world.run("account", "list", "--json").json
    assert answer["schema"] == "stayfast.accounts/1"
    return answer["accounts"]


def test_a_chosen_account_that_is_signed_out_is_not_replaced_by_another(world: World) -> None:
    """A command must not act for somebody else because a login ended."""
    keep(world, "home", "work")
    world.run("account", "use", "demo", "work")
    assert world.run("logout", "demo", "--no-revoke").code == 0
    done = world.run("token", "demo")
    assert (done.code, done.out) == (4, "")
    assert "home@demo.test (home)" in done.err
    assert world.run("token", "demo", "--account", "home").code == 0


def test_the_choice_of_others_is_not_heeded(world: World) -> None:
    """A file of choices that others can write decides nothing, by neither way."""
    keep(world, "default", "work")
    world.run("account", "use", "demo", "work")
    (world.config / "accounts").chmod(0o666)
    done = world.run("token", "demo")
    assert (done.code, done.out) == (1, "")


@pytest.mark.parametrize(
    ("kept", "meant"),
    [
        (b"demo\twork\r\n", "work"),
        (b"other\thome\r\ndemo\twork\r\n", "work"),
        (b"demo\twork", "work"),
        (b"\xef\xbb\xbfdemo\twork\n", "work"),
        ("\ufeffdemo\twork\r\n".encode("utf-16-le"), "work"),
        (b"other\tx\rdemo\twork\n", "default"),
        (b"other\tx\x0bdemo\twork\n", "default"),
        ("other\tx\u2028demo\twork\n".encode(), "default"),
        (b"demo\r\twork\n", "default"),
        (b"demo\t\r\n", "default"),
        (b"", "default"),
        (b"demo\twork\x07\n", None),
        (b"demo\twork\rdemo\thome\n", None),
        (b"demo\twork\r\r\n", None),
        (b"demo\t work\n", None),
        (b"demo\t\xff\n", None),
    ],
)
def test_the_file_of_choices_is_read_the_same_both_ways(
    world: World, kept: bytes, meant: str | None
) -> None:
    """An editor's line ends and marks are welcome; what names no account is an error, not another account."""
    keep(world, "default", "work")
    (world.config / "accounts").write_bytes(kept)
    for env in ({}, {"STAYFAST_TOKEN_NONCE": "x"}):  # with it, the whole command answers
        done = world.run("token", "demo", env=env)
        if meant is not None:
            assert (done.code, done.out) == (0, f"token-of-{meant}\n")
        else:
            assert (done.code, done.out) == (1, "")
            assert done.err.count("error: ") == done.err.count("hint: ") == 1
            assert "unexpected" not in done.err


def test_a_choice_that_cannot_be_is_replaced_by_one_that_can(world: World) -> None:
    """As its hint says; what was chosen for other providers stays, whatever its line ends."""
    keep(world, "default", "work")
    keep(world, "default", "work", provider="other")
    (world.config / "accounts").write_bytes(b"other\twork\r\ndemo\two\x07rk\r\n")
    assert world.run("account", "use", "demo", "work").code == 0
    assert (world.config / "accounts").read_bytes() == b"other\twork\ndemo\twork\n"


@pytest.mark.skipif(os.name != "posix", reason="pipes with a name")
def test_a_pipe_in_the_place_of_the_choices_is_not_waited_for(world: World) -> None:
    """Nobody may ever write to it."""
    keep(world, "default")
    os.mkfifo(world.config / "accounts", 0o600)
    assert world.run("token", "demo").code == 1


def test_each_provider_has_its_own_choice(world: World) -> None:
    """Also one whose name is an address."""
    issuer = "https://login.acme.example/realms/x"
    keep(world, "default", "work")
    keep(world, "default", "work", provider=issuer)
    world.run("account", "use", issuer, "work")
    assert world.run("token", issuer).out == "token-of-work\n"
    assert world.run("token", "demo").out == "token-of-default\n"


@pytest.mark.parametrize("account", ["default", "home"])
def test_an_account_that_is_renamed_stays_what_was_meant(world: World, account: str) -> None:
    """Commands without --account mean the same login before and after."""
    keep(world, "default", "home")
    world.run("account", "use", "demo", account)
    assert world.run("account", "rename", "demo", account, "büro 2").code == 0
    assert world.run("token", "demo").out == f"token-of-{account}\n"
    assert world.run("token", "demo", "--account", "büro 2").out == f"token-of-{account}\n"
    other = {"default": "home", "home": "default"}[account]
    taken = world.run("account", "rename", "demo", "büro 2", other)
    assert (taken.code, world.run("token", "demo").out) == (1, f"token-of-{account}\n")


def test_a_log_with_a_renamed_account_proves_itself(world: World) -> None:
    """The new name is a record like any other; a refresh goes on under it."""
    assert world.run("login", "demo", "--via", "loopback").code == 0
    assert world.run("account", "rename", "demo", "default", "work").code == 0
    assert world.run("refresh", "demo").code == 0
    assert world.run("audit", "verify").code == 0
    assert [login.account for login in world.logins()] == ["work"]


@pytest.mark.parametrize("state", [State.EXPIRED, State.REFRESH_FAILED])
def test_an_account_that_needs_its_user_can_be_renamed(world: World, state: State) -> None:
    """And still says why it needs them."""
    keep(world, "work", state=state, reason="refresh_refused", oauth_error="invalid_grant")
    assert world.run("account", "rename", "demo", "work", "job").code == 0
    (login,) = world.run("status", "demo", "--account", "job", "--json").json["logins"]
    assert (login["account"], login["state"]) == ("job", state.value)


def test_accounts_are_shown_by_the_names_that_people_know(world: World) -> None:
    """In `status`, `list`, `account list` and `whoami`; the name of the account beside it."""
    keep(world, "default", "work")
    keep(world, "plain", provider="other", identity=None)
    for words in (["status"], ["list"], ["whoami"]):
        shown = world.run(*words).out
        assert "work@demo.test (work)" in shown
        assert "default@demo.test" in shown
        assert "plain" in shown
        assert "(default)" not in shown
        assert "None" not in shown
    assert world.run("whoami", "demo", "--account", "work").out == "work@demo.test (work)\n"
    answer = world.run("whoami", "demo", "--json").json
    (me,) = answer["accounts"]
    assert (answer["schema"], me["identity"], me["subject"]) == (
        "stayfast.whoami/1", "default@demo.test", "sub-default",
    )  # fmt: skip
    assert world.run("status", "demo", "--account", "work", "--json").json["logins"][0][
        "account"
    ] == "work"  # fmt: skip


def test_nobody_is_nobody(world: World) -> None:
    """Without a login there is no answer on standard output, and the status for that."""
    for words in (["whoami"], ["whoami", "demo"], ["token"], ["logout", "demo"]):
        done = world.run(*words)
        assert (done.code, done.out) == (4, "")
    assert world.run("account", "list").code == 0
    assert world.run("account", "list", "demo").code == 4


def test_open_logins_that_a_person_confuses_are_told_apart(world: World) -> None:
    """Those that match are listed with provider and account."""
    for account in ("default", "work"):
        world.run("login", "demo", "--start", "--account", account)
    for command in ("resume", "cancel"):
        done = world.run(command)
        assert done.code == 1
        assert "(demo, work)" in done.err
        assert "(demo)" in done.err


def test_a_login_without_a_name_goes_to_the_chosen_account(world: World) -> None:
    """`account use` holds for `login`, too; a name that no line can show is refused at once."""
    keep(world, "default", "work", state=State.REFRESH_FAILED)
    world.run("account", "use", "demo", "work")
    started = world.run("login", "demo", "--start", "--json")
    assert started.code == 3
    assert world.run("status", "--json").json["pending"][0]["account"] == "work"
    for name in ("", " ", "a\nb"):
        assert world.run("login", "demo", "--start", "--account", name).code == 1


def test_a_lifetime_that_the_provider_does_not_give_is_announced(world: World) -> None:
    """The token comes, and standard error says how long it lasts instead."""
    keep(world, "default")
    done = world.run("token", "demo", "--min-ttl", "2h")
    assert (done.code, done.out) == (0, "token-of-default\n")
    assert "not 2 h" in done.err
    assert world.run("token", "demo", "--min-ttl", "10m").err == ""


@pytest.mark.parametrize(
    "words", [*(COMMANDS[name] for name in COMMANDS if name != "status"), ("token",)]
)
def test_a_login_that_waits_is_named_where_nobody_is_signed_in(
    world: World, words: tuple[str, ...]
) -> None:
    """With the command that goes on with it, or ends it: a new login would leave it behind."""
    begun = world.run("login", "demo", "--start", "--via", "manual", "--json").json["login"]
    done = world.run("--json", *words)
    meant = "cancel" if "logout" in words else "resume"
    assert (done.code, done.json["hint"]) == (4, f"stayfast {meant} {begun}")


def test_a_login_that_waits_is_named_only_to_whoever_means_its_account(world: World) -> None:
    """Other accounts are signed in to as before, and used without a word of it."""
    begun = world.run("login", "demo", "--account", "work", "--start", "--json").json["login"]
    asked = {name: ("token", "demo", "--account", name, "--json") for name in ("work", "home")}
    assert world.run(*asked["work"]).json["hint"] == f"stayfast resume {begun}"
    assert world.run(*asked["home"]).json["hint"] == "stayfast login demo --account home"
    keep(world, "home")
    assert world.run("token", "demo").out == "token-of-home\n"
    assert world.run(*asked["work"]).json["hint"] == f"stayfast resume {begun}"
