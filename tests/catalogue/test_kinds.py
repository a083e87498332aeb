"""The catalogue as a program sees it."""

from __future__ import annotations

from pathlib import Path

import pytest
import stayfast
from stayfast import ConfigInvalid, ConfigMissing, OAuthConfig, ProviderKind, provider_kinds
from stayfast.interfaces.catalogue import OAUTH_PROVIDERS, entry

KINDS = provider_kinds()
POSSIBLE = [name for name, kind in KINDS.items() if not kind.impossible]


def examples(kind: ProviderKind) -> dict[str, str]:
    """What a user might answer for each blank."""
    return {name: blank.example or blank.default for name, blank in kind.blanks.items()}


@pytest.mark.parametrize("name", POSSIBLE)
def test_every_kind_makes_a_provider(name: str) -> None:
    """With its blanks filled in, none is left; a whole provider is the shipped one."""
    kind = KINDS[name]
    assert tuple(kind.blanks) == kind.asks
    assert kind.about.source
    made = kind.provider("mine", **examples(kind))
    assert made.service_name == "mine"
    config = made.to_config("cid", "secret")
    assert isinstance(config, OAuthConfig)
    assert config.client_id == "cid"
    shown = str(config.to_dict())
    assert [one for one in kind.asks if f"{{{one}}}" in shown] == []
    if not kind.asks:
        assert kind.provider() == OAUTH_PROVIDERS[name]


@pytest.mark.parametrize("name", sorted(set(KINDS) - set(POSSIBLE)))
def test_an_impossible_one_says_why(name: str) -> None:
    """It is listed, and makes no provider."""
    with pytest.raises(ConfigInvalid) as refused:
        KINDS[name].provider()
    assert KINDS[name].impossible in refused.value.message


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({}, ConfigMissing),
        ({"domain": ""}, ConfigMissing),
        ({"domain": "a b"}, ConfigInvalid),
        ({"domain": "user@acme.okta.com"}, ConfigInvalid),
        ({"domain": "{domain}"}, ConfigInvalid),
        ({"domain": 5}, ConfigInvalid),
        ({"domain": None}, ConfigInvalid),
        ({"domain": "acme.okta.com", "realm": "main"}, ConfigInvalid),
    ],
)
def test_a_blank_that_does_not_fit_is_refused(
    values: dict[str, str], error: type[stayfast.StayfastError]
) -> None:
    """By one sentence, and a hint that is about the call."""
    with pytest.raises(error) as refused:
        KINDS["okta"].provider(**values)
    assert str(refused.value.hint) == "provider(domain=…)"


def test_a_list_of_kinds_reads_no_entry() -> None:
    """It takes one file, however many providers there are."""
    read = entry.cache_info().currsize
    assert len(provider_kinds()) > 50
    assert entry.cache_info().currsize == read


def test_a_service_takes_what_a_kind_makes(tmp_path: Path) -> None:
    """A whole address that was pasted is as good as its host."""
    tmp_path.chmod(0o700)
    okta = KINDS["okta"].provider(domain="https://acme.okta.com/")
    assert okta.issuer == "https://acme.okta.com"
    service = stayfast.OAuthService(
        app="acme",
        providers={"okta": okta.to_config("cid")},
        environ={"STAYFAST_STATE_DIR": str(tmp_path / "s"), "STAYFAST_CONFIG_DIR": str(tmp_path)},
    )
    status = service.get_status("okta")
    assert isinstance(status, stayfast.Success)
    assert status.value is stayfast.AuthStatus.NOT_AUTHENTICATED
