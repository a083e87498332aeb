"""One worker of a service whose users sign in: ``many_users.py URL PLACE HOST FIRST LAST``.

Its users are numbered, and each signs in and gets one refresh. A user who is signed in already, because
another worker was killed after that, is left out. The provider is in PLACE/c. Its last line is what came
of it, as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from stayfast import AuthStatus, Failure, OAuthService
from stayfast.interfaces.assembly import Assembly
from stayfast.storage.postgres import PostgresStorage
from stayfast.testing.user_agent import fetch_only

THREADS = 4


class Worker:
    """What all threads of it share."""

    def __init__(self, url: str, place: str, host: str) -> None:
        storage = PostgresStorage(
            url, config_dir=f"{place}/c", state_dir=f"{place}/{host}", patience=60.0
        )
        assembly = Assembly.open(storage=storage, config_dir=f"{place}/c", audit="none")
        self.service = OAuthService(assembly=assembly)
        self.took: list[float] = []
        self.again: list[str] = []

    def sign_in(self, number: int) -> None:
        """Until it has worked: a user tries again."""
        account = f"user{number}"
        began = time.monotonic()
        while self._problem(account) is not None:
            if time.monotonic() - began > 300:
                raise AssertionError(self.again[-1])
        self.took.append(time.monotonic() - began)

    def _problem(self, account: str) -> str | None:
        status = self.service.get_status("demo", account=account)
        if not isinstance(status, Failure) and status.value is AuthStatus.AUTHENTICATED:
            return None
        begun = self.service.begin("demo", account=account)
        if isinstance(begun, Failure):
            return self._failed(begun)
        done = self.service.complete(fetch_only(begun.value.address), login_id=begun.value.login_id)
        if isinstance(done, Failure):
            return self._failed(done)
        refreshed = self.service.refresh_tokens("demo", account=account)
        return self._failed(refreshed) if isinstance(refreshed, Failure) else None

    def _failed(self, failure: Failure) -> str:
        self.again.append(f"{failure.code}: {failure.error}")
        return self.again[-1]


def main(url: str, place: str, host: str, first: int, last: int) -> None:
    """Sign all of them in."""
    worker = Worker(url, place, host)
    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(worker.sign_in, range(first, last)))
    took = sorted(worker.took)
    shown = {
        "users": len(took),
        "p95_s": round(took[int(len(took) * 0.95)], 2),
        "longest_s": round(took[-1], 2),
        "again": worker.again[:5],
    }
    print(json.dumps(shown))


if __name__ == "__main__":
    main(*sys.argv[1:4], int(sys.argv[4]), int(sys.argv[5]))
