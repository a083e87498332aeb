"""A transport that finishes a login with a file.

For a container, a sandbox or a remote machine that shares a folder, or SSH, with the machine where
the browser is, and has no terminal to paste at. On the remote machine, and then on the laptop::

    stayfast login github --via drop
    pbpaste | ssh build-host 'cat > .stayfast-drop/01j9zk4q'
"""

from __future__ import annotations

import os
import time
from contextlib import suppress

from stayfast.engine.errors import TransportUnavailable
from stayfast.engine.oauth.pasted import parse_callback
from stayfast.engine.ports import (
    Asking,
    Notice,
    NoticeKind,
    ReceivedCallback,
    Verdict,
    VerdictKind,
)
from stayfast.engine.record import Presentation
from stayfast.transports.loopback.redirect import address_without_listener
from stayfast.transports.plugins import TransportDependencies


class DropTransport:
    """Waits for a file in ``STAYFAST_DROP_DIR``, or in ``~/.stayfast-drop``."""

    name = "drop"

    def __init__(self, dependencies: TransportDependencies) -> None:
        self._dependencies = dependencies

    def prepare(self, asking: Asking) -> DropSession:
        address = address_without_listener(asking.config)
        return self.reopen(asking, Presentation(transport=self.name, redirect_uri=address))

    def reopen(self, asking: Asking, presentation: Presentation) -> DropSession:
        if presentation.redirect_uri is None:
            raise TransportUnavailable("this login has no redirect address")
        place = os.path.expanduser(os.environ.get("STAYFAST_DROP_DIR", "~/.stayfast-drop"))
        try:
            os.makedirs(place, mode=0o700, exist_ok=True)
        except OSError as error:
            raise TransportUnavailable(f"no folder for answers: {error.strerror}") from error
        shown = Presentation(transport=self.name, redirect_uri=presentation.redirect_uri)
        return DropSession(
            asking, shown, self._dependencies, os.path.join(place, asking.login_id[:8].lower())
        )


class DropSession:
    """The wait for one file."""

    def __init__(
        self,
        asking: Asking,
        presentation: Presentation,
        dependencies: TransportDependencies,
        path: str,
    ) -> None:
        self.presentation = presentation
        self._asking = asking
        self._dependencies = dependencies
        self._path = path
        self._size = -1

    def present(self, authorization_url: str | None) -> None:
        self._dependencies.conversation.show(
            Notice(
                kind=NoticeKind.ASK,
                url=authorization_url,
                redirect_uri=self.presentation.redirect_uri,
                expires_at=self._asking.deadline,
                message=f"Sign in, and write the address of the last page into {self._path}",
            )
        )

    def receive(self, seconds: float) -> ReceivedCallback | None:
        end = time.monotonic() + seconds
        while (text := self._taken()) is None:
            left = end - time.monotonic()
            if left <= 0:
                return None
            time.sleep(min(left, 0.1))
        address, shows_code = self.presentation.redirect_uri, self._asking.config.shows_code
        # raises CallbackRefused, with a sentence for every mistake; the wait then goes on
        parameters = parse_callback(text, redirect_uri=address, shows_code=shows_code)
        return ReceivedCallback(parameters=parameters)

    def _taken(self) -> str | None:
        """What has been dropped, once it has stopped growing; then it is gone."""
        try:
            with open(self._path, encoding="utf-8", errors="replace") as file:
                text = file.read(64 * 1024)
        except OSError:
            return None
        grown, self._size = len(text) != self._size, len(text)
        if grown or not text:
            return None
        os.unlink(self._path)  # it holds a code
        self._size = -1
        return text

    def reply(self, verdict: Verdict) -> None:
        if verdict.kind is VerdictKind.REFUSED:
            mistake = Notice(kind=NoticeKind.MISTAKE, message=verdict.message)
            self._dependencies.conversation.show(mistake)

    def close(self) -> None:
        with suppress(OSError):
            os.unlink(self._path)
