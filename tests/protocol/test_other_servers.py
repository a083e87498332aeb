"""Settings of the user and answers of servers that are not the one meant."""

from __future__ import annotations

from dataclasses import replace

import pytest
from logins import CONFIG
from stayfast.engine.errors import ConfigInvalid, NotFound
from stayfast.interfaces.catalogue import Catalogue
from stayfast.interfaces.provider_file import ProviderFile
from stayfast.transports.loopback.redirect import parse_redirect, redirect_of, registered_address

SETTINGS = '[providers.lab]\ntoken_url = "https://lab.example/t"\nclient_id = "cid"\n'


@pytest.fixture
def place(tmp_path):
    """A configuration directory of this user alone."""
    tmp_path.chmod(0o700)
    return tmp_path


def write(place, octets):
    """The user's file."""
    path = place / "config.toml"
    path.write_bytes(octets)
    path.chmod(0o600)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_settings_are_read_and_edited_as_an_editor_saved_them(place, encoding):
    """A byte order mark, or UTF-16, is no reason to refuse what can be read."""
    write(place, SETTINGS.encode(encoding))

    ProviderFile(str(place)).edit("lab", {"display_name": "Läb"})
    config = Catalogue(str(place), environ={}).lookup("lab")

    assert (config.client_id, config.display_name) == ("cid", "Läb")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_secret_file_holds_the_secret_alone(place, encoding):
    """Neither the byte order mark nor the line end is sent."""
    secret = place / "secret"
    secret.write_bytes("s3cret\r\n".encode(encoding))
    secret.chmod(0o600)
    write(place, (SETTINGS + f'client_secret_file = "{secret}"\n').encode())

    assert Catalogue(str(place), environ={}).lookup("lab").client_secret == "s3cret"


@pytest.mark.parametrize("blank", ["\r", "\n", " ", "\t\r\n"])
def test_what_the_environment_adds_to_a_client_is_not_sent(place, blank):
    """A line end and blanks are taken off; a variable with nothing else in it is unset."""
    write(place, SETTINGS.encode())
    given = {"LAB_CLIENT_ID": "other" + blank, "LAB_CLIENT_SECRET": "s3cret" + blank}
    config = Catalogue(str(place), environ=given).lookup("lab")
    unset = Catalogue(str(place), environ={"LAB_CLIENT_ID": blank}).lookup("lab")

    assert (config.client_id, config.client_secret) == ("other", "s3cret")
    assert unset.client_id == "cid"


@pytest.mark.parametrize("other", ["new_in_v2 = 1", "client_id = 5", "scope_parameter = 'state'"])
def test_a_table_that_cannot_be_right_stops_its_own_provider_only(place, other):
    """Another provider is used and edited all the same."""
    write(place, (SETTINGS + f"[providers.other]\n{other}\n").encode())
    catalogue = Catalogue(str(place), environ={})

    assert catalogue.lookup("lab").client_id == "cid"
    ProviderFile(str(place)).edit("lab", {"display_name": "Lab"})
    assert "other" in catalogue.names()
    with pytest.raises(ConfigInvalid):
        catalogue.provider("other")


def test_a_name_that_is_not_known_is_said_with_its_neighbour(place):
    """What is edited must be there, even with settings that cannot be right."""
    write(place, (SETTINGS + "[providers.other]\nx = 1\n").encode())
    catalogue = Catalogue(str(place), environ={})

    catalogue.require("other")
    with pytest.raises(NotFound) as caught:
        catalogue.require("lba")
    assert "lab" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("http://127.0.0.1:8770", "http://127.0.0.1:8770"),
        ("http://127.0.0.1:8770/", "http://127.0.0.1:8770/"),
        ("HTTP://LocalHost:8770/CB", "HTTP://LocalHost:8770/CB"),
        ("http://localhost:80/cb?a=b", "http://localhost:80/cb?a=b"),
        ("http://[::1]:8770?a=b", "http://[::1]:8770?a=b"),
        ("http://LOCALHOST", "http://LOCALHOST:7001"),
    ],
)
def test_a_redirect_address_is_sent_to_the_letter(given, sent):
    """Providers compare it as text; only a port that was left open is filled in."""
    redirect = parse_redirect(given, (7001,))

    assert redirect.address(redirect.ports[0]) == sent
    assert redirect.addresses


@pytest.mark.parametrize(
    "given", ["banana", "", "http://", "http://a b/c", "http://me@localhost/", "http://localhost:/c",
              "http://localhost:08/c", "http://localhost/#x", "http://localhost/?", "http://a\\b/"],
)  # fmt: skip
def test_what_cannot_be_sent_to_the_letter_is_refused_when_it_is_configured(place, given):
    """Before anybody registers it."""
    write(place, SETTINGS.encode())
    with pytest.raises(ConfigInvalid):
        ProviderFile(str(place)).edit("lab", {"redirect_uri": given})


def test_an_issuer_may_have_a_redirect_address_of_its_own():
    """The same every time, another for another issuer, and below the shared one."""
    one = replace(CONFIG, issuer="https://a.example", redirect_per_issuer=True)
    other = replace(one, issuer="https://b.example")

    assert registered_address(one) == registered_address(replace(one))
    assert redirect_of(one).path != redirect_of(other).path
    assert redirect_of(one).path.startswith("/callback/")
    assert redirect_of(replace(one, redirect_per_issuer=False)).path == "/callback"
