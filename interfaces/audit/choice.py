"""The sinks of the audit log, chosen by ``STAYFAST_AUDIT``."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

from ...engine.errors import ConfigInvalid
from ...storage.capabilities import capabilities_of
from ...storage.paths import absolute, state_dir
from .file import AUDIT_FILE, AuditFile
from .outbox import BufferedSender, Outbox
from .sinks import HostLogging, HostStructlog, Journal, StandardError, Syslog

if TYPE_CHECKING:
    from ...engine.ports import Observer, Storage

AuditObserver: TypeAlias = AuditFile | Outbox | BufferedSender
KINDS: Final = ("file", "stderr", "syslog", "journald", "logging", "structlog", "none")
"""The names that ``STAYFAST_AUDIT`` may have."""
_OUTBOXES: Final[Mapping[str, Callable[..., Syslog | Journal]]] = {
    "syslog": Syslog,
    "journald": Journal,
}


def audit_sinks(
    storage: Storage,
    environ: Mapping[str, str],
    wanted: str | None = None,
    *,
    others: Sequence[Observer] = (),
) -> list[AuditObserver]:
    """Observers that send the audit log of ``storage`` to the chosen sinks.

    Args:
        storage: The storage whose log is sent.
        environ: ``STAYFAST_AUDIT`` is a list of sinks, separated by commas. ``STAYFAST_AUDIT_FILE``
            is the path of the file, or ``off``.
        wanted: A list that replaces ``STAYFAST_AUDIT``. Each item is a name of :data:`KINDS`. After
            a colon it may have a place: a file, a socket, or the name of a logger.
        others: The other observers of these events.

    Raises:
        ConfigInvalid: A name is not in :data:`KINDS`.
    """
    named = wanted if wanted is not None else environ.get("STAYFAST_AUDIT")
    if not named:
        named = "file"
    sinks: list[AuditObserver] = []
    for one in named.split(","):
        kind, _, place = one.strip().partition(":")
        sinks += _made(kind, place, storage, environ)
    for sink in sinks:
        if isinstance(sink, AuditFile):
            sink.others = tuple(others)
    return sinks


def _made(
    kind: str, place: str, storage: Storage, environ: Mapping[str, str]
) -> list[AuditObserver]:
    if kind == "none":
        return []
    if kind == "file":
        return _file(place, storage, environ)
    if kind == "stderr":
        return [BufferedSender(StandardError())]
    if kind == "logging":
        return [BufferedSender(HostLogging(*[place] if place else []))]
    if kind == "structlog":
        return [BufferedSender(HostStructlog(*[place] if place else []))]
    if kind in _OUTBOXES:
        sink = _OUTBOXES[kind](*[place] if place else [])
        vault = capabilities_of(storage).vault
        where = vault.directory if vault else state_dir(environ)
        return [Outbox(sink, storage, os.path.join(where, f"audit.{kind}.cursor"))]
    raise ConfigInvalid(
        f"the audit log has no sink {kind[:40]!r}", hint=f"STAYFAST_AUDIT={','.join(KINDS)}"
    )


def _file(place: str, storage: Storage, environ: Mapping[str, str]) -> list[AuditObserver]:
    """The audit file: at ``place``, else beside the vault; none with ``off`` or without a vault."""
    where = place or environ.get("STAYFAST_AUDIT_FILE")
    vault = capabilities_of(storage).vault
    if not where and vault is not None:
        where = os.path.join(vault.directory, AUDIT_FILE)
    if not where or where == "off":
        return []
    return [AuditFile(absolute(where, environ, "STAYFAST_AUDIT_FILE"), storage)]
