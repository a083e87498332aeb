"""A program that signs its user in with the library and says in its own words what is wrong."""

from __future__ import annotations

from collections.abc import Callable

from stayfast import OAUTH_PROVIDERS, Failure, OAuthConfig, OAuthService, OAuthTokens, Result

WORDS = {
    "AUTH_CANCELLED": "You said no.",
    "NETWORK_ERROR": "The provider does not answer; try again in a while.",
}


class MySignIn:
    """Signs in at the provider that ``issuer`` names.

    ``visit`` shows the user an address and gives the one that the browser came back to.
    """

    def __init__(
        self, issuer: str, client_id: str, visit: Callable[[str], str], service: OAuthService
    ) -> None:
        OAUTH_PROVIDERS["mine"] = OAuthConfig(
            service_name="mine",
            issuer=issuer,
            client_id=client_id,
            scopes=("openid", "offline_access"),
        )
        self._visit = visit
        self._service = service
        self._login_id = ""
        self.problem = ""

    def sign_in(self) -> str | None:
        started = self._service.begin("mine")
        if isinstance(started, Failure):
            return self._failed(started)
        self._login_id = started.value.login.id
        address = started.value.address or ""
        return self._token(self._service.complete(self._visit(address), login_id=self._login_id))

    def resume(self) -> str | None:
        return self._token(self._service.resume(self._login_id))

    def refresh(self) -> str | None:
        return self._token(self._service.refresh_tokens("mine")) or self.usable()

    def usable(self) -> str | None:
        return self._token(self._service.ensure_valid_token("mine"))

    def id_token(self) -> str | None:
        found = self._service.get_tokens("mine")
        return None if isinstance(found, Failure) else found.value.id_token

    def _token(self, result: Result[OAuthTokens]) -> str | None:
        return self._failed(result) if isinstance(result, Failure) else result.value.access_token

    def _failed(self, failure: Failure) -> str | None:
        self.problem = WORDS.get(failure.code, failure.error)
        return None
