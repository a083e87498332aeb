"""The service in fewer words, for programs that sign in, call an API and sign out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .service import OAuthService, require_service

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..engine.oauth.tokens import OAuthTokens
    from ..engine.oauth.userinfo import UserInfo
    from ..engine.result import Result
    from .auth_status import AuthStatus
    from .signed_in import SignedOut


class OAuthClient:
    """What most programs need of :class:`OAuthService`, in fewer words.

    Every method answers as the one of the service it stands for.
    """

    def __init__(self, service: OAuthService) -> None:
        """A client of ``service``."""
        self._service = service

    def get_status(self, service: str) -> Result[AuthStatus]:
        """Whether there are tokens: :meth:`OAuthService.get_status`."""
        return self._service.get_status(service)

    def get_tokens(self, service: str) -> Result[OAuthTokens]:
        """The tokens as stored: :meth:`OAuthService.get_tokens`."""
        return self._service.get_tokens(service)

    def ensure_valid(self, service: str) -> Result[OAuthTokens]:
        """Valid tokens: :meth:`OAuthService.ensure_valid_token`."""
        return self._service.ensure_valid_token(service)

    def authenticate(
        self,
        service: str,
        *,
        client_id: str | None = None,
        scopes: Sequence[str] | None = None,
        open_browser: bool = True,
    ) -> Result[OAuthTokens]:
        """A whole login: :meth:`OAuthService.authenticate`."""
        return self._service.authenticate(
            service, client_id=client_id, scopes=scopes, open_browser=open_browser
        )

    def identity(self, service: str) -> Result[UserInfo]:
        """Who is signed in, as the provider says now: :meth:`OAuthService.identity`."""
        return self._service.identity(service)

    def logout(self, service: str) -> Result[bool]:
        """Sign out: :meth:`OAuthService.logout`."""
        return self._service.logout(service)

    def sign_out(self, service: str) -> Result[SignedOut]:
        """Sign out, and what the provider answered: :meth:`OAuthService.sign_out`."""
        return self._service.sign_out(service)


@dataclass(frozen=True, slots=True)
class Client:
    """The entry of the SDK.

    Attributes:
        oauth: Sign in, tokens, sign out.
    """

    oauth: OAuthClient


def create_client(service: OAuthService | None = None) -> Client:
    """A client over ``service``, or over one with every default.

    Raises:
        ConfigInvalid: ``service`` is no :class:`OAuthService`.
    """
    return Client(OAuthClient(OAuthService() if service is None else require_service(service)))
