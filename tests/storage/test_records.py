"""Records and views."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stayfast.engine import cbor
from stayfast.engine.codec import decode_login, encode_login
from stayfast.engine.errors import Damaged, NewerFormat
from stayfast.engine.oauth.tokens import OAuthTokens
from stayfast.engine.record import DeviceGrant, Exchange, Presentation
from stayfast.engine.secret import Secret
from stayfast.engine.summary import Identity
from stayfast.engine.summary_codec import SCHEMA, decode_summary
from stayfast.storage import MemoryTokenStorage, TokenStorageProtocol
from stayfast.testing.storage_contract import finished, pending

grants = st.builds(
    DeviceGrant,
    device_code=st.text().map(Secret),
    user_code=st.text(),
    verification_uri=st.text(),
    verification_uri_complete=st.none() | st.text(),
    expires_at=st.floats(0, 1e12),
    interval=st.floats(0, 100),
)
plain = st.recursive(st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text(),
                     lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
                     max_leaves=5)  # fmt: skip
tokens = st.builds(
    OAuthTokens,
    access_token=st.text(min_size=1),
    expires_in=st.none() | st.floats(1, 1e9),
    refresh_token=st.none() | st.text(min_size=1),
    scope=st.none() | st.text(),
    issued_at=st.floats(0, 1e12),
    extra=st.dictionaries(st.text(), plain, max_size=3),
)


@given(
    shown=st.none() | st.builds(Presentation, transport=st.text(), redirect_uri=st.none() | st.text(), device=st.none() | grants),
    exchange=st.none() | st.builds(Exchange, kind=st.sampled_from(["code", "refresh"]), started_at=st.floats(0, 1e12), code=st.none() | st.text().map(Secret)),
    held=st.none() | tokens,
    who=st.none() | st.builds(Identity, subject=st.text(), name=st.none() | st.text()),
    reason=st.none() | st.text(),
)  # fmt: skip
def test_a_login_is_read_as_it_was_written(
    shown: Presentation | None,
    exchange: Exchange | None,
    held: OAuthTokens | None,
    who: Identity | None,
    reason: str | None,
) -> None:
    """Every field survives; what a list shows of it is what its summary says, without secrets."""
    login = replace(
        pending(), presentation=shown, exchange=exchange, tokens=held, identity=who, reason=reason
    )
    meta, secret = encode_login(login)
    assert decode_login(secret) == login
    assert decode_summary(meta) == login.summary()


def test_other_schemas() -> None:
    """A newer record is refused; members nobody knows are skipped; nonsense is damage."""
    members = dict(cbor.decode_map(encode_login(finished())[1]))
    assert decode_login(cbor.encode({**members, "later": 1})).provider == "acme"
    with pytest.raises(NewerFormat):
        decode_login(cbor.encode({**members, "schema": SCHEMA + 1}))
    for nonsense in (
        b"",
        b"\xa0",
        cbor.encode({"schema": 1}),
        cbor.encode({**members, "state": "?"}),
    ):
        with pytest.raises(Damaged):
            decode_login(nonsense)


def test_three_methods_over_a_storage() -> None:
    """Tokens are kept, replaced and forgotten, each by legal transitions in the log."""
    view = MemoryTokenStorage()
    assert isinstance(view, TokenStorageProtocol)
    first = OAuthTokens(access_token="a", issued_at=1.0)
    assert view.load_tokens("acme") is None
    view.save_tokens("acme", first)
    view.save_tokens("acme", replace(first, access_token="b"))
    loaded = view.load_tokens("acme")
    assert loaded is not None
    assert loaded.access_token == "b"
    assert (view.delete_tokens("acme"), view.delete_tokens("acme")) == (True, False)
    triggers = [event.members["trigger"] for event in view.storage.events()]
    assert triggers.count("accept_tokens") == 2
    assert triggers[-1] == "logout"
