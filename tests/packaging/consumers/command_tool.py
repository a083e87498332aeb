"""A command-line tool with a name, a provider, words and a browser of its own."""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping

from stayfast import (
    Answers,
    AuthStatus,
    Browser,
    CancelToken,
    Conversation,
    ErrorCode,
    Failure,
    Hint,
    Notice,
    NoticeKind,
    OAuthConfig,
    OAuthProvider,
    OAuthService,
    Result,
    Success,
    Via,
    create_client,
)

ACME = OAuthConfig(
    service_name="acme",
    client_id="acme-tool",
    auth_url="https://acme.example/authorize",
    token_url="https://acme.example/token",
    scopes=["read", "write"],
)
OTHER = OAuthProvider(service_name="other", issuer="https://other.example")
PROVIDERS: Mapping[str, OAuthProvider] = {"acme": ACME, "other": OTHER}


class Screen:
    def show(self, notice: Notice) -> None:
        if notice.kind is NoticeKind.OPEN:
            print("Open", notice.url)


class Links:
    def open(self, url: str) -> str | None:
        return f"open {url} yourself"


def words(hint: Hint) -> str | None:
    if hint.action == "login" and hint.provider is not None:
        return f"acme auth {hint.provider} {hint.account or ''}"
    return None


def answers() -> Answers:
    raise NotImplementedError


def made(conversation: Conversation, browser: Browser) -> OAuthService:
    return OAuthService(
        app="acme",
        providers=PROVIDERS,
        state_dir="~/.acme/state",
        config_dir="~/.acme/config",
        environ={"HOME": "/home/me"},
        conversation=conversation,
        browser=browser,
        answers=answers,
        advice=words,
    )


def sign_in(service: OAuthService, via: Via, stop: CancelToken) -> str:
    match service.authenticate("acme", via=via, cancel=stop, account="work"):
        case Success(tokens):
            return tokens.access_token
        case Failure(error, code, hint):
            if code is ErrorCode.AUTH_CANCELLED and hint is not None:
                return f"{error}: {hint} {hint.members()}"
            return error


def token(service: OAuthService) -> Result[str]:
    status = service.get_status("acme")
    if isinstance(status, Success) and status.value is AuthStatus.NOT_AUTHENTICATED:
        print("not signed in", file=sys.stderr)
    return service.get_bearer_token("acme", account="work")


def wrong(service: OAuthService) -> None:
    # a checker finds a transport that does not exist
    service.authenticate("acme", via="lopback")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    service.authenticate("acme", cancel=True)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


if __name__ == "__main__":
    service = made(Screen(), Links())
    print(sign_in(service, "auto", threading.Event()))
    client = create_client(service)
    tokens = client.oauth.ensure_valid("acme")
    if isinstance(tokens, Success):
        print(tokens.value.scopes, tokens.value.expires_in)
