"""A program that embeds the library under a name of its own."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from stayfast import (
    OAUTH_PROVIDERS,
    ConfigInvalid,
    ErrorCode,
    Failure,
    Hint,
    MemoryStorage,
    OAuthConfig,
    OAuthProvider,
    OAuthService,
    Success,
)
from stayfast.interfaces.words import Words
from stayfast.storage.program import ProgramEnviron
from stayfast.testing.scripted_browser import ScriptedBrowser
from stayfast.transports.loopback.redirect import addresses_to_register

ACME = OAuthConfig(
    service_name="acme",
    client_id="ours",
    auth_url="https://acme.test/authorize",
    token_url="https://acme.test/token",
    scopes=("read",),
)
NEIGHBOURS = {
    "STAYFAST_STORE": "memory",
    "STAYFAST_STATE_DIR": "/nowhere/of/the/neighbour",
    "STAYFAST_CONFIG_DIR": "/nowhere/of/the/neighbour",
    "STAYFAST_COURIER": "pigeon",
    "STAYFAST_AUDIT": "pigeon",
    "STAYFAST_AUDIT_FILE": "relative",
    "STAYFAST_KEYRING": "os:system",
    "STAYFAST_KEY_COMMAND": "false",
    "STAYFAST_UNLOCK_WINDOW": "pigeon",
    "STAYFAST_PASSPHRASE": "the neighbour's",
    "STAYFAST_TOKEN": "the-neighbours",
    "STAYFAST_VIA": "pigeon",
    "STAYFAST_ALLOW_NETWORK_FS": "1",
    "ACME_CLIENT_ID": "theirs",
    "ACME_CLIENT_SECRET": "theirs",
}
"""Settings of the command, and of another program, that mean nothing to ours."""
HOSTILE = """
[providers.acme]
client_id = "theirs"
client_secret = "theirs"
auth_url = "https://evil.test/authorize"
token_url = "https://evil.test/token"
scopes = ["all"]
via = "device"

[providers.github]
client_id = "theirs"
auth_url = "https://evil.test/authorize"
token_url = "https://evil.test/token"
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A user's home, in which the command's own file of providers is hostile."""
    tmp_path.chmod(0o700)
    for folder in (tmp_path / ".config/stayfast", tmp_path / ".config/tool"):
        folder.mkdir(parents=True, mode=0o700)
        (folder / "config.toml").write_text(HOSTILE)
        (folder / "config.toml").chmod(0o600)
    return tmp_path


@pytest.fixture
def surroundings(home: Path) -> dict[str, str]:
    """An environment full of what others have set, and where our own vault has a key file."""
    return {"PATH": os.environ["PATH"], "HOME": str(home), **NEIGHBOURS, "TOOL_STORE": "file"}


def tool(surroundings: dict[str, str], **changed: object) -> OAuthService:
    """The service of a program called ``tool``."""
    given = {"app": "tool", "providers": {"acme": ACME}, "environ": surroundings, **changed}
    return OAuthService(**given)  # type: ignore[arg-type]  # each test names what it changes


def config_of(service: OAuthService, name: str = "acme") -> OAuthConfig:
    return service.assembly.config(name)


def test_a_hostile_neighbour_changes_nothing(home: Path, surroundings: dict[str, str]) -> None:
    """Others' settings, and a hostile `config.toml`, change neither the provider, nor the client, nor the place."""
    service = tool(surroundings)

    started = service.begin("acme")

    assert isinstance(started, Success)
    assert config_of(service) == replace(ACME)
    assert started.value.address is not None
    assert started.value.address.startswith("https://acme.test/authorize?")
    assert "client_id=ours&" in started.value.address
    assert {path.name for path in (home / ".local/state").iterdir()} == {"tool"}
    assert (home / ".local/state/tool/logins").is_dir()
    assert {path.name for path in home.iterdir()} == {".config", ".local"}
    assert {path.name for path in (home / ".config/stayfast").iterdir()} == {"config.toml"}


@pytest.mark.parametrize("client", ["ours", ""], ids=["its-own", "the-caller's"])
def test_no_secret_of_others_joins_our_client(surroundings: dict[str, str], client: str) -> None:
    """A secret in a variable that others read too is never sent with a client of ours."""
    surroundings.pop("ACME_CLIENT_ID")
    service = tool(surroundings, providers={"acme": replace(ACME, client_id=client)})

    config = service.assembly.config("acme", client_id="ours")

    assert (config.client_id, config.client_secret) == ("ours", None)


def test_a_program_has_variables_of_its_own(surroundings: dict[str, str]) -> None:
    """The program's prefix names its client's secret, and every setting that the command has."""
    service = tool({**surroundings, "TOOL_ACME_CLIENT_SECRET": "ours", "TOOL_COURIER": "pigeon"})

    refused = service.get_tokens("acme")

    assert isinstance(refused, Failure)
    assert refused.code is ErrorCode.CONFIG_INVALID
    assert (refused.hint or "").startswith("TOOL_COURIER=")
    service = tool({**surroundings, "TOOL_ACME_CLIENT_SECRET": "ours"})
    assert config_of(service).client_secret == "ours"


def test_a_provider_without_a_client_names_the_programs_variable(
    surroundings: dict[str, str],
) -> None:
    """Where no client is known, the hint names the variable that the program reads first."""
    del surroundings["ACME_CLIENT_ID"]
    provider = OAuthProvider(service_name="acme", auth_url=ACME.auth_url, token_url=ACME.token_url)
    service = tool(surroundings, providers={"acme": provider})

    refused = service.begin("acme")
    surroundings["TOOL_ACME_CLIENT_ID"] = "ours"

    assert isinstance(refused, Failure)
    assert (refused.code, refused.hint) == (
        ErrorCode.CONFIG_MISSING,
        "export TOOL_ACME_CLIENT_ID=…",
    )
    assert config_of(service).client_id == "ours"


def test_libraries_of_one_process_share_no_providers(surroundings: dict[str, str]) -> None:
    """What one library registers, another that names itself does not see; nor does it see a changed shipped one."""
    one = tool(surroundings, app="one", providers={"acme": ACME})
    two = tool(surroundings, app="two", providers={"acme": replace(ACME, client_id="two's")})
    three = tool(surroundings, app="three", providers=None)
    shipped = OAUTH_PROVIDERS["github"]
    OAUTH_PROVIDERS["github"] = replace(shipped, auth_url="https://evil.test/")
    OAUTH_PROVIDERS["common"] = ACME
    try:
        assert config_of(one).client_id == "ours"
        assert config_of(two).client_id == "two's"
        for service in (one, two, three):
            assert service.assembly.catalogue.provider("github") == shipped
            unknown = service.get_status("common")
            assert isinstance(unknown, Failure)
            assert unknown.code is ErrorCode.NOT_FOUND
        assert isinstance(three.get_status("acme"), Failure)
        assert OAuthService(storage=MemoryStorage()).assembly.catalogue.provider("common")
    finally:
        OAUTH_PROVIDERS["github"] = shipped
        del OAUTH_PROVIDERS["common"]


def test_a_programs_own_provider_wins_under_the_commands_name_too(
    home: Path, surroundings: dict[str, str]
) -> None:
    """Without a name of its own a program shares the command's settings, and keeps its own providers."""
    plain = {"HOME": str(home), "ACME_CLIENT_ID": "theirs", "ACME_CLIENT_SECRET": "theirs"}
    service = OAuthService(storage=MemoryStorage(), providers={"acme": ACME}, environ=plain)

    assert config_of(service) == ACME
    assert config_of(service, "github").client_id == "theirs"  # the user's file, as ever


def test_directories_are_given_or_named(home: Path, surroundings: dict[str, str]) -> None:
    """A directory that the program gives wins over one of its variables, which wins over its name."""
    by_variable = {
        **surroundings,
        "TOOL_STATE_DIR": str(home / "v"),
        "TOOL_CONFIG_DIR": str(home / "w"),
    }

    tool(by_variable).begin("acme")
    tool(by_variable, state_dir=home / "a", config_dir=home / "b").begin("acme")

    assert {path.name for path in home.iterdir()} == {".config", "a", "b", "v", "w"}


@pytest.mark.parametrize(
    "name", ["", " ", "../x", "a/b", "ä", ".x", "x.", "a\0", "-x", "x" * 65, "Stayfast"]
)
def test_a_name_that_cannot_name_a_directory_is_refused(name: str) -> None:
    """A name that could lead elsewhere, or to the command's own variables, is refused at once."""
    with pytest.raises(ConfigInvalid):
        OAuthService(app=name)


def test_an_environment_follows_the_process() -> None:
    """A variable that is set later is seen; one of the command never is."""
    base = {"STAYFAST_STORE": "theirs", "LANG": "C"}
    seen = ProgramEnviron("my-app", base)

    assert (dict(seen), len(seen), "STAYFAST_STORE" in seen) == ({"LANG": "C"}, 1, False)
    base["MY_APP_STORE"] = "ours"
    assert seen["STAYFAST_STORE"] == seen["MY_APP_STORE"] == "ours"
    assert "ours" not in repr(seen)


def hint_of(service: OAuthService, account: str = "work") -> Hint:
    refused = service.get_bearer_token("acme", account=account)
    assert isinstance(refused, Failure)
    assert refused.code is ErrorCode.AUTH_REQUIRED
    assert refused.hint is not None
    assert refused.cause is not None
    assert refused.cause.hint == refused.hint
    return refused.hint


@pytest.mark.parametrize("app", ["tool", "stayfast"])
def test_a_program_advises_no_line_of_the_command(surroundings: dict[str, str], app: str) -> None:
    """What the command does not know, it cannot sign in to; the data says what is to be done."""
    hint = hint_of(tool(surroundings, app=app, storage=MemoryStorage(), environ={"HOME": "/h"}))

    assert not hint.startswith("stayfast")
    assert hint.members() == {"action": "login", "provider": "acme", "account": "work"}


def test_the_words_are_the_programs(surroundings: dict[str, str]) -> None:
    """A program that has words for an action says them, and the library's for all others."""
    service = tool(
        surroundings,
        storage=MemoryStorage(),
        advice=lambda hint: f"tool auth {hint.provider}" if hint.account else None,
    )

    assert hint_of(service) == "tool auth acme"
    assert hint_of(service, "default") not in {"tool auth acme", ""}


def test_the_commands_own_storage_is_advised_about_as_the_command_does(home: Path) -> None:
    """A program without a name that works on the user's own logins may name the command's line."""
    service = OAuthService(environ={"HOME": str(home), "STAYFAST_STORE": "file"})

    assert hint_of(service) == "stayfast login acme --account work"


@pytest.mark.parametrize("kind", [OAuthConfig, OAuthProvider])
def test_a_provider_of_the_page_sends_the_address_that_the_page_has_registered(kind: Any) -> None:
    """Step 1 names no redirect address; step 3 registers `http://localhost:8080/callback`."""
    github = kind(
        service_name="github",
        auth_url="https://github.com/login/oauth/authorize",
        token_url="https://github.com/login/oauth/access_token",
        scopes=("repo", "read:user"),
        display_name="GitHub",
        setup_url="https://github.com/settings/developers",
    )
    service = OAuthService(storage=MemoryStorage(), providers={"github": github}, environ={})

    started = service.begin("github", client_id="your-client-id")

    assert isinstance(started, Success)
    assert "redirect_uri=http%3A%2F%2Flocalhost%3A8080%2Fcallback" in started.value.address
    assert addresses_to_register(github)[1:] == (
        "http://localhost:8080/callback",
        "http://localhost:3000/callback",
        "http://localhost:57548/callback",
    )
    config = github.to_config("c")
    assert OAuthConfig.from_dict(config.to_dict()) == config


OF_THE_COMMAND = ("stayfast", "--", "pip install", "provider setting")
"""What stands in no sentence for the user of another program."""


@pytest.mark.parametrize(
    "call",
    [
        lambda tool: tool.authenticate("acme", via="pigeon"),
        lambda tool: tool.authenticate("acme", resources=["nonsense"]),
        lambda tool: tool.authenticate("acme", par="sometimes"),
        lambda tool: tool.authenticate("acme", client_auth="by-heart"),
        lambda tool: tool.begin("acme", authorization_details="{"),
        lambda tool: tool.begin("acme", max_age="soon"),
        lambda tool: tool.begin("acme", prompt="none login"),
        lambda tool: tool.begin("acme", login_hint="a\nb"),
        lambda tool: tool.begin("acme", account=""),
        lambda tool: tool.begin("acme", account="a" * 5000),
        lambda tool: tool.begin("acme", via="loopback", redirect_uri="https://acme.test/cb"),
        lambda tool: tool.begin("acme", via="device"),
        lambda tool: tool.begin("acme", via="help"),
        lambda tool: tool.begin("nobody"),
        lambda tool: tool.resume("0" * 26),
        lambda tool: tool.complete("https://acme.test/cb?code=x&state=y"),
    ],
)
def test_a_wrong_argument_is_corrected_in_the_words_of_a_program(
    surroundings: dict[str, str], call: Any
) -> None:
    """Neither the error nor the hint names a line, an option or a setting of the command."""
    refused = call(tool(surroundings, storage=MemoryStorage()))

    assert isinstance(refused, Failure)
    assert refused.hint
    for word in OF_THE_COMMAND:
        assert word not in f"{refused.error}\n{refused.hint}"


@pytest.mark.parametrize(
    "note",
    [
        "in a clone of Stayfast: pip install '.[gh]'",
        "in a newer clone of Stayfast: pip install .",
        "choose with --via loopback or --via manual",
        "--issuer https://acme.test/",
    ],
)
def test_a_note_names_no_option_of_the_command(note: str) -> None:
    """An option becomes an argument, and an install line what is to be installed; the command's stay."""
    assert not any(word in str(Words("tool").hint(Hint.note(note))) for word in OF_THE_COMMAND)
    assert Words("stayfast").hint(Hint.note(note)) == note


@pytest.mark.parametrize("provider", ["y", None, {}, OAuthConfig], ids=str)
def test_what_is_no_provider_is_refused_at_once(provider: Any) -> None:
    """With an error of ours where it is given, and not where it is used."""
    with pytest.raises(ConfigInvalid):
        OAuthService(app="tool", providers={"x": provider})


def test_a_user_of_no_known_kind_is_refused() -> None:
    """A typo in a test would else make a user who declines."""
    with ScriptedBrowser() as browser, pytest.raises(ValueError, match="approves"):
        browser.user = "refuses"  # type: ignore[assignment]  # the typo
