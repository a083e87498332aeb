import os
import webbrowser
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import requests
from requests_oauth2client import (
    BearerToken,
    OAuth2AccessTokenAuth,
    OAuth2Client,
    OAuth2Error,
    TokenSerializer,
)

STORE = Path.home() / ".local/state/acme/token"
REDIRECT = "http://127.0.0.1:8080/callback"


def save(token: BearerToken) -> None:
    STORE.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(STORE, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(TokenSerializer().dumps(token))


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


def sign_in(client: OAuth2Client) -> BearerToken:
    request = client.authorization_request(scope="openid offline_access")
    webbrowser.open(request.uri)
    return client.authorization_code(request.validate_callback(wait_for_callback()))


def main() -> None:
    client = OAuth2Client.from_discovery_endpoint(
        issuer="https://login.acme.example", client_id="acme-cli", redirect_uri=REDIRECT
    )
    token = TokenSerializer().loads(STORE.read_bytes()) if STORE.exists() else sign_in(client)
    auth = OAuth2AccessTokenAuth(client, token)
    try:
        answer = requests.get("https://api.acme.example/me", auth=auth, timeout=30)
    except OAuth2Error:
        auth.token = sign_in(client)
        answer = requests.get("https://api.acme.example/me", auth=auth, timeout=30)
    save(auth.token)
    print(answer.json())


if __name__ == "__main__":
    main()
