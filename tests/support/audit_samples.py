"""Lines of the audit log, one of every kind there is; ``audit_samples.py FORMAT`` maps them."""

from __future__ import annotations

import json
import sys
from typing import Any

from logins import CANARY, NOW, ORIGIN
from stayfast.engine.audit.events import Event, EventKind, Outcome
from stayfast.engine.reasons import Distrust, Reason, Refusal
from stayfast.engine.secret import Secret
from stayfast.engine.table import TABLE
from stayfast.interfaces.audit.lines import line_of
from stayfast.interfaces.audit.mappings import MAPPINGS
from stayfast.storage import MemoryStorage

LOGIN = "01J9ZK4Q0V7F3KTWX2A8B5C6DE"

OTHERS: dict[EventKind, dict[str, Any]] = {
    EventKind.CLIENT_REGISTERED: {"issuer": "https://login.acme.example", "outcome": Outcome.SUCCESS,
                                  "fingerprints": {"client": Secret(CANARY)}},
    EventKind.RESOURCE_REFUSED: {"provider": "https://mcp.acme.example/mcp", "outcome": Outcome.FAILURE,
                                 "reason": Distrust.RESOURCE_MISMATCH.value},
}  # fmt: skip


def sample_lines() -> list[dict[str, Any]]:
    """Every row of the table, every refusal, every event of a storage."""
    storage = MemoryStorage()
    reasons = list(Reason)
    for number, row in enumerate(TABLE):
        arrived = row.trigger.value == "accept_tokens"
        storage.note(
            Event(
                time=NOW + number + 0.25,
                event=EventKind.TRANSITION,
                origin=ORIGIN,
                login=LOGIN,
                provider="acme",
                account="default",
                trigger=row.trigger.value,
                source=row.source.value,
                dest=row.dest.value,
                reason=reasons[number % len(reasons)].value if row.dest.value == "idle" else None,
                transport="loopback",
                outcome=Outcome.FAILURE if row.dest.value == "idle" else Outcome.SUCCESS,
                http_status=400 if row.trigger.value.startswith("reject") else None,
                oauth_error="invalid_grant" if row.trigger.value.startswith("reject") else None,
                issuer="https://login.acme.example",
                scopes=("read", "write") if arrived else None,
                expires_in=3600.0 if arrived else None,
                version=number + 1,
                attempt=number if "exchanging" in (row.source.value, row.dest.value) else None,
                duration=0.5,
                fingerprints={"access_token": Secret(CANARY)} if arrived else {},
            )
        )
    for refusal in Refusal:
        storage.note(
            Event(
                time=NOW,
                event=EventKind.REFUSED,
                origin=ORIGIN,
                reason=refusal.value,
                outcome=Outcome.FAILURE,
                **({"login": LOGIN, "provider": "acme", "version": 2, "account": "default"}
                   if refusal is not Refusal.NOT_A_CALLBACK else {}),
            )
        )  # fmt: skip
    for kind in EventKind:
        if kind not in {EventKind.TRANSITION, EventKind.REFUSED}:
            storage.note(
                Event(
                    time=NOW,
                    event=kind,
                    origin=ORIGIN,
                    **OTHERS.get(kind, {"detail": "records=1-9"}),
                )
            )  # fmt: skip
    lines = [line_of(one) for one in storage.events()]
    for line in lines:  # the key of a memory storage is another each time
        line |= {name: "0123456789abcdef" for name in line if name.endswith("_fp")}
        line |= {"store": "0a1b2c3d"}
        line |= {name: "00" * 32 for name in ("prev", "mac") if name in line}
    return lines


if __name__ == "__main__":
    for sample in sample_lines():
        sys.stdout.write(json.dumps(MAPPINGS[sys.argv[1]](sample), sort_keys=True) + "\n")
