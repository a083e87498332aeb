import os
from pathlib import Path

from google.auth.exceptions import RefreshError
from google.auth.transport.requests import AuthorizedSession, Request
from google.oauth2.credentials import Credentials
from google_auth_oauthlib.flow import InstalledAppFlow

STORE = Path.home() / ".local/state/acme/token.json"
SCOPES = ["openid", "https://www.googleapis.com/auth/userinfo.email"]
CLIENT = {
    "installed": {
        "client_id": "acme-cli",
        "client_secret": "not-a-secret",
        "auth_uri": "https://accounts.google.com/o/oauth2/auth",
        "token_uri": "https://oauth2.googleapis.com/token",
    }
}


def save(credentials: Credentials) -> None:
    STORE.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(STORE, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(credentials.to_json())


def credentials() -> Credentials:
    found = None
    if STORE.exists():
        found = Credentials.from_authorized_user_file(STORE, SCOPES)
    if found and not found.valid and found.refresh_token:
        try:
            found.refresh(Request())
        except RefreshError:
            found = None
    if not found or not found.valid:
        found = InstalledAppFlow.from_client_config(CLIENT, SCOPES).run_local_server(port=0)
    save(found)
    return found


def main() -> None:
    session = AuthorizedSession(credentials())
    print(session.get("https://api.acme.example/me", timeout=30).json())


if __name__ == "__main__":
    main()
