import json
import os
import webbrowser
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from authlib.common.security import generate_token
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session

STORE = Path.home() / ".local/state/acme/token.json"
ISSUER = "https://login.acme.example"
REDIRECT = "http://127.0.0.1:8080/callback"


def save(token: dict, refresh_token: str | None = None, access_token: str | None = None) -> None:
    STORE.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(STORE, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(token, file)


class Callback(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if not self.path.startswith("/callback?"):
            self.send_error(404)
            return
        self.server.answer = f"http://127.0.0.1:8080{self.path}"
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"You can close this window.")

    def log_message(self, *args: object) -> None:
        pass


def wait_for_callback() -> str:
    with HTTPServer(("127.0.0.1", 8080), Callback) as server:
        server.answer = None
        while server.answer is None:
            server.handle_request()
        return server.answer


def sign_in(session: OAuth2Session) -> None:
    verifier = generate_token(48)
    address, state = session.create_authorization_url(
        f"{ISSUER}/authorize", code_verifier=verifier
    )
    webbrowser.open(address)
    callback = wait_for_callback()
    token = session.fetch_token(
        f"{ISSUER}/token", authorization_response=callback, state=state, code_verifier=verifier
    )
    save(token)


def main() -> None:
    session = OAuth2Session(
        "acme-cli",
        scope="openid offline_access",
        redirect_uri=REDIRECT,
        code_challenge_method="S256",
        token_endpoint_auth_method="none",
        token_endpoint=f"{ISSUER}/token",
        token=json.loads(STORE.read_text()) if STORE.exists() else None,
        update_token=save,
    )
    if session.token is None:
        sign_in(session)
    try:
        answer = session.get("https://api.acme.example/me", timeout=30)
    except OAuthError:
        sign_in(session)
        answer = session.get("https://api.acme.example/me", timeout=30)
    print(answer.json())


if __name__ == "__main__":
    main()
