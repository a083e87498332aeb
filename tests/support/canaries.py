"""Secrets, every way they may be written, and everything a program says or leaves behind."""

from __future__ import annotations

import base64
import binascii
import contextlib
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import quote, quote_plus

from stayfast.engine.record import Login
from stayfast.testing.authorization_server import AuthorizationServer

SHORTEST = 8
"""Characters; anything shorter would be found everywhere."""


def spellings(secret: str) -> set[bytes]:
    """``secret`` raw, URL-encoded, in hexadecimal, and in the base64 of any text it is part of."""
    octets = secret.encode()
    found = {octets, quote(secret, safe="").encode(), quote_plus(secret).encode()}
    found |= {binascii.hexlify(octets), binascii.hexlify(octets).upper()}
    for before in range(3):
        # what is certain of the base64 when so many octets, and any more behind, are around it
        whole = base64.b64encode(b"\0" * before + octets)
        certain = whole[-(-before * 8 // 6) : (before + len(octets)) * 8 // 6]
        found |= {certain, certain.translate(bytes.maketrans(b"+/", b"-_"))}
    return found


class Secrets:
    """What must not be seen, by name; and what a person is shown, but no file may hold."""

    def __init__(self) -> None:
        self.hidden: dict[str, str] = {}
        self.on_screen: dict[str, str] = {}

    def learn(self, server: AuthorizationServer, logins: Iterable[Login]) -> None:
        """Everything the server has given out, and everything the logins hold now."""
        with server.state.lock:
            for code in server.state.codes.values():
                self._hide("code", code.code)
                self._show("nonce", code.nonce)
            for token in server.state.tokens:
                self._hide("access token", token.access_token)
                self._hide("refresh token", token.refresh_token)
            for device in server.state.devices.values():
                self._hide("device code", device.device_code)
                self._show("user code", device.user_code)
        for login in logins:
            if login.challenge is not None:
                self._hide("verifier", login.challenge.verifier.reveal())
                self._show("nonce", login.challenge.nonce.reveal())
                if login.challenge.state is not None:
                    self._show("state", login.challenge.state.reveal())
            if login.tokens is not None:
                self._hide("ID token", login.tokens.id_token)

    def _hide(self, name: str, value: str | None) -> None:
        if value and len(value) >= SHORTEST:
            self.hidden[value] = name

    def _show(self, name: str, value: str | None) -> None:
        if value and len(value) >= SHORTEST:
            self.on_screen[value] = name


def found_in(octets: bytes, secrets: Mapping[str, str]) -> set[str]:
    """The names of the ``secrets`` that ``octets`` hold, spelt any way."""
    return {
        name
        for secret, name in secrets.items()
        if any(spelling in octets for spelling in spellings(secret))
    }


@contextlib.contextmanager
def watching_children() -> Iterator[set[bytes]]:
    """Arguments and environments of every process that comes from this one, inside the block."""
    seen: set[bytes] = set()
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.002):
            for process in _descendants(os.getpid()):
                for what in ("cmdline", "environ"):
                    with (
                        contextlib.suppress(OSError),
                        open(f"/proc/{process}/{what}", "rb") as file,
                    ):
                        seen.add(what.encode() + b"\0" + file.read())

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield seen
    finally:
        over.set()
        watcher.join()


def _descendants(process: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{process}/task"):
            with open(f"/proc/{process}/task/{thread}/children", encoding="ascii") as file:
                for child in map(int, file.read().split()):
                    found += [child, *_descendants(child)]
    return found
