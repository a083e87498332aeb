"""What a program may bring of its own: where tokens are kept, and whose names they are kept under."""

from __future__ import annotations

import requests
from stayfast import (
    EncryptedFileStorage,
    FileTokenStorage,
    OAuthService,
    OAuthTokens,
    PKCEChallenge,
    TokenStorageProtocol,
)


class Drawer:
    def __init__(self) -> None:
        self.kept: dict[str, OAuthTokens] = {}

    def save_tokens(self, service: str, tokens: OAuthTokens) -> None:
        self.kept[service] = tokens

    def load_tokens(self, service: str) -> OAuthTokens | None:
        return self.kept.get(service)

    def delete_tokens(self, service: str) -> bool:
        return self.kept.pop(service, None) is not None


class Tokens(FileTokenStorage):
    SERVICE_PREFIX = "acme"
    TOKEN_DIR = ".acme/tokens"


def services() -> list[OAuthService]:
    drawer: TokenStorageProtocol = Drawer()
    return [
        OAuthService(drawer),
        OAuthService(token_storage=Tokens()),
        OAuthService(storage=EncryptedFileStorage("~/.acme/vault")),
    ]


def call(service: OAuthService, challenge: PKCEChallenge) -> int:
    with requests.Session() as session:
        session.auth = service.auth("acme", hosts="api.acme.example")
        return session.get(f"https://api.acme.example/{challenge.code_challenge}").status_code
