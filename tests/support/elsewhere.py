"""An authorization server and a browser in a process of their own, as they are where people sign in.

In the process that is measured, their threads would take turns with it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from types import TracebackType
from typing import Self

import requests
from stayfast.engine.oauth.provider import OAuthConfig
from stayfast.testing import user_agent
from stayfast.testing.authorization_server import AuthorizationServer


class Elsewhere:
    """That process; a context manager that starts and ends it.

    Attributes:
        config: The server's provider, with a client.
    """

    config: OAuthConfig

    def __enter__(self) -> Self:
        paths = os.pathsep.join(filter(None, sys.path))
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": paths},
        )
        self.config = OAuthConfig.from_dict(json.loads(self._answer()))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.communicate()

    def show(self, notice: object) -> None:
        """Nothing is shown."""

    def open(self, url: str) -> str | None:
        """Have the browser go to ``url``, approve, and come back."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{url}\n")
        self._process.stdin.flush()
        return None

    def settle(self) -> None:
        """Wait until the browser has nothing left to do."""
        self._answer()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


def main() -> None:
    """Approve each address that comes in, and say when that is done."""
    with AuthorizationServer() as server:
        members = server.config(scopes=("offline_access",)).to_dict()
        print(json.dumps(members), flush=True)
        for url in sys.stdin:
            try:
                user_agent.approve(url.strip())
            except requests.RequestException as error:
                print(error, file=sys.stderr)
            print(flush=True)


if __name__ == "__main__":
    main()
