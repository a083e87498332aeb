"""A program that signs in at a terminal: run by its tests, with the address of a server."""

from __future__ import annotations

import sys
import threading

from stayfast import Failure, MemoryStorage, OAuthConfig, OAuthService

ISSUER = sys.argv[1]
SERVICE = OAuthService(
    app="tool",
    providers={
        "acme": OAuthConfig(
            service_name="acme",
            client_id="stayfast-demo",
            issuer=ISSUER,
            redirect_uri="http://127.0.0.1:0/callback",
        )
    },
    storage=MemoryStorage(),
    environ={"HOME": "/nowhere", "DISPLAY": ":0", "BROWSER": "true"},
)


def sign_in(say: str, stop: threading.Event | None = None, timeout: float = 60.0) -> None:
    answer = SERVICE.authenticate("acme", open_browser=False, timeout=timeout, cancel=stop)
    print(say, answer.code if isinstance(answer, Failure) else "SIGNED_IN", flush=True)


sign_in("PASTED")
other = threading.Thread(target=sign_in, args=("IN_A_THREAD", None, 0.2))
other.start()
other.join()
ended = threading.Event()
threading.Timer(0.2, ended.set).start()
sign_in("ENDED", ended)
