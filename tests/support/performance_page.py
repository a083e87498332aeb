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

- **`token P`, 1.8.** 1.9, and 1.82 on Python 3.13. An interpreter that leaves at once is 0.86. The cipher is 0.49: its
  library is loaded, and OpenSSL fetches AES the first time (0.08). Loading SQLite is 0.08, and its work 0.07. Three small
  libraries of Python (`resource`, `binascii`, SHA-256) are 0.05. The rest are some twenty modules of ours, each at
  least 0.007 to be found and read. An older pip writes a script that loads `re`: 0.5 more.
- **`refresh P`, 14.** An idle Python, `requests` and what checks the ID token (three modules of joserfc) are 13.1 together,
  before a line of ours. Some sixty dataclasses, `transitions`, the cipher and SQLite, running it all, and the memory that parent
  and child copy are the rest. A refresh in a process that has them costs two.
- **Memory of `token`, 14 MB.** 19.1. Most are pages of libraries that processes share: `cryptography` 7.3, Python 5.2,
  SQLite 1.3. Its own are 6, of which an idle Python has 3.4. SQLite reads about eight pages, so a smaller cache saves
  nothing.
- **The key in the system keyring, the first time.** `token` loads one named back end of `keyring` and makes no choice of
  its own. It takes what that class takes alone; `keyring get` takes 17 to 18. With the back end that does nothing the import
  is 7.4, of which 5.1 are one dependency, `jaraco.context`, which loads `urllib.request`, `tempfile`, `shutil` and
  `subprocess`. Importing `secretstorage` is 3.5. Within an unlock window (`STAYFAST_UNLOCK_WINDOW`) a call costs what it
  costs with a key file, and 0.2 more; so does one under a passphrase.
- **A whole login, 2.3.** A login by a port makes three commits, and each is durable before its effect. With a rollback
  journal SQLite waits for the disk five times in each, fifteen in all; with a write-ahead log three times in all. The vault
  uses that log from SQLite 3.51.3 on; before, two processes could corrupt it. The exchange and three bare commits come to 1.7.
  Our processor time, with `requests` and a thread for the browser's last page, is the rest; half of it is the commits.
- **A saved transition, 1.5.** It writes as many pages as the bare commit and waits as often. The rest is processor time: the
  lock of the vault, the record and its summary encoded and sealed, the audit event with its link, the nodes of the tree,
  and the integrity record. None of them is more than a quarter.
- **Couriers, 0.7 of the rate.** Reached. A worker makes 0.8 to 0.95 of the refreshes that the process makes itself on
  PostgreSQL, and 0.7 to 1 over a vault, spawned or forked: the more threads, the more. What is left: the job, its events and its outcome pass between
  two processes, and a login is read once more on each side.
- **A list of 100,000, 0.25 s.** The first one opens every login. Later ones open only those that have changed since, and take
  a fifteenth; two thirds of that are the objects of the answer. A page of a list costs two look-ups.
- **`status PROVIDER`, independent of the rest.** It lists, as above. A tag for each provider would show which logins
  share one, and all but id, version and state is sealed; a sealed index of each provider would have to be in the tree, too.
- **200,000 events, 0.6 s.** Fetching, opening and linking alone, in one loop, are 3.6 times the fetch. The transition out
  of the text is 2.2 more, its history 1.2. A loop with everything written into it would save another fifth, and
  would be a second implementation of the check.
- **PostgreSQL, `store info`.** It counts logins by state, and so reads their pages. An index by state would make it
  independent of their number, but every transition changes the state, and PostgreSQL could then no longer write the new row
  beside the old one without touching the indexes.

## Tried, and of no help

- Other ways to AES-GCM: libcrypto by ctypes takes what the library of `cryptography` takes; the public module of the
  class takes 1.0 more, for the same class.
- OpenSSL's HMAC for one token: loading it is 0.25, about a thousand digests by Python's small module. It
  is loaded after a hundred digests, where it pays.
- `python -I -S`: pip drops flags of the interpreter from the script it writes.
- OpenSSL without its legacy provider or its configuration: no gain that shows.
- Modules of the path of `token` split in two, with everything unused cut out of six of them: 0.02 at most.
- No `binascii` and no `resource`: 0.02 to 0.03 each. It would need a base64 of our own, or no limit of core dumps.
- `keyring` with eleven modules loaded late: 10.0 became 6.9. It needs a finder of our own and a list of what
  `jaraco.context` imports.
- `python -m stayfast` instead of the script: 0.45 more, for `runpy`.
- `journal_mode=PERSIST` instead of TRUNCATE: 4 to 12 % of a bare commit, and the pages before the last commit would stay in a
  file. DELETE is slower. Pages of 1 or 8 KiB: no difference.
- `synchronous=NORMAL` with a persistent journal would wait less, and a torn journal could pass SQLite's checksum. Not taken.
- SQLite synchronizes the directory in each transaction, because it opens the journal anew. Only an exclusive lock avoids that,
  and it shuts readers out.
- For the check of the log: the transition by a regular expression, JSON for a whole batch, offsets instead of cut strings,
  OpenSSL's one-shot HMAC, copies of two SHA-256, other sizes of a batch, no search for garbage.

## What helped

- Nothing is loaded that a call does not need; a list of heavy modules for each command, and a test that fails when one
  comes back (`tests/hotpath`). It counts modules, not time.
- No search for garbage while modules load: a tenth of the time of every command. None as a process without
  connections ends: a fifth of `status`. (Where there were some, Python crashed now and then, so it searches there.)
- The version from the name of the folder that pip makes, without `importlib.metadata`: 8 became 1.
- First sentences of commands in one table, so that the help loads none of them: 26 became 6.
- The audit file without structlog, and rich only where a terminal shows styles: a third of `refresh`, a tenth of `status`.
- The parts that sign in, send, mend or check the log are made by who does that: `status` 21 became 9, 40 MB became 28.
- Plain calls of `status`, `list`, `provider list` and `refresh` are read without click; no dataclass is made where
  logins are only shown: `status` 7.6 became 5.1.
- `token --json` by the cores of `json` and `datetime`: 2.75 became 2.05. `exec` without `enum`, git's helper without `re`:
  2.5 became 2.1 and 2.0.
- Eight classes of errors for a token instead of 27, no `struct`, and one name lent to SQLite's core and to the cipher's
  library instead of `functools` and `types`: 0.25 of `token`.
- A file of providers is read without what uses one: Tab behind a provider's name 7 became 2.7.
- What sends and checks is loaded while the user looks at the browser: 574 modules before it became 385.
- A forked courier lives on as a worker: the fork is 4 ms of the 13 that a new child takes; the rest is what any new process
  does once.
- The first two steps of a login in one commit, where nothing is sent between them: 20 waits for the disk became 15.
- A record is written with one look at its settings, and the steps of one commit are one row: a commit without the disk
  0.63 ms became 0.51.
- The audit file reads its last line, not its last 64 KiB, and does not read back what was just recorded: 1.15 ms a
  transition became 0.25.
- A list of a large vault is kept, sealed, by columns that C code of Python reads, with the sum of each leaf of the tree: what has
  the same sum is not opened again. A list of 100,000 takes a fifteenth.
- The log is checked a batch at a time as long as nothing is to be found: 10.1 became 8.3 of the fetch.
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
