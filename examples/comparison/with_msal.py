import os
from pathlib import Path

import msal
import requests

CACHE = Path.home() / ".local/state/acme/cache.json"
SCOPES = ["User.Read"]


def save(cache: msal.SerializableTokenCache) -> None:
    if cache.has_state_changed:
        CACHE.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(CACHE, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(cache.serialize())


def token() -> str:
    cache = msal.SerializableTokenCache()
    if CACHE.exists():
        cache.deserialize(CACHE.read_text())
    app = msal.PublicClientApplication(
        "acme-cli", authority="https://login.microsoftonline.com/common", token_cache=cache
    )
    accounts = app.get_accounts()
    result = app.acquire_token_silent(SCOPES, accounts[0]) if accounts else None
    if not result:
        result = app.acquire_token_interactive(SCOPES)
    save(cache)
    if "access_token" not in result:
        raise SystemExit(result.get("error_description") or result["error"])
    return result["access_token"]


def main() -> None:
    headers = {"Authorization": f"Bearer {token()}"}
    print(requests.get("https://api.acme.example/me", headers=headers, timeout=30).json())


if __name__ == "__main__":
    main()
