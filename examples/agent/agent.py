"""A sign-in in two steps, for an agent that talks JSON and has neither a browser nor a terminal.

    $ agent.py start
    {"login": "01J9…", "address": "https://login.acme.example/authorize?…"}
    $ agent.py finish 01J9… < the-address-that-the-user-landed-on
    {"user": "ada@acme.example", "expires_at": 1764158000.0}

Between the two, the agent shows its user the address, in a chat for instance. The login waits on disk:
the second step may come from another process, an hour later.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from stayfast import Failure, OAuthConfig, OAuthService

ACME = OAuthConfig(
    service_name="acme",
    issuer=os.environ.get("ACME_ISSUER", "https://login.acme.example"),
    client_id="acme-agent",
    scopes=("openid", "email", "offline_access"),
)
service = OAuthService(app="acme-agent", providers={"acme": ACME})


def start() -> dict[str, Any]:
    started = service.begin("acme", timeout=3600)
    if isinstance(started, Failure):
        return failed(started)
    return {"login": started.value.login_id, "address": started.value.address}


def finish(login: str, callback: str) -> dict[str, Any]:
    result = service.complete(callback, login_id=login)
    if isinstance(result, Failure):
        return failed(result)
    user = result.value.identity
    return {"user": user.label if user else None, "expires_at": result.value.expires_at}


def failed(failure: Failure) -> dict[str, Any]:
    return {"error": failure.code, "message": failure.error, "hint": failure.hint}


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["start"]:
            answer = start()
        case ["finish", login]:
            answer = finish(login, sys.stdin.read().strip())
        case _:
            sys.exit("usage: agent.py start | finish LOGIN")
    print(json.dumps(answer))
    sys.exit("error" in answer)
