"""Every legal transition, ready to be made: the login before it, and what it sets.

Run as a program, makes one of them in a vault: ``transitions_of.py PLACE ROW``.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

from logins import (
    BY_BROWSER,
    CHALLENGE,
    CODE_EXCHANGE,
    FULFILLED,
    GRANT_EXCHANGE,
    NOW,
    REFRESH_EXCHANGE,
    TOKENS,
    login_in,
)
from stayfast.engine.errors import StayfastError
from stayfast.engine.flows.ledger import Ledger
from stayfast.engine.ports import Storage
from stayfast.engine.record import Login
from stayfast.engine.secret import Secret
from stayfast.engine.table import TABLE, Row, State, Trigger
from stayfast.storage import Vault, open_storage
from stayfast.storage.host import SystemClock, origin

LOGIN = "01J9ZK4Q0V7F3KTWX2A8B5C6DE"

_HELD: dict[State, dict[str, Any]] = {
    State.IDLE: {},
    State.CHALLENGE: {"challenge": CHALLENGE, "deadline": NOW + 600},
    State.AWAITING_CALLBACK: {
        "challenge": CHALLENGE, "deadline": NOW + 600, "presentation": BY_BROWSER,
    },
    State.EXCHANGING: {
        "challenge": replace(CHALLENGE, state=None), "deadline": NOW + 600,
        "presentation": BY_BROWSER, "exchange": CODE_EXCHANGE,
    },
    State.AUTHENTICATED: {"tokens": TOKENS},
    State.EXPIRED: {"tokens": TOKENS},
    State.REFRESH_FAILED: {"tokens": TOKENS},
}  # fmt: skip
"""What a login holds in each state."""

_RENEWED = replace(TOKENS, access_token="canary-access-2", refresh_token="canary-refresh-2")
_SETS: dict[Trigger, dict[str, Any]] = {
    Trigger.BEGIN: {"challenge": CHALLENGE, "deadline": NOW + 600},
    Trigger.PRESENT: {"presentation": BY_BROWSER},
    Trigger.RECHALLENGE: {"challenge": replace(CHALLENGE, state=Secret("canary-state-2"))},
    Trigger.RECEIVE_CALLBACK: {
        "challenge": replace(CHALLENGE, state=None), "exchange": CODE_EXCHANGE,
    },
    Trigger.ACCEPT_TOKENS: {
        "tokens": _RENEWED, "challenge": None, "presentation": None, "exchange": None,
    },
    Trigger.REQUEST_TOKENS: {"exchange": GRANT_EXCHANGE, "deadline": NOW + 600},
    Trigger.REFRESH: {"exchange": REFRESH_EXCHANGE},
    Trigger.RENEW: {"exchange": GRANT_EXCHANGE},
    Trigger.POSTPONE_REFRESH: {"exchange": None},
    Trigger.REJECT_REFRESH: {"exchange": None},
}  # fmt: skip
"""What a transition amends; the others amend nothing."""


def before(row: Row) -> Login:
    """The login as it stands before ``row``: version 1, or never saved."""
    held = {**_HELD[row.source], **FULFILLED[row.guard]}
    return login_in(row.source, version=0 if row.source is State.IDLE else 1, **held)


def step(storage: Storage, login: Login, trigger: Trigger) -> Login:
    """Make one transition, as the conductor does: under the lease of the login."""
    ledger = Ledger(storage, SystemClock(), origin())
    with storage.lease(login.id, wait=20) as lease:
        return ledger.advance(login, trigger, lease=lease, **_SETS.get(trigger, {}))


def vault_in(place: str) -> Vault:
    """The vault of a test in ``place``; its key is in a file."""
    storage = open_storage("file", state_dir=f"{place}/s", config_dir=f"{place}/c", environ={})
    assert isinstance(storage, Vault)
    return storage


def main(place: str, number: str) -> int:
    """Make the transition of row ``number`` and say so, or say which error of ours it met."""
    row, storage = TABLE[int(number)], vault_in(place)
    try:
        login = storage.read(LOGIN) or before(row)
        done = step(storage, login, row.trigger)
    except StayfastError as error:
        print("refused", error.code, flush=True)
        return 0
    print("saved", done.version, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
