"""Couriers: which process sends a request whose answer must not be lost.

Theory of operation
===================

A code, a device code or a refresh token is spent by being sent. If the process dies between sending
and saving, the new tokens are lost and the user must sign in again. So this stretch, called a job
(:mod:`stayfast.engine.flows.job`), runs where ``kill -9`` of the caller does not reach it. The
caller holds the lock of the login and has saved the state ``exchanging`` before it calls a courier.
The job itself saves the answer; what is sent back only informs the caller.

    inline                    fork                             spawn

    caller                    caller                           caller
      | hold back signals       | hold back signals              | hold back signals
      | send, save              | close the storage              | start a worker, or take an idle one
      | deliver signals         | fork ----> child               |   <--- ready
      v                         |              | own session     | job + lock ---> a thread there
                                |              | send, save      |   <--- taken      |
                                | <-- events --|                 |                   | send, save
                                | <-- outcome -|                 | <--- events ------|
                                | waitpid      x                 | <--- outcome -----|
                                | deliver signals                | deliver signals   | idle: next job,
                                v                                v                   x at most 300 s

Which one. ``auto`` forks if no other thread runs that may hold a lock, and not on macOS; else it
spawns; else it runs the job inline. Fork and spawn need a storage that is not in memory, and our own
HTTP client; spawn also needs a vault or PostgreSQL, the system's clock, and a Python to start. Forking
takes 5 ms, a new worker 0.1 to 0.3 s, one that is there 2 ms. ``STAYFAST_COURIER=fork`` does not look
at threads. On PostgreSQL every child needs a session of its own: there only the first job of a process
is forked, and a worker carries the others.

One worker serves all threads of a process. Each job goes through a lane, a socket of its own to a
thread of the worker, and the lane is kept for the next job (:mod:`.pool`). So a worker that is killed
takes down all jobs that it has at that moment, and each of their senders goes on as said below. A courier that the variable names and that cannot be had is an error.

With ``-vv`` the lines about each request pass as events do (:mod:`stayfast.interfaces.http_lines`).

What passes over. The two processes share one socket pair, which nobody else can open
(:mod:`.channel`; the format is in :mod:`.wire`).

=============  ======================================  ===========================================
               fork: the child inherits                spawn: the worker is given
=============  ======================================  ===========================================
descriptors    its end of the socket and copies of     its end of the socket; standard input,
               the locks; every other one is replaced  output and error are the null device; the
               by the null device, so that no pipe or  lock arrives with each job (``SCM_RIGHTS``)
               port of the caller stays in use         and is closed after it
locks          all that the caller holds               the lock of the login
database       closed before the fork, because SQLite  opened there, with the root key and the
               must not cross one; each opens its own  address, which come through the socket
memory         all of it; our thread locks are new     version, key, HTTP settings, ``sys.path``:
               (``register_at_fork``) and the HTTP     through the socket, because others can read
               session belongs to one process id       arguments and environment
environment    all of it                               a list of names without secrets
signals        ``SIGINT``, ``SIGTERM``, ``SIGHUP``,    ``SIGINT``, ``SIGTERM``, ``SIGHUP`` ignored
               ``SIGALRM`` ignored; own session        from its first line on; own session
=============  ======================================  ===========================================

Locks. ``flock`` belongs to the open file, not to the process: copies of one descriptor are one lock,
and the kernel frees it when the last copy is closed. So the login stays locked until both processes
are done or dead. But an explicit unlock in one process unlocks it for both: the child closes its
inherited descriptors and keeps the copies, and the caller leaves its ``locked`` block only when the
courier has answered or ended.

Signals. In the main thread the caller remembers the four signals and delivers them after the job
(:mod:`.signals`). In another thread Python runs no handlers, so nothing has to be held back. The
terminal's Ctrl-C and hang-up do not reach the courier, which is in a session of its own.

When one side dies:

- The caller, before a worker could say that it has taken the job: the worker does not begin. The
  login stays ``exchanging``, nothing was sent, and the next process sends it.
- The caller, later: the courier finishes and saves. Events find nobody, but they are in the audit
  log, and whoever reads on from there reports them.
- The courier, before it took the job (a dead idle worker, a start that failed or took more than
  20 s, another version installed meanwhile, a fork that was refused): nothing was sent. Another worker
  is started, or the caller runs the job itself. The log then has the detail ``no_courier``.
- The courier, later: the caller sees the socket close, and it has the lock. The courier reports when
  the request leaves and when tokens arrive. Before the first report the caller runs the job. After
  the second it saves these tokens and sends nothing. Between the two nobody knows whether the
  request was answered: it is sent once more (``again=True``). If that is refused, the login ends with
  a reason that says that the first answer may have been lost.
- Both: the kernel frees the lock. The login is ``exchanging``; the next process that handles it
  sends the request once more, with ``again=True``.
- An observer raises in the caller: the courier finishes first, then the error goes up.
- A forked child of the host program: it closes its copies of the sockets to workers, so that a
  worker sees the end of the process that started it.

When tokens arrive and cannot be saved, whoever performs the job has the storage keep them, sealed
(:mod:`stayfast.storage.arrivals`), and the caller gets the access token at once. The courier, or a
thread where there is none, tries again once a second for 300 s (:mod:`.saving`). Where they can be kept
nowhere, the caller tries as well, and the courier keeps the lock of the login.

A power cut, or a kill of both sides between sending and saving, can still lose an answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ...engine.errors import ConfigInvalid

if TYPE_CHECKING:
    from collections.abc import Mapping

CHOICES: Final = ("auto", "fork", "spawn", "inline")
"""What ``STAYFAST_COURIER`` may say."""


def courier_wanted(environ: Mapping[str, str]) -> str:
    """The courier that ``STAYFAST_COURIER`` names.

    Raises:
        ConfigInvalid: There is none of that name.
    """
    chosen = environ.get("STAYFAST_COURIER") or "auto"
    if chosen not in CHOICES:
        raise ConfigInvalid(
            f"there is no courier {chosen!r}", hint=f"STAYFAST_COURIER={'|'.join(CHOICES)}"
        )
    return chosen
