"""What a new issuer does to the settings that the old one published."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from stayfast.engine.oauth.metadata import ServerMetadata
from stayfast.engine.oauth.provider import OAuthProvider
from stayfast.engine.oauth.setting_types import ENDPOINTS
from stayfast.interfaces.metadata_settings import (
    change_of_issuer,
    endpoints_elsewhere,
    published_settings,
)


def server(host: str, **more: Any) -> ServerMetadata:
    """A server that publishes every endpoint but the one for the end of a session."""
    named: dict[str, Any] = {one: f"https://{host}/{one}" for one in ENDPOINTS.values()}
    members: dict[str, Any] = {"issuer": f"https://{host}", **named, "end_session_endpoint": None}
    return ServerMetadata(**{**members, **more})


A, B = server("a.example", iss_supported=True), server("b.example")


def edited(table: dict[str, Any], **how: Any) -> dict[str, Any]:
    """``table`` once its issuer is that of B, or of ``found``."""
    found = how.pop("found", B)
    how = {"given": {}, "shipped": None, "before": A, **how}
    given = {"issuer": found.issuer, **how.pop("given")}
    changes = change_of_issuer(given=given, table=table, found=found, **how).changes
    return {k: v for k, v in {**table, **changes}.items() if v is not None}


FROM_A = {"issuer": A.issuer, "client_id": "cid", **published_settings(A)}


@pytest.mark.parametrize("before", [A, None], ids=["known", "gone"])
def test_everything_of_the_old_issuer_is_replaced(before: ServerMetadata | None) -> None:
    """Also when the old issuer cannot be asked any more."""
    after = edited(FROM_A, before=before)

    assert after == {"issuer": B.issuer, "client_id": "cid", **published_settings(B)}
    assert not endpoints_elsewhere(B.issuer, after)


def test_what_the_new_issuer_does_not_publish_is_taken_out_and_named() -> None:
    """A leftover endpoint would get the tokens of the new issuer."""
    found = server("b.example", revocation_endpoint=None)
    change = change_of_issuer(
        given={"issuer": found.issuer}, table=FROM_A, shipped=None, before=A, found=found
    )

    assert change.changes["revocation_url"] is None
    assert change.gone == ["revocation_url"]


@pytest.mark.parametrize("member", ["refresh_url", "registration_url"])
@pytest.mark.parametrize(("host", "kept"), [("a.example", False), ("proxy.example", True)])
def test_an_endpoint_that_nobody_publishes_goes_with_its_host(
    member: str, host: str, kept: bool
) -> None:
    """Refresh tokens and secrets of the new issuer would go to the old one."""
    after = edited({**FROM_A, member: f"https://{host}/x"})

    assert (member in after) is kept
    assert bool(endpoints_elsewhere(B.issuer, after)) is kept


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://proxy.example/revoke", True),
        ("https://a.example/older", False),  # the old issuer moved it since
        ("https://A.example/revocation_endpoint", False),
    ],
)
def test_an_endpoint_of_the_users_own_is_kept_if_it_is_not_at_the_old_issuer(
    url: str, kept: bool
) -> None:
    """What the old issuer does not serve did not come from it."""
    after = edited({**FROM_A, "revocation_url": url})

    assert (after["revocation_url"] == url) is kept
    assert bool(endpoints_elsewhere(B.issuer, after)) is kept


def test_a_setting_that_is_given_now_wins() -> None:
    """It is kept, and named if it is at another host."""
    after = edited(FROM_A, given={"token_url": "https://a.example/token_endpoint"})

    assert endpoints_elsewhere(B.issuer, after) == [("token endpoint", "a.example")]


def test_a_first_issuer_leaves_the_endpoints_that_were_named_one_by_one() -> None:
    """They came from the user; the metadata adds what is missing."""
    table = {"auth_url": "https://c.example/auth", "token_url": "https://c.example/token"}
    after = edited(table, before=None)

    assert (after["auth_url"], after["token_url"]) == (table["auth_url"], table["token_url"])
    assert after["jwks_url"] == B.jwks_uri


@pytest.mark.parametrize(
    ("table", "ways", "after"),
    [
        ("auto_post", ("client_secret_basic",), None),
        ("auto_post", ("none",), "none"),
        (None, ("client_secret_post",), "auto_post"),
        ("client_secret_basic", ("client_secret_post",), "client_secret_basic"),
    ],
)
def test_the_way_of_authentication_follows_the_issuer_unless_the_user_chose_it(
    table: str | None, ways: tuple[str, ...], after: str | None
) -> None:
    """What the old metadata had chosen is chosen anew."""
    old = server("a.example", auth_methods=("client_secret_post",))
    settings = {**FROM_A, **({"token_endpoint_auth_method": table} if table else {})}
    found = server("b.example", auth_methods=ways)

    assert edited(settings, before=old, found=found).get("token_endpoint_auth_method") == after


def test_a_shipped_provider_with_another_issuer_keeps_no_shipped_endpoint() -> None:
    """Nor another spelling of the shipped issuer, nor its promise of ``iss``."""
    shipped = OAuthProvider(
        service_name="x",
        issuer=A.issuer,
        iss_required=True,
        token_endpoint_auth_method="auto_post",
        id_token_issuers=("a.example",),
    )
    named: dict[str, Any] = {name: f"https://a.example/{name}" for name in ENDPOINTS}
    after = edited({}, shipped=replace(shipped, **named))

    assert after == {
        "issuer": B.issuer,
        "end_session_url": "",
        "iss_required": False,
        "token_endpoint_auth_method": "auto",
        "id_token_issuers": [],
        **published_settings(B),
    }


def test_the_same_issuer_again_brings_its_metadata_up_to_date() -> None:
    """The user's further spellings of it stay."""
    table = {**FROM_A, "token_url": "https://a.example/old", "id_token_issuers": ["a.example"]}
    after = edited(table, found=A)

    assert after["token_url"] == A.token_endpoint
    assert after["id_token_issuers"] == ["a.example"]
