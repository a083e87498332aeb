"""Children that save transitions and are killed before they have written them to the audit file.

A program, because it forks: ``killed_before_observing.py PLACE CHILDREN``. Each child dies at a random
step, after the vault has the event and before the audit file has it. Only the next child writes the
missing lines.
"""

from __future__ import annotations

import os
import random
import signal
import sys
from collections.abc import Sequence

from stayfast.engine.audit.events import Recorded
from stayfast.engine.record import Login
from stayfast.interfaces.audit.file import AuditFile
from transitions_of import vault_in
from wandering import Wanderer

STEPS = 8


class Killer:
    """Kills its process when it observes the ``after``-th event, before the audit file does."""

    def __init__(self, after: int) -> None:
        self.left = after

    def observe(self, recorded: Sequence[Recorded], login: Login | None) -> None:
        self.left -= len(recorded)
        if self.left < 0:
            os.kill(os.getpid(), signal.SIGKILL)


def main(place: str, children: int) -> None:
    rng = random.Random(11)
    vault = vault_in(place)
    wanderer = Wanderer(vault, 6, 12)
    for number in range(children):
        vault.close()
        after = rng.randrange(STEPS)
        child = os.fork()
        if child == 0:
            file = AuditFile(f"{place}/audit.jsonl", vault)
            wanderer.observed([Killer(after), file], seed=number)
            wanderer.steps(STEPS + 1)
            os._exit(1)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status), status
        wanderer.logins = [vault.read(login.id) or login for login in wanderer.logins]


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
