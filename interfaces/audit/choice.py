"""The sinks that the audit log is sent to, as ``STAYFAST_AUDIT`` names them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, TypeAlias

from ...engine.errors import ConfigInvalid
from ...storage.capabilities import capabilities_of
from ...storage.paths import absolute, state_dir
from .file import AUDIT_FILE, AuditFile
from .outbox import BufferedSender, Outbox
from .sinks import HostLogging, Journal, StandardError, Syslog

if TYPE_CHECKING:
    from ...engine.ports import Storage

AuditObserver: TypeAlias = AuditFile | Outbox | BufferedSender
KINDS: Final = ("file", "stderr", "syslog", "journald", "logging", "none")
"""What ``STAYFAST_AUDIT`` may name."""
_OUTBOXES: Final[Mapping[str, Callable[..., Syslog | Journal]]] = {
    "syslog": Syslog,
    "journald": Journal,
}


def audit_sinks(
    storage: Storage, environ: Mapping[str, str], wanted: str | None = None
) -> list[AuditObserver]:
    """Observers that send the audit log of ``storage`` to the sinks that are named.

    Args:
        storage: Whose log.
        environ: ``STAYFAST_AUDIT`` names the sinks, with commas between; ``STAYFAST_AUDIT_FILE`` is
            where the file is, or ``off``.
        wanted: Instead of ``STAYFAST_AUDIT``. Each is a name of :data:`KINDS`, and may go on with a
            colon and a place: a file, a socket, a logger's name.

    Raises:
        ConfigInvalid: There is no such sink.
    """
    named = wanted if wanted is not None else environ.get("STAYFAST_AUDIT")
    if not named:
        named = "file"
    sinks: list[AuditObserver] = []
    for one in named.split(","):
        kind, _, place = one.strip().partition(":")
        sinks += _made(kind, place, storage, environ)
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
    if kind in _OUTBOXES:
        sink = _OUTBOXES[kind](*[place] if place else [])
        vault = capabilities_of(storage).vault
        where = vault.directory if vault else state_dir(environ)
        return [Outbox(sink, storage, os.path.join(where, f"audit.{kind}.cursor"))]
    raise ConfigInvalid(
        f"the audit log has no sink {kind[:40]!r}", hint=f"STAYFAST_AUDIT={','.join(KINDS)}"
    )


def _file(place: str, storage: Storage, environ: Mapping[str, str]) -> list[AuditObserver]:
    """The audit file of a vault: beside it, at ``place``, or nowhere (``off``)."""
    where = place or environ.get("STAYFAST_AUDIT_FILE")
    vault = capabilities_of(storage).vault
    if not where and vault is not None:
        where = os.path.join(vault.directory, AUDIT_FILE)
    if not where or where == "off":
        return []
    return [AuditFile(absolute(where, environ, "STAYFAST_AUDIT_FILE"), storage)]
