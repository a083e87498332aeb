"""Providers by name, and the oddities that the shipped ones declare."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from base64 import b64decode
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
from logins import CHALLENGE, NOW, TOKENS
from recorded import names, recorded
from stayfast.engine.errors import (
    ConfigInvalid,
    ConfigMissing,
    NetworkError,
    NotFound,
    ProviderError,
)
from stayfast.engine.oauth.addresses import secure_address
from stayfast.engine.oauth.authorization_request import authorization_url
from stayfast.engine.oauth.device import device_request
from stayfast.engine.oauth.issuer import accepts_issuer
from stayfast.engine.oauth.provider import OAuthConfig, OAuthProvider
from stayfast.engine.oauth.token_endpoint import judge_token_response, refresh_request
from stayfast.interfaces.assembly import Assembly
from stayfast.interfaces.catalogue import (
    OAUTH_PROVIDERS,
    Catalogue,
    entry,
    entry_names,
    made_provider,
)
from stayfast.interfaces.cli.provider_choice import GROUPS
from stayfast.interfaces.provider_file import ProviderFile
from stayfast.storage import MemoryStorage
from stayfast.transports.loopback.redirect import addresses_to_register, broken_rule

SHIPPED = sorted(OAUTH_PROVIDERS)


@pytest.fixture
def folder(tmp_path):
    """A configuration directory, and a way to fill its file."""

    class Folder:
        path = str(tmp_path)

        def write(self, text, name="config.toml"):
            (tmp_path / name).write_text(text, "utf-8")

    return Folder()


def shipped(name, secret="the-secret"):
    """A provider of the catalogue, for one client."""
    catalogue = Catalogue(environ={})
    return catalogue.lookup(name, client_id="the-client", client_secret=secret)


# --- looking up ----------------------------------------------------------------------------------


def test_the_shipped_providers_are_known():
    """Every endpoint is safe, and every one has a page where a client is registered."""
    catalogue = Catalogue(environ={})

    assert catalogue.names() == SHIPPED
    for name in SHIPPED:
        provider = catalogue.provider(name)
        assert provider.service_name == name
        assert provider.title != name
        addresses = [provider.auth_url, provider.token_url, provider.setup_url]
        optional = [provider.issuer, provider.device_url, provider.revocation_url,
                    provider.introspection_url, provider.jwks_url, provider.userinfo_url,
                    provider.resources_url]  # fmt: skip
        addresses += [address for address in optional if address is not None]
        assert all(secure_address(a) and a.startswith("https://") for a in addresses)


def test_a_provider_is_asked_as_it_is_shipped():
    """Every entry makes a request that can be sent."""
    for name in SHIPPED:
        url = authorization_url(shipped(name), CHALLENGE, "http://localhost:8080/callback")
        wanted = None if shipped(name).pkce == "off" else ["S256"]
        assert parse_qs(urlsplit(url).query).get("code_challenge_method") == wanted
        refresh_request(shipped(name), "t")


READS = """
import sys
read = []
def opened(event, arguments):
    if event == "open" and str(arguments[0]).endswith(".toml"):
        read.append(arguments[0])
sys.addaudithook(opened)
from stayfast.interfaces.catalogue import Catalogue, OAUTH_PROVIDERS
catalogue = Catalogue(environ={})
names = catalogue.names(), len(OAUTH_PROVIDERS), catalogue.title("github"), "gitlab" in OAUTH_PROVIDERS
catalogue.of_issuer("https://gitlab.com")
before = len(read)
catalogue.lookup("gitlab", client_id="c")
catalogue.provider("gitlab")
print(before, len(read))
"""


def test_a_list_of_providers_reads_none_and_a_login_one():
    """The index says what a list shows; sixty files would be read at every command otherwise."""
    done = subprocess.run(
        [sys.executable, "-c", READS], capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / ".dev")},
    )  # fmt: skip
    assert done.stdout == "0 1\n"


@pytest.mark.parametrize(
    "table",
    [
        'kind = "nothing-like-it"',
        'kind = "apple"',
        'kind = "okta"',  # the file lost what it was asked
        'kind = "okta"\ntemplate = { domain = "a b" }',
        'kind = "okta"\ntemplate = { domain = "acme.okta.com", other = "x" }',
        'kind = "okta"\ntemplate = { domain = 7 }',
        'kind = "okta"\ntemplate = ["acme.okta.com"]',
        'kind = ["okta"]',
        'issuer = "https://{domain}"',
    ],
)
def test_a_table_of_a_kind_that_cannot_be_right_is_an_error_with_its_name(folder, table):
    """No address is made of a blank, or of a value that does not fit."""
    folder.write(f"[providers.work]\n{table}\n")
    with pytest.raises(ConfigInvalid) as caught:
        Catalogue(folder.path, environ={}).lookup("work", client_id="c")

    assert "work" in caught.value.message
    assert caught.value.hint


def test_a_table_of_a_kind_overrides_single_members(folder):
    """What the catalogue mends counts for those who added the kind before."""
    folder.write(
        '[providers.work]\nkind = "okta"\nscopes = ["openid"]\n'
        'template = { domain = "acme.okta.com" }\n'
    )
    config = Catalogue(folder.path, environ={}).lookup("work", client_id="c")

    assert (config.issuer, config.scopes) == ("https://acme.okta.com", ("openid",))
    assert config.title == "Okta"


@pytest.mark.parametrize("name", entry_names())
def test_every_entry_says_what_a_person_has_to_know(name):
    """Its source and the day; of a kind, each blank stands in an address, and no other does."""
    one = entry(name)
    about = one.about
    assert about.source
    assert about.checked is not None
    assert about.group in GROUPS
    if about.impossible:
        with pytest.raises(ConfigInvalid):
            Catalogue(environ={}).lookup(name, client_id="c")
        return
    assert about.register_how
    assert set(about.ways) <= {"loopback", "manual", "device"}
    assert about.secret in {"never", "always", "optional", "loopback"}
    examples = {
        key: template.example or template.default for key, template in one.templates.items()
    }
    assert all(template.checked(examples[key]) for key, template in one.templates.items())
    provider = made_provider(name, one.filled(examples))
    assert all(f"{{{key}}}" in str(one.settings) for key in one.templates)
    assert secure_address(provider.setup_url)
    assert addresses_to_register(provider) or provider.redirect_uri == ""
    assert broken_rule(provider) is None
    assert (provider.device_url or provider.issuer) or "device" not in about.ways


class Nobody:
    """An HTTP client that counts what it is asked."""

    def __init__(self):
        self.asked = []

    def send(self, request):
        self.asked.append(request.url)
        raise NetworkError("nobody is there")


@pytest.mark.parametrize(("discovers", "asks"), [("yes", True), ("no", False)])
def test_metadata_are_read_where_they_are_to_be(discovers, asks):
    """Endpoints that are missing are asked for, unless the metadata are not to be believed."""
    provider = OAuthProvider(
        service_name="lab", issuer="https://lab.example", token_url="https://lab.example/t",
        discovers=discovers,
    )  # fmt: skip
    http = Nobody()
    assembly = Assembly(
        MemoryStorage(), Catalogue(providers={"lab": provider}, environ={}), http=http
    )
    with suppress(NetworkError):
        assembly.config("lab", client_id="c")
    assert bool(http.asked) == asks


def test_a_name_that_is_almost_right_gets_a_suggestion():
    """And one that is not gets the list."""
    catalogue = Catalogue(environ={})
    hints = []
    for name in ("githb", "GitHub", "xxxxxxxx"):
        with pytest.raises(NotFound) as caught:
            catalogue.lookup(name)
        hints.append(caught.value.hint)

    assert hints == ["did you mean github?", "did you mean github?", "stayfast provider list"]


def test_a_missing_client_id_names_its_variable():
    """The hint is the command that sets it."""
    with pytest.raises(ConfigMissing) as caught:
        Catalogue(environ={}).lookup("github")

    assert caught.value.hint == "export GITHUB_CLIENT_ID=…"


def test_the_client_comes_from_argument_environment_file_in_this_order(folder):
    """Each place is asked only if the one before it is silent."""
    folder.write('[providers.github]\nclient_id = "file"\nclient_secret = "file-secret"\n')
    environ = {"GITHUB_CLIENT_ID": "env", "GITHUB_CLIENT_SECRET": "env-secret"}

    def client(environ, **given):
        config = Catalogue(folder.path, environ=environ).lookup("github", **given)
        return config.client_id, config.client_secret

    assert client({}) == ("file", "file-secret")
    assert client(environ) == ("env", "env-secret")
    assert client({"GITHUB_CLIENT_ID": "", "GITHUB_CLIENT_SECRET": ""}) == ("file", "file-secret")
    assert client(environ, client_id="arg", client_secret="arg-secret") == ("arg", "arg-secret")


def test_a_secret_of_another_client_is_not_used(folder):
    """What stands beside another id would be sent to no purpose."""
    folder.write('[providers.github]\nclient_id = "file"\nclient_secret = "file-secret"\n')

    def secret(environ, **given):
        return Catalogue(folder.path, environ=environ).lookup("github", **given).client_secret

    assert secret({}, client_id="arg") is None
    assert secret({"GITHUB_CLIENT_ID": "env"}) is None
    assert secret({"GITHUB_CLIENT_ID": "file"}) == "file-secret"
    assert secret({"GITHUB_CLIENT_SECRET": "env-secret"}, client_id="arg") == "env-secret"


def test_a_secret_may_stand_in_a_file_of_its_own(folder):
    """Beside the user's file or anywhere; its line break is not part of it."""
    folder.write('[providers.github]\nclient_id = "c"\nclient_secret_file = "github.secret"\n')
    catalogue = Catalogue(folder.path, environ={})
    with pytest.raises(ConfigMissing):
        catalogue.lookup("github")
    folder.write("s3cret\r\n", "github.secret")
    assert catalogue.lookup("github").client_secret == "s3cret"
    folder.write("\n", "github.secret")
    with pytest.raises(ConfigInvalid):
        catalogue.lookup("github")
    folder.write("", "github.secret")
    assert catalogue.lookup("github", client_secret="given").client_secret == "given"


def test_the_users_table_overrides_single_members(folder):
    """The rest of the shipped entry stays."""
    folder.write('[providers.github]\nscopes = ["gist"]\nclient_id = "c"\n')
    config = Catalogue(folder.path, environ={}).lookup("github")

    assert config.scopes == ("gist",)
    assert config.redirect_uri == "http://127.0.0.1:0/callback"


def test_a_provider_of_the_users_own_is_found(folder):
    """And the file is read anew at each question."""
    catalogue = Catalogue(folder.path, environ={"ACME_CLIENT_ID": "c"})
    with pytest.raises(NotFound):
        catalogue.provider("acme")
    folder.write(
        '[providers.acme]\nissuer = "https://login.acme.example"\nports = [0]\n'
        '[providers.acme.extra_auth_params]\nprompt = "consent"\n'
    )
    config = catalogue.lookup("acme")

    assert catalogue.names() == sorted([*SHIPPED, "acme"])
    assert (config.issuer, config.ports) == ("https://login.acme.example", (0,))
    assert config.extra_auth_params == {"prompt": "consent"}


@pytest.mark.parametrize(
    "text",
    [
        "[providers.github\n",
        "[providers]\ngithub = 7\n",
        "[providers.github]\nscope = 'x'\n",
        "[providers.github]\nscopes = 'x'\n",
        "[providers.github]\nclient_id = 7\n",
        "[providers.github]\nservice_name = 'x'\n",
        "[providers.github]\nvia = 'two birds'\n",
        "[providers.github]\nclient_secret_file = ['x']\n",
        "x = " + "[" * 2000,
    ],
)
def test_a_file_that_cannot_be_right_is_an_error_with_its_place(folder, text):
    """Half-read settings would send secrets to places nobody meant."""
    folder.write(text)
    with pytest.raises(ConfigInvalid) as caught:
        Catalogue(folder.path, environ={}).lookup("github", client_id="c")

    assert caught.value.hint


def test_other_tables_of_the_file_are_none_of_our_business(folder):
    """The file may hold more than providers."""
    folder.write("[ui]\ncolor = true\n")

    assert Catalogue(folder.path, environ={}).names() == SHIPPED


def test_a_file_that_others_can_write_is_not_believed(folder, tmp_path):
    """Whoever writes it decides where our secrets go; a group of one's own is common."""
    folder.write("")
    (tmp_path / "config.toml").chmod(0o664)
    assert Catalogue(folder.path, environ={}).names() == SHIPPED
    (tmp_path / "config.toml").chmod(0o666)
    with pytest.raises(ConfigInvalid) as caught:
        Catalogue(folder.path, environ={}).names()

    assert caught.value.hint == f"chmod o-w {tmp_path}/config.toml"


def test_a_program_may_add_and_replace_providers():
    """Every catalogue sees it, with the client the program gave."""
    catalogue = Catalogue(environ={})
    original = OAUTH_PROVIDERS["github"]
    try:
        OAUTH_PROVIDERS["mine"] = OAuthConfig(
            service_name="mine",
            auth_url="https://mine.example/a",
            token_url="https://mine.example/t",
            client_id="registered",
            client_secret="registered-secret",
        )
        OAUTH_PROVIDERS["github"] = OAuthProvider(
            service_name="other", token_url="https://x.example"
        )
        mine = catalogue.lookup("mine")
        assert (mine.client_id, mine.client_secret) == ("registered", "registered-secret")
        assert catalogue.lookup("mine", client_id="c").client_secret is None
        assert catalogue.provider("github").token_url == "https://x.example"
        assert catalogue.provider("github").service_name == "github"
        assert "mine" in OAUTH_PROVIDERS
        assert len(OAUTH_PROVIDERS) == len(SHIPPED) + 1
    finally:
        del OAUTH_PROVIDERS["mine"]
        OAUTH_PROVIDERS["github"] = original

    assert sorted(OAUTH_PROVIDERS) == SHIPPED


# --- what the shipped ones declare ---------------------------------------------------------------


def parameters(name):
    """The authorization request of a shipped provider."""
    url = authorization_url(shipped(name), CHALLENGE, "http://localhost:8080/callback")
    return dict(parse_qsl(urlsplit(url).query))


def body(name):
    """The token request of a shipped provider."""
    request = refresh_request(shipped(name), "the-token")
    if request.headers["Content-Type"] == "application/json":
        return json.loads(request.body)
    return dict(parse_qsl(request.body.decode()))


def tokens(recording, provider, previous=None):
    """What a recorded answer of a shipped provider amounts to."""
    return judge_token_response(shipped(provider), recorded(recording), previous=previous)


def refused(recording, provider):
    """The error code a recorded refusal amounts to."""
    with pytest.raises(ProviderError) as caught:
        tokens(recording, provider)
    return caught.value.oauth_error


def test_github_answers_in_a_form_with_commas_and_errors_with_200():
    """Its web flow takes any port of 127.0.0.1; its device flow, no secret."""
    form, plain = tokens("github-token-form", "github"), tokens("github-token-json", "github")

    assert form.access_token == plain.access_token == "gho_16C7e42F292c6912E7710c838347Ae178B4a"
    assert form.scopes == plain.scopes == ("repo", "read:user")
    assert (form.expires_in, form.refresh_token) == (None, None)
    assert form.server_date == NOW + 3
    assert refused("github-bad-code", "github") == "bad_verification_code"
    assert b"the-secret" not in device_request(shipped("github", None).of_device_flow()).body
    assert shipped("github").redirect_uri == "http://127.0.0.1:0/callback"
    assert shipped("github").scopes == ("read:user",)


def test_atlassian_wants_an_audience_consent_and_json():
    """And refuses a refresh with 403 and a code of its own."""
    found = parameters("atlassian")

    assert (found["audience"], found["prompt"]) == ("api.atlassian.com", "consent")
    assert "offline_access" in found["scope"].split()
    assert body("atlassian")["client_secret"] == "the-secret"
    assert tokens("atlassian-token", "atlassian").refresh_token is not None
    assert refused("atlassian-refresh-refused", "atlassian") == "unauthorized_client"


def test_gitlab_adds_when_it_was_made():
    """Which is kept and not believed: our own clock dates the token."""
    found = tokens("gitlab-token", "gitlab")

    assert (found.expires_at, found.extra) == (NOW + 7200, {"created_at": 1799999998})


def test_google_brings_a_refresh_token_only_when_asked_for_both():
    """And on a second consent none: the old one is kept."""
    found = parameters("google")

    assert (found["access_type"], found["prompt"]) == ("offline", "consent")
    assert "nonce" in found
    assert tokens("google-token-again", "google").refresh_token is None
    assert tokens("google-token-again", "google", TOKENS).refresh_token == TOKENS.refresh_token


def test_microsoft_says_seconds_in_text():
    """Its redirect address is localhost at any port; its issuer is that of the user's tenant."""
    found = tokens("microsoft-token", "microsoft")

    assert found.expires_in == 3736
    tenant = "https://login.microsoftonline.com/72f988bf-86f1-41af-91ab-2d7cd011db47/v2.0"
    assert accepts_issuer(shipped("microsoft"), tenant)
    assert shipped("microsoft").redirect_uri == "http://localhost:0/callback"


def test_linear_joins_scopes_with_commas():
    """In both directions; the secret goes in the body."""
    config = replace(shipped("linear"), scopes=("read", "write"))
    url = authorization_url(config, CHALLENGE, "http://localhost:8080/callback")

    assert parse_qs(urlsplit(url).query)["scope"] == ["read,write"]
    assert tokens("linear-token", "linear").scopes == ("read", "write")
    assert body("linear")["client_secret"] == "the-secret"


def test_discord_promises_iss_and_takes_forms():
    """A callback without its issuer is not believed."""
    assert shipped("discord").iss_required
    assert shipped("discord").issuer == "https://discord.com"
    assert shipped("discord").token_request_format == "form"
    assert tokens("discord-token", "discord").expires_in == 604800


def test_slack_signs_a_user_in_and_says_ok_false():
    """A user's scopes and token stand where RFC 6749 has them; the client needs no secret."""
    found = parameters("slack")

    assert found["scope"] == "users:read"
    assert urlsplit(shipped("slack").redirect_uri).hostname == "localhost"
    assert tokens("slack-refresh", "slack", TOKENS).refresh_token == "xoxe-1-new"
    assert refused("slack-refused", "slack") == "invalid_refresh_token"
    assert b"secret" not in refresh_request(shipped("slack", None), "t").body


def test_the_tokens_of_an_older_slack_app_stand_in_a_member():
    """Its answer brings the user's token beside a bot's; without a user's, there is none to take."""
    nested = replace(
        shipped("slack"), token_response_path=("authed_user",), token_types=("user", "bot")
    )

    assert judge_token_response(nested, recorded("slack-token")).token_type == "user"
    with pytest.raises(NetworkError):
        judge_token_response(nested, recorded("slack-bot-only"))


def test_notion_wants_basic_and_json_and_a_version():
    """Its answer says neither scope nor lifetime, and has a workspace in it."""
    request = refresh_request(shipped("notion"), "the-token")
    found = tokens("notion-token", "notion")

    assert b64decode(request.headers["Authorization"].split()[1]) == b"the-client:the-secret"
    assert json.loads(request.body)["refresh_token"] == "the-token"
    assert request.headers["Notion-Version"]
    assert parameters("notion")["owner"] == "user"
    assert (found.scope, found.expires_in) == (None, None)
    assert found.extra["workspace_name"] == "Ada’s Workspace"
    with pytest.raises(ConfigMissing):
        refresh_request(shipped("notion", None), "the-token")


def test_a_server_that_says_no_lifetime_has_an_unknown_one():
    """Salesforce: the instance is kept; ``issued_at`` in milliseconds is not taken for ours."""
    found = tokens("salesforce-token", "gitlab")

    assert (found.expires_in, found.issued_at) == (None, NOW)
    assert found.extra["instance_url"] == "https://mydomain.my.salesforce.com"


def test_a_list_of_errors_is_an_error():
    """Fitbit's way to say it; the message with the token in it is not repeated."""
    with pytest.raises(ProviderError) as caught:
        tokens("fitbit-refused", "gitlab")

    assert caught.value.oauth_error == "invalid_grant"
    assert "abcdef" not in str(caught.value)


def test_every_recording_is_read_by_a_test():
    """A recording that nobody looks at proves nothing."""
    text = "".join(path.read_text("utf-8") for path in Path(__file__).parent.glob("test_*.py"))

    assert {name for name in names() if f'"{name}"' not in text} == set()


@pytest.mark.parametrize(
    ("value", "sent"),
    [("cid\r", "cid"), (" cid\r\n", "cid"), ("\n", "kept"), ("", "kept"), ("\t", "kept")],
)
def test_a_client_of_the_environment_counts_without_blanks(
    value: str, sent: str, tmp_path: Path
) -> None:
    """A line end of the file it came from is no part of an id or a secret; of blanks alone it is unset."""
    client = OAuthConfig(
        service_name="lab", auth_url="https://p.test/a", token_url="https://p.test/t",
        client_id="kept", client_secret="kept",
    )  # fmt: skip
    ids = Catalogue(None, environ={"LAB_CLIENT_ID": value}, providers={"lab": client})
    secrets = Catalogue(None, environ={"LAB_CLIENT_SECRET": value}, providers={"lab": client})

    assert ids.lookup("lab").client_id == sent
    assert secrets.lookup("lab").client_secret == sent


@pytest.mark.parametrize("name", ["LAB_CLIENT_ID", "LAB_CLIENT_SECRET"])
@pytest.mark.parametrize("value", ["a\nb", "a\x1b[2Jb", "a\x00b"])
def test_a_client_with_control_characters_is_refused(name: str, value: str) -> None:
    """It would reach a header or an address; the value is not shown."""
    client = OAuthConfig(
        service_name="lab",
        auth_url="https://p.test/a",
        token_url="https://p.test/t",
        client_id="kept",
    )
    with pytest.raises(ConfigInvalid) as refused:
        Catalogue(None, environ={name: value}, providers={"lab": client}).lookup("lab")
    assert value not in refused.value.message


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_files_are_read_with_the_marks_that_editors_put_before_them(
    encoding: str, tmp_path: Path
) -> None:
    """The user's file and the file of a secret, as Windows programs save them; editing keeps working."""
    tmp_path.chmod(0o700)
    settings = '[providers.lab]\nauth_url = "https://p.test/a"\ntoken_url = "https://p.test/t"\n'
    settings += 'client_id = "cid"\nclient_secret_file = "secret"\n'
    for name, text in (("config.toml", settings), ("secret", "s3cret\r\n")):
        (tmp_path / name).touch(mode=0o600)
        (tmp_path / name).write_bytes(text.encode(encoding))

    config = Catalogue(str(tmp_path), environ={}).lookup("lab")
    assert (config.client_id, config.client_secret) == ("cid", "s3cret")
    ProviderFile(str(tmp_path)).edit("lab", {"client_id": "other"})
    assert Catalogue(str(tmp_path), environ={}).lookup("lab").client_id == "other"
