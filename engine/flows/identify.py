"""Asking the provider who signed in, once tokens are saved (OpenID Connect Core §5.3).

Nothing here can cost a login: it is finished and saved before the question is sent. An answer that
does not hold changes nothing but the audit log. An answer that holds adds a name to the subject that
an ID token has named; where none has, the answer is given to the caller and is not kept, because
nothing ties it to the login.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from ..errors import ConfigMissing, StayfastError, StorageError
from ..hints import Hint
from ..oauth.dpop import send_with_nonce
from ..oauth.id_token import Identification
from ..oauth.provider_response import server_date
from ..oauth.signing_keys import UnknownKey
from ..oauth.userinfo import (
    UserInfoRefused,
    is_signed,
    judge_userinfo,
    offers_userinfo,
    signature_refused,
    userinfo_request,
)
from ..reasons import Refusal
from ..table import State, Trigger

if TYPE_CHECKING:
    from ..oauth.userinfo import UserInfo
    from ..ports import HttpResponse, Lease
    from ..record import Login
    from .dependencies import Dependencies

_NAMED_IN = frozenset({State.AUTHENTICATED, State.EXPIRED})


class Identify:
    """Asks UserInfo endpoints, and keeps the names that they give."""

    def __init__(self, dependencies: Dependencies) -> None:
        """Ask by their HTTP, and save by their ledger."""
        self._dependencies = dependencies
        self._identification = Identification(dependencies.http, dependencies.clock)

    def ask(self, login: Login) -> UserInfo:
        """What the provider says of the user of ``login``. What is refused is in the audit log.

        Args:
            login: A finished login; its access token should be good.

        Raises:
            ConfigMissing: The endpoint is not known, or the login did not ask for ``openid``.
            UserInfoRefused: The answer may not be used; the message says why.
            NetworkError: No usable answer.
            AuthRequired: The access token cannot be used.
        """
        if not offers_userinfo(login.config):
            wanted = "endpoint is not known"
            if login.config.userinfo_url:
                wanted = "endpoint answers logins with the scope openid only"
            raise ConfigMissing(
                f"{login.config.title} cannot be asked who signed in: its UserInfo {wanted}",
                hint=Hint("provider edit", login.provider, "--scope", "openid"),
            )
        response = send_with_nonce(self._dependencies.http, userinfo_request(login))
        try:
            return self._judged(login, response)
        except UserInfoRefused as refused:
            refused.hint = refused.hint or Hint("provider show", login.provider)
            with suppress(StorageError):
                self._dependencies.ledger.refuse(
                    login, Refusal(refused.reason or ""), transport=None
                )
            raise

    def named(self, login: Login, lease: Lease | None = None) -> Login:
        """``login`` with the name of its user, asked for where none is known; it never fails.

        Args:
            login: A login that has just been finished.
            lease: The lease under which it was finished.
        """
        identity = login.identity
        if identity is None or identity.name or not offers_userinfo(login.config):
            return login
        try:
            return self.keep(login, self.ask(login), lease)
        except StayfastError:
            return login

    def keep(self, login: Login, said: UserInfo, lease: Lease | None = None) -> Login:
        """``login`` with the name in ``said``, saved if it is new and is about its own subject.

        Where it cannot be saved (another process has the login, the disk is full), nothing is lost:
        the next question brings the same name.
        """
        identity = login.identity
        if not said.agrees or identity is None or said.name in {None, identity.name}:
            return login
        if login.state not in _NAMED_IN:
            return login
        try:
            return self._dependencies.ledger.amend(
                login, Trigger.IDENTIFY, lease=lease, identity=identity._replace(name=said.name)
            )
        except StorageError:
            return login

    def _judged(self, login: Login, response: HttpResponse) -> UserInfo:
        now = server_date(response) or response.received_at
        if not is_signed(response):
            return judge_userinfo(login, response, keys=None, now=now)
        try:
            keys = self._identification.keys(login.config)
            return judge_userinfo(login, response, keys=keys, now=now)
        except UnknownKey:  # the provider may have changed its keys since
            keys = self._identification.keys(login.config, anew=True)
        try:
            return judge_userinfo(login, response, keys=keys, now=now)
        except UnknownKey as error:
            raise signature_refused(error) from error
