"""The user's own file: edited without losing a comment, replaced as a whole."""

from __future__ import annotations

import os
import stat
import tomllib
from concurrent.futures import ThreadPoolExecutor

import pytest
from stayfast.engine.errors import ConfigInvalid, NotFound, StorageError
from stayfast.interfaces.catalogue import Catalogue
from stayfast.interfaces.provider_file import ProviderFile
from stayfast.interfaces.settings_files import provider_tables

ACME = {"issuer": "https://login.acme.example", "client_id": "acme-cli"}


@pytest.fixture
def folder(tmp_path):
    """A configuration directory that does not exist yet."""
    return tmp_path / "config"


@pytest.fixture
def file(folder):
    """Its file, which does not exist either."""
    return ProviderFile(str(folder))


def test_adding_makes_a_private_file(file, folder):
    """Only this user reads it; nothing else is left in the directory but the lock."""
    file.add("acme", {**ACME, "scopes": ("read", "write"), "extra_auth_params": {"a": "b"}})

    assert stat.S_IMODE(os.stat(file.path).st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert sorted(os.listdir(folder)) == ["config.toml", "config.toml.lock"]
    assert file.names() == ["acme"]
    assert file.members("acme") == {
        **ACME, "scopes": ["read", "write"], "extra_auth_params": {"a": "b"},
    }  # fmt: skip
    assert Catalogue(str(folder), environ={}).lookup("acme").scopes == ("read", "write")


COMMENTED = """\
# my settings
[ui]
color = true   # always

[providers.acme]
# the test tenant
issuer = "https://login.acme.example"   # not the old one
client_id = 'acme-cli'

[providers.beta]   # soon
token_url = "https://beta.example/token"
"""


def test_editing_keeps_every_comment_and_the_order(file, folder):
    """What is not changed stays as it was typed."""
    folder.mkdir(mode=0o700)
    (folder / "config.toml").write_text(COMMENTED)
    file.edit("acme", {"client_id": "another", "audience": "api"})

    assert (folder / "config.toml").read_text() == COMMENTED.replace(
        "client_id = 'acme-cli'\n", 'client_id = "another"\naudience = "api"\n'
    )


def test_editing_takes_members_out(file):
    """``None`` is gone; what was never there does not matter."""
    file.add("acme", {**ACME, "audience": "api"})
    file.edit("acme", {"audience": None, "jwks_url": None})

    assert file.members("acme") == ACME


def test_editing_a_shipped_provider_writes_the_change_alone(file, folder):
    """The rest goes on coming from the catalogue."""
    file.edit("github", {"client_id": "mine"})

    assert file.members("github") == {"client_id": "mine"}
    assert (
        Catalogue(str(folder), environ={}).lookup("github").token_url.startswith("https://github")
    )


def test_removing_takes_a_table_out_and_leaves_the_others(file, folder):
    """With its own comments, not with those of others."""
    folder.mkdir(mode=0o700)
    (folder / "config.toml").write_text(COMMENTED)
    file.remove("acme")
    text = (folder / "config.toml").read_text()

    assert tomllib.loads(text) == {
        "ui": {"color": True},
        "providers": {"beta": {"token_url": "https://beta.example/token"}},
    }
    assert "# my settings" in text
    assert "# soon" in text
    with pytest.raises(NotFound):
        file.remove("acme")
    with pytest.raises(NotFound):
        file.members("acme")


def test_a_name_is_taken_once(file):
    """Adding is not editing."""
    file.add("acme", ACME)
    with pytest.raises(ConfigInvalid) as caught:
        file.add("acme", {})

    assert caught.value.hint == "stayfast provider show acme"
    assert file.members("acme") == ACME


@pytest.mark.parametrize("name", ["", "a b", "-x", "../x", "x" * 65, "a\n", "ä", "a/b"])
def test_a_name_is_one_word(file, folder, name):
    """It becomes part of commands and of variables' names."""
    with pytest.raises(ConfigInvalid):
        file.add(name, ACME)

    assert not folder.exists()


@pytest.mark.parametrize(
    "members",
    [
        {"nope": "x"},
        {"service_name": "x"},
        {"scopes": "read"},
        {"ports": [70000]},
        {"client_id": 7},
        {"client_secret_file": 7},
        {"via": "carrier pigeon"},
        {"token_url": "http://login.acme.example/token"},
        {"auth_url": "javascript:alert(1)"},
        {"issuer": "acme"},
        {"extra_auth_params": {"a": 1}},
    ],
)
def test_what_cannot_be_right_is_not_written(file, folder, members):
    """The file is as it was."""
    file.add("acme", ACME)
    before = (folder / "config.toml").read_bytes()
    with pytest.raises(ConfigInvalid):
        file.edit("acme", members)
    with pytest.raises(ConfigInvalid):
        file.add("other", members)

    assert (folder / "config.toml").read_bytes() == before


@pytest.mark.parametrize("text", ["[providers\n", "providers = 7\n"])
def test_a_broken_file_is_not_edited(file, folder, text):
    """Not even where the change itself is right."""
    folder.mkdir(mode=0o700)
    (folder / "config.toml").write_text(text)
    with pytest.raises(ConfigInvalid):
        file.add("acme", ACME)

    assert (folder / "config.toml").read_text() == text


def test_a_link_is_followed_and_stays(file, folder, tmp_path):
    """People keep such files in a repository of their own."""
    folder.mkdir(mode=0o700)
    target = tmp_path / "dotfiles.toml"
    target.write_text("# mine\n")
    (folder / "config.toml").symlink_to(target)
    file.add("acme", ACME)

    assert (folder / "config.toml").is_symlink()
    assert target.read_text().startswith("# mine\n")
    assert provider_tables(str(folder)) == {"acme": ACME}


def test_a_directory_open_to_others_is_not_written(file, folder):
    """The hint is the command that closes it."""
    folder.mkdir()
    folder.chmod(0o755)
    with pytest.raises(StorageError) as caught:
        file.add("acme", ACME)

    assert caught.value.hint == f"chmod 700 {folder}"


def test_many_at_once_lose_nothing(folder):
    """Each reads what the one before it wrote."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: ProviderFile(str(folder)).add(f"p{n}", ACME), range(24)))

    assert len(provider_tables(str(folder))) == 24


def test_no_file_is_no_providers(folder):
    """And no directory is not made for a question."""
    assert provider_tables(str(folder)) == {}
    assert not folder.exists()


def test_what_is_no_file_is_refused(folder):
    """A directory of that name, or one that is far too large."""
    (folder / "config.toml").mkdir(parents=True)
    with pytest.raises(ConfigInvalid):
        provider_tables(str(folder))
    (folder / "config.toml").rmdir()
    (folder / "config.toml").write_bytes(b"#" * (1024 * 1024 + 1))
    with pytest.raises(ConfigInvalid):
        provider_tables(str(folder))
