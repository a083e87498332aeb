"""An attacker with the key of the vault, who rewrites its log so that nothing in the vault shows it."""

from __future__ import annotations

from collections.abc import Callable

from stayfast.engine.audit.events import Scalar, members_of_text, text_of
from stayfast.storage import Vault
from stayfast.storage.vault.integrity import read_head

Members = dict[str, Scalar]


def rewrite(
    vault: Vault, change: Callable[[int, Members], Members | None], *, from_seq: int = 1
) -> None:
    """Write every record anew as ``change`` wants it, without those it gives ``None`` for."""
    with vault._vault_connection.writing() as (connection, keys):
        head = read_head(connection, keys)
        rows = list(
            connection.execute(
                "SELECT seq, body FROM audit WHERE seq >= ? ORDER BY seq", (from_seq,)
            )
        )
        connection.execute("DELETE FROM audit WHERE seq >= ?", (from_seq,))
        before = connection.execute("SELECT seq, mac FROM audit ORDER BY seq DESC").fetchone()
        last, link = before or (0, b"")
        for seq, sealed in rows:
            members = change(seq, members_of_text(keys.open_event(seq, sealed)))
            if members is None:
                continue
            last += 1
            text = text_of(members)
            link = keys.chain(link, last, text)
            connection.execute(
                "INSERT INTO audit VALUES (?, ?, ?)", (last, keys.seal_event(last, text), link)
            )
        head = head._replace(seq=last, mac=link)
        connection.execute("UPDATE head SET body = ?, mac = ?", head.encode(keys))
