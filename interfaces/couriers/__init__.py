"""Couriers: which process sends a request whose answer must not be lost.

Theory of operation
===================

A code, a device code or a refresh token is spent by being sent. If the process dies between sending
and saving, the new tokens are lost and the user must sign in again. So this stretch, called a job
(:mod:`stayfast.engine.flows.job`), runs where ``kill -9`` of the caller does not reach it. The
caller holds the lock of the login and has saved the state ``exchanging`` before it calls a courier.
The job itself saves the answer; what is sent back only informs the caller.

    inline                    forked child             worker

    caller                    caller                   caller
      | hold back signals       | hold back signals      | hold back signals
      | send, save              | close the storage      | begin a worker, or take an idle one
      | deliver signals         | fork ----> child       |   <--- ready
      v                         |              | own     | job + lock ---> a thread there
                                |              | session |   <--- taken      |
                                |              | send,   |                   | send, save
                                |              | save    |                   |
                                | <-- events --|         | <--- events ------|
                                | <-- outcome -|         | <--- outcome -----|
                                | waitpid      x         | deliver signals   | idle: next job,
                                | deliver signals        v                   x at most 300 s
                                v

Which one. The first job of a process gets a child that is forked for it: nothing is as quick for a
command, which has no second one. All others go to a worker, which lives on: it keeps its modules, its
connections to providers, and its sessions at a database server. A worker begins as a fork of the process,
or as a Python of its own (:mod:`.worker_process`), and then does the same.

``auto`` forks only if no other thread runs that may hold a lock, and not on macOS; ``STAYFAST_COURIER=fork``
does not look at threads. A child or a worker needs a storage that is not in memory, and our own HTTP client;
a worker also needs a vault or PostgreSQL, the system's clock, and the means to pass it files. Where neither can
be had, ``auto`` runs the job inline. A courier that the variable names and that cannot be had is an error.

One worker serves all threads of a process. Each job goes through a lane, a socket of its own to a
thread of the worker, and the lane is kept for the next job (:mod:`.pool`). So a worker that is killed
takes down all jobs that it has at that moment, and each of their senders goes on as said below.

What passes over. The two processes share one socket pair, which nobody else can open
(:mod:`.channel`; the format is in :mod:`.wire`). With ``-vv`` the lines about each request pass as events
do (:mod:`stayfast.interfaces.http_lines`).

===========  ============================  ===========================  ==========================
             forked child: inherits        worker: is given             forked worker, besides
===========  ============================  ===========================  ==========================
descriptors  its end of the socket and     its end of the socket; the   every other one is replaced
             copies of the locks; every    lock arrives with each job   by the null device
             other one is replaced by      (``SCM_RIGHTS``) and is
             the null device, so that no   closed after it
             pipe or port of the caller
             stays in use
locks        all that the caller holds     the lock of the login        those of the caller are
                                                                        closed
database     closed before the fork,       opened there, with the root  closed before the fork
             because SQLite must not       key and the address, which
             cross one; each opens its     come through the socket
             own
memory       all of it; our thread locks   version, key, HTTP settings, all of it, and used for
             are new and the HTTP session  ``sys.path``: through the    nothing but the modules
             belongs to one process id     socket, because others can
                                           read arguments and
                                           environment
environment  all of it                     a list of names without      the same list
                                           secrets
signals      ``SIGINT``, ``SIGTERM``,      the same, from its first     the same
             ``SIGHUP``, ``SIGALRM``       line on
             ignored; own session
===========  ============================  ===========================  ==========================

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
- A child that the host program forks closes its copies of the sockets to workers, so that a worker sees
  the end of the process that started it.

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
