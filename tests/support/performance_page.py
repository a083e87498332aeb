"""Writes docs/performance.md from the rows of a run of ``make bench``.

``python tests/support/performance_page.py ROWS`` prints it; ROWS is the file that STAYFAST_BENCH_ROWS named.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

INTRODUCTION = """\
# Performance

What the command and the library cost, measured beside what others take for the same. `make bench` measures all of
it again and writes this page.

**How to read it.** Every figure is a ratio of two things that were run in turn, many rounds in one go: the median of
the rounds, and their quartiles in brackets. For a whole process the other one is `python -c pass` of the same
environment, an idle Python. A busy machine changes milliseconds a lot and ratios little; processor time (*cpu*) less
than wall time (*wall*). The package was installed as users have it: the wheel, in an environment of its own. A machine
that has other work makes the ratios of large processes worse as well, since an idle Python stays in its caches.
"""

FLOORS = """\
## Floors, and goals that are not met

The figures in this part and the next are of single comparisons, and rounded.

- **`token P`, 1.8.** An interpreter that does nothing and leaves at once is 0.8. The cipher of `cryptography` adds 0.45
  (its library has 14 MB, and sets OpenSSL up); a vault in SQLite 0.12; looking at directories, header, tree and
  row 0.1. The rest are some twenty modules of ours at 0.01 each. A plain file with one sealed record
  would come to 1.45, without the tree that shows an old row that was put back.
- **`status`, `list`, 6.** click alone is 3.9. Reading the vault and proving it whole, and the standard library under
  both, are most of the rest. What signs in, the audit log and rich are not loaded. `status --json` takes 2 more: it opens
  whole records, for what a provider's own ways add to a login.
- **`provider list`, 6.** Each provider of the user's file is made, so that a broken one is named.
- **`refresh P`, 14.** An idle Python, `requests` and the library that checks the ID token are 13.3 together, before a line
  of ours; the command line is 1.4, and the record with its dataclasses and the vault are the rest. The courier is
  forked, so that the common part is loaded once. A refresh in a process that has them costs two.
- **Memory of `token`, 14 MB.** An idle Python has 8.5 MB. The cipher brings it to 15.6 when it is loaded and to 16.9
  when it is used, and SQLite to 18.3.
- **The key in the system keyring, the first time.** `token` then loads `keyring`, and that package decides by its own
  settings which of its back ends has the key. To ask the Secret Service directly would be 2.6 times cheaper, and would be
  a second reading of those settings, of unlocking and of prompts; it is not built. Within an unlock window
  (`STAYFAST_UNLOCK_WINDOW`) a call costs what it costs with a key file, and 0.2 more; so does one under a passphrase.
- **A whole login, 2.3.** A login has four transitions, and each is durable before its effect. With a rollback journal
  SQLite waits for the disk five times in each, twenty in all; with a write-ahead log four times in all. The vault uses that
  log from SQLite 3.51.3 on; before, two processes could corrupt it.
- **A saved transition, 1.5.** Measured 1.8. What stands beside the bare commit is the lock of the vault, the record and
  its summary sealed, the audit event with its link, three nodes of the tree, and the integrity record.
- **Couriers, 0.7 of the rate.** A worker, which lives on, makes 0.8 to 0.95 of the refreshes that the process makes
  itself. A forked child makes 0.2 to 0.4 of them; where that time goes was not measured. Programs with threads get workers.
- **A list of 100,000, 0.25 s.** The objects of the answer take 0.3 s, and their records 0.7 s to read. An index sealed
  in pages would save the cipher, the tree and the rows, less than half, and each save would seal a page anew; it is not
  built. A page of a list costs two look-ups.
- **`status PROVIDER`, independent of the rest.** It reads every login: a tag for each provider would show which logins
  share one.
- **200,000 events, 0.6 s.** Half is fetching, opening and linking the records; following the transitions through the
  table is most of the rest.

## Tried, and of no help

- Other ways to AES-GCM: libcrypto by ctypes takes what the library of `cryptography` takes; the public module of the
  class takes 1.0 more, for the same class.
- OpenSSL's HMAC for one token: loading it is 0.25, about a thousand digests by Python's small module. It
  is loaded after a hundred digests, where it pays.
- `python -I -S`: pip drops flags of the interpreter from the script it writes.
- An environment without OpenSSL's legacy provider and configuration: no difference that can be measured.
- `python -m stayfast` instead of the script: 0.45 more, for `runpy`.

## What helped

- Nothing is loaded that a call does not need; a list of heavy modules for each command, and a test that fails when one
  comes back (`tests/hotpath`). It counts modules, not time.
- No search for garbage while modules load: a tenth of the time of every command.
- The version from the name of the folder that pip makes, without `importlib.metadata`: 8 became 1.
- First sentences of commands in one table, so that the help loads none of them: 26 became 6.
- The audit file without structlog, and rich only where a terminal shows styles: a third of `refresh`, a tenth of `status`.
- The parts that sign in, send, mend or check the log are made by who does that: `status` 21 became 9, 40 MB became 28.
- A file of providers is read without what uses one: Tab behind a provider's name 7 became 2.7.
- What sends and checks is loaded while the user looks at the browser: 574 modules before it became 385.
- No `functools` for the core of SQLite, which wants one class of it: 0.2 of `token`.
"""


def page(rows: list[dict[str, Any]]) -> str:
    """The page."""
    processes = [row for row in rows if "cpu" in row]
    memories = [row for row in rows if "mb" in row]
    inside = [row for row in rows if "base_ms" in row]
    system = f"{platform.system()}, {platform.machine()}, Python {platform.python_version()}"
    load = f"{os.cpu_count()} cores with a load of {os.getloadavg()[2]:.0f}"
    parts = [
        INTRODUCTION,
        f"Measured on: {system}; {load}.\n",
        "## Whole processes\n",
        _table(
            ("process", "ms", "wall", "cpu", "goal"),
            [
                (r["name"], f"{r['ms']:.0f}", r["wall"], r["cpu"], _goal(r["goal"]))
                for r in processes
            ],
        ),
        "## Peak of memory\n",
        _table(
            ("process", "MB", "goal"),
            [
                (r["name"].removeprefix("memory: "), f"{r['mb']:.1f}", _goal(r["goal"]))
                for r in memories
            ],
        ),
        "## In a process\n",
        _table(
            ("what, against what", "ms of that", "ms", "ratio", "goal"),
            [
                (
                    r["name"],
                    f"{r['base_ms']:.4g}",
                    f"{r['ms']:.4g}",
                    r["wall"],
                    _goal(r.get("goal")),
                )
                for r in inside
            ],
        ),
        FLOORS,
    ]
    return "\n".join(parts)


def _goal(goal: float | None) -> str:
    return "" if goal is None else f"{goal:g}"


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |\n" for line in lines)


if __name__ == "__main__":
    kept = Path(sys.argv[1]).read_text(encoding="utf-8").splitlines()
    sys.stdout.write(page([json.loads(line) for line in kept]))
