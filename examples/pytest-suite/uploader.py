"""A program that embeds the library: it uploads reports with the user's token."""

from __future__ import annotations

import requests
from stayfast import AuthRequired, OAuthService


class Uploader:
    def __init__(self, service: OAuthService, api: str) -> None:
        self._session = requests.Session()
        self._session.auth = service.auth("acme", hosts=[api])
        self._api = api

    def owner(self) -> str | None:
        """Whose reports these are; ``None`` if nobody is signed in."""
        try:
            answer = self._session.get(f"{self._api}/me", timeout=30)
        except AuthRequired:
            return None
        answer.raise_for_status()
        return str(answer.json()["email"])
