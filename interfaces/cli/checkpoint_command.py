"""``audit checkpoint``: a signed head of the log, to be kept where the log cannot be reached."""

from __future__ import annotations

import click

from ...engine.checkpoint import parse, verifier_key
from ...engine.errors import NotFound
from .app import App, takes_app
from .provable import provable


@click.command()
@takes_app
def checkpoint(app: App) -> None:
    """Print a signed note of how the log stands. Keep it elsewhere.

    Later, `stayfast audit verify --checkpoint FILE` shows whether what it tells of is still there and
    unchanged, also against somebody who has the key of the vault. The note says how many records there
    are and what they came to, signed with Ed25519 in the form of a transparency log's checkpoint.
    """
    storage = provable(app.bench().storage)
    note, signer = storage.checkpoint(), storage.signer()
    if note is None or signer is None:
        raise NotFound("nothing has been recorded yet", hint="stayfast login PROVIDER")
    public = verifier_key(signer.origin, signer.public)
    if app.terminal.json:
        told = parse(note).checkpoint
        app.terminal.answer_json(
            "audit-checkpoint/1",
            {
                "origin": told.origin,
                "size": told.size,
                "head": told.head.hex(),
                "note": note,
                "public_key": public,
            },
        )
        return
    app.terminal.answer(note.rstrip("\n"))
    app.terminal.say("whoever has no access to the vault can check it with")
    app.terminal.suggest(f"stayfast audit verify --public-key {public}")
