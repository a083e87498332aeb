"""The program's own tests: a hostile provider, tried on its sign-in.

Needs pytest and the extra ``demo`` (the embedded authorization server); then ``pytest`` in this folder.
"""

from __future__ import annotations

import pytest
from my_sign_in import MySignIn  # type: ignore[import-not-found]  # pytest finds it here
from stayfast import MemoryStorage, OAuthService
from stayfast.testing.authorization_server import CLIENT_ID, AuthorizationServer
from stayfast.testing.sign_in_contract import Program, SignInContract
from stayfast.testing.user_agent import fetch_only


class TestMySignIn(SignInContract):
    @pytest.fixture
    def program(self, server: AuthorizationServer) -> Program:
        service = OAuthService(storage=MemoryStorage())
        mine = MySignIn(server.issuer, CLIENT_ID, fetch_only, service)
        return Program(
            sign_in=mine.sign_in,
            refresh=mine.refresh,
            usable=mine.usable,
            resume=mine.resume,
            id_token=mine.id_token,
        )
