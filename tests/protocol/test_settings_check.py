"""Settings that no login can succeed with are refused when they are read, added or edited."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from stayfast.engine.errors import ConfigInvalid
from stayfast.interfaces.catalogue import Catalogue, Providers
from stayfast.interfaces.provider_file import ProviderFile
from stayfast.transports.loopback.redirect import redirect_of

REDIRECT = "http://127.0.0.1/cb"
WRONG: list[tuple[str, Any]] = [
    ("subject_login", "/account"),
    ("actor_login", " /account"),
    ("post_logout_redirect_uri", "javascript:alert(1)"),
    ("post_logout_redirect_uri", "data:text/html,x"),
    ("post_logout_redirect_uri", "file:///etc/passwd"),
    ("post_logout_redirect_uri", "https://"),
    ("post_logout_redirect_uri", "/signed-out"),
    *(
        ("token_request_headers", headers)
        for headers in (
            {"X\r\nY": "a"}, {"X-A": "a\r\nB: c"}, {"X-A": "a\nb"}, {"X-A": "a\x00"}, {"X-A": "é"},
            {"": "a"}, {" ": "a"}, {"É": "a"}, {"X A": "a"}, {"X:": "a"}, {"X-A": " a"},
        )
    ),
    *(("redirect_uri", f"{REDIRECT}?{query}") for query in ("state=x", "code=", "a=b&error=x", "iss", "%63ode=x")),
    *(
        ("redirect_uri", f"{address}/cb")
        for address in (
            "http://example.com", "http://0.0.0.0", "http://127.1", "http://[::ffff:127.0.0.1]",
            "http://localhost.", "http://10.0.0.1:8080", "HTTP://Example.com", "http://2130706433",
        )
    ),
    *(("scope_parameter", name) for name in ("", " ", "code", "error", "ISS", "a\nb", "é")),
    *(("scopes", [scope]) for scope in ("", " ", "a b", 'a"', "a\\", "a\nb", "é")),
    *(("scope_separator", text) for text in ("", "\n", "é")),
    *(("extra_auth_params", {name: "x"}) for name in ("", " ")),
    *(("extra_auth_params", {"max_age": age}) for age in ("-1", "", "soon", "1.5", "²")),
    *(
        (setting, text)
        for setting in ("display_name", "audience", "setup_url")
        for text in ("\x1b]0;x\x07", "a\nb", "a\x7f", "a\x9b1m", "a\u202eb", "a\u2028b")
    ),
    ("token_types", ["a\x1b"]),
    *(
        (setting, address)
        for setting in ("issuer", "token_url", "setup_url", "refresh_url", "resources_url")
        for address in ("https://{domain}/x", "https://a.example/{tenant", "https://a.example/x}")
    ),
    ("redirect_uri", "http://127.0.0.1/{path}"),
    ("revocation_url", "https://a.example/{token}"),
    ("revocation_url", "https://a.example/{client_id}/{client_id}"),
    ("mtls_endpoint_aliases", {"token_url": "https://{host}/t"}),
    *(("redirect_uri", address) for address in ("", "urn:ietf:wg:oauth:2.0:oob")),
    ("extra_auth_params", {"p": "a\x1b"}),
    *(
        ("parameter_names", names)
        for names in (
            {"state": "s"}, {"code_challenge": "c"}, {"nonce": "n"}, {"client_id": ""}, {"scope": "a b"},
            {"code_verifier": "redirect_uri"}, {"code": "Client_Id"}, {"scope": "x", "resource": "X"},
            {"refresh_token": "scope"}, {"token": "token_type_hint"}, {"device_code": "grant_type"},
            {"code": "code_verifier", "code_verifier": "code"},
            {"code": "scope"}, {"device_code": "Prompt"}, {"client_secret": "audience"},
        )
    ),
    *(
        ("member_names", names)
        for names in (
            {"colour": "c"}, {"access_token": "refresh_token"}, {"error": "message", "error_description": "message"},
            {"scope": ""}, {"scope": "a..b"}, {"scope": ".a"}, {"user_code": "device_code"}, {"scope": "a b"},
        )
    ),
    *(("error_codes", codes) for codes in ({"": "invalid_grant"}, {" ": "invalid_grant"}, {"x": "fine"}, {"x": ""})),
    *(("device_grant_type", name) for name in ("", "a b", "authorization_code", "refresh_token", "password")),
    *((setting, 0) for setting in ("device_lifetime", "refresh_lifetime")),
    *(
        (setting, seconds)
        for setting in ("device_lifetime", "refresh_lifetime", "refresh_grace")
        for seconds in (-1, True, "900", float("inf"), float("nan"))
    ),
    *(("refresh_url", url) for url in ("http://a.example/r", "a", "javascript:x")),
    *(("scopes_for_device", [scope]) for scope in ("", "a b")),
    *(("repeats_scope", kinds) for kinds in (["revoke"], "poll", ["poll", 1])),
    ("repeats_redirect_uri", ["poll"]),
    *((setting, "maybe") for setting in ("pkce", "secret_for", "refresh_rotates", "discovers", "redirect_port")),
    *(("revocation_parameters", names) for names in ([], ["client_id"], ["token", "state"])),
    *(("revocation_tokens", names) for names in ([], ["id_token"])),
    ("revocation_method", "GET"),
    ("revocation_tokens", ["token"]),
    ("revocation_ends", "everything"),
    *((setting, ["a b"]) for setting in ("token_lists", "callback_extras")),
    *(("callback_extras", [name]) for name in ("state", "Code", "iss", "error", "redirect_uri")),
    *((setting, "a b") for setting in ("token_resource_member", "api_url_member")),
    *(
        ("issuer_template", address)
        for address in (
            "https://login.example/v2.0", "https://{tenantid}.example/", "http://a.example/{tenantid}",
            "https://a.example/{tenantid}/{tenantid}", "https://a.example/{tenant}/{tenantid}", "https://a.example{tenantid}",
        )
    ),
    ("redirect_hosts", ["example.com"]),
]  # fmt: skip


@pytest.fixture
def place(tmp_path: Path) -> str:
    """A configuration directory of this user alone."""
    tmp_path.chmod(0o700)
    return str(tmp_path)


def judged(setting: str, value: object, place: str) -> list[Exception | None]:
    """What reading the setting, adding it and editing it raise."""
    base = {"auth_url": "https://a.example/a", "token_url": "https://a.example/t"}
    shipped = Providers()
    known = dict(shipped)
    file = ProviderFile(place)
    file.add("edited", base)

    def read() -> None:
        import tomlkit  # noqa: PLC0415  writes the file as a person would

        path = file.path
        with open(path, encoding="utf-8") as before:
            document = tomlkit.parse(before.read())
        document["providers"]["read"] = {**base, setting: value}  # type: ignore[index]
        with open(path, "w", encoding="utf-8") as after:
            after.write(document.as_string())
        Catalogue(place, environ={}, providers=known).provider("read")

    ways = [
        read,
        lambda: file.add("added", {**base, setting: value}),
        lambda: file.edit("edited", {setting: value}),
    ]
    raised: list[Exception | None] = []
    for way in ways:
        try:
            way()
            raised.append(None)
        except ConfigInvalid as error:
            raised.append(error)
    return raised


@pytest.mark.parametrize(("setting", "value"), WRONG, ids=repr)
def test_what_cannot_work_is_refused_by_its_name(setting: str, value: object, place: str) -> None:
    """However it comes into the file; the message names the setting."""
    for error in judged(setting, value, place):
        assert isinstance(error, ConfigInvalid)
        named = {"revocation_method": "revocation_parameters"}.get(setting, setting)
        assert named in error.message
        assert error.message.isprintable()


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("token_request_headers", {"Notion-Version": "2022-06-28", "X-Empty": "", "X": "a b, c"}),
        ("redirect_uri", "https://example.com/cb"),
        ("redirect_uri", "http://127.0.0.2:0/cb"),
        ("redirect_uri", f"{REDIRECT}?tenant=1"),
        ("redirect_uri", "http://[::1]/cb"),
        ("redirect_uri", "HTTP://LocalHost:8770/CB"),
        ("scope_parameter", "user_scope"),
        ("subject_login", "people/j doe"),
        ("subject_login", "https://mcp.example.com/mcp"),
        ("post_logout_redirect_uri", "http://127.0.0.1:0/bye?a=b"),
        ("post_logout_redirect_uri", "com.example.app:/bye"),
        ("scopes", ["https://graph.example/User.Read", "repo:status", "a+b", "!"]),
        ("scope_separator", ","),
        ("extra_auth_params", {"max_age": "0", "login_hint": "J. Doe"}),
        ("display_name", "Läb 🔑 株式会社"),
        ("parameter_names", {"scope": "scopes", "device_code": "code", "grant_type": "grantType"}),
        ("parameter_names", {"client_id": "Client_ID", "token": "access_token"}),
        ("member_names", {"error": "error.error_subcode", "device_code": "code"}),
        (
            "error_codes",
            {"1349174": "authorization_pending", "Invalid device code": "invalid_grant"},
        ),
        ("device_grant_type", "device"),
        ("device_lifetime", 900),
        ("refresh_grace", 0),
        ("refresh_url", "https://api.figma.com/v1/oauth/refresh"),
        ("redirect_hosts", ["127.0.0.1", "::1"]),
        ("issuer_template", "https://login.microsoftonline.com/{tenantid}/v2.0"),
        ("pkce", "off"),
        ("revocation_parameters", ["token"]),
        ("callback_extras", ["realmId", "accounts-server"]),
        ("redirect_port", "range"),
    ],
    ids=repr,
)
def test_what_can_work_is_taken(setting: str, value: object, place: str) -> None:
    """Nothing is refused for being unusual."""
    assert judged(setting, value, place) == [None, None, None]


@pytest.mark.parametrize("config", [{"scopes": ("",)}, {"extra_auth_params": {"max_age": "-1"}}])
def test_a_program_hears_of_it_before_its_user_is_asked(config: dict[str, Any]) -> None:
    """A configuration that came from no file is judged when a login begins."""
    from logins import CONFIG  # noqa: PLC0415
    from stayfast.engine.oauth.settings_check import require_sendable  # noqa: PLC0415

    with pytest.raises(ConfigInvalid):
        require_sendable(CONFIG.from_dict({**CONFIG.to_dict(), **config}))
    with pytest.raises(ConfigInvalid):
        redirect_of(CONFIG.from_dict({**CONFIG.to_dict(), "redirect_uri": "http://0.0.0.0/"}))
