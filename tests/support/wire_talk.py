"""The people and programs around a transport: they read notices, answer and type."""

from __future__ import annotations

import contextlib
import os
import pty
import threading
from collections.abc import Callable, Iterator
from typing import Any

from stayfast.engine.ports import Asking, Notice, NoticeKind
from stayfast.transports.terminal.answers import TerminalAnswers

PATIENCE = 120.0  # seconds after which the other end has hung


class Notices:
    """A conversation that collects its notices, and may act on them."""

    def __init__(self, on: dict[NoticeKind, Callable[[Notice], object]] | None = None) -> None:
        self.shown: list[Notice] = []
        self._on = on or {}
        self._news = threading.Condition()

    def show(self, notice: Notice) -> None:
        with self._news:
            self.shown.append(notice)
            self._news.notify_all()
        if notice.kind in self._on:
            self._on[notice.kind](notice)

    def kinds(self) -> list[NoticeKind]:
        return [notice.kind for notice in self.shown]

    def wait_for(self, kind: NoticeKind) -> Notice:
        """The first notice of that kind, once it is there."""
        with self._news:
            there = self._news.wait_for(lambda: kind in self.kinds(), PATIENCE)
            assert there, f"never shown: {kind}"
            return next(notice for notice in self.shown if notice.kind is kind)


class Background:
    """Work in a thread, whose result or exception is taken with :meth:`result`."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self._outcome: list[Any] = []
        self._error: list[BaseException] = []

        def run() -> None:
            try:
                self._outcome.append(work())
            except BaseException as error:  # noqa: BLE001  raised again by result()
                self._error.append(error)

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    def result(self, patience: float = PATIENCE) -> Any:
        self._thread.join(patience)
        assert not self._thread.is_alive(), "still at it"
        if self._error:
            raise self._error[0]
        return self._outcome[0]


class BackgroundBrowser:
    """A browser whose user does ``walk`` with the address, in a thread of their own."""

    def __init__(self, walk: Callable[[str], Any]) -> None:
        self._walk = walk
        self.opened: list[str] = []
        self._work: Background | None = None

    def open(self, url: str) -> None:
        self.opened.append(url)
        self._work = Background(lambda: self._walk(url))

    def result(self) -> Any:
        """What the walk came to."""
        assert self._work is not None
        return self._work.result()


class NoBrowser:
    """A machine without one."""

    def open(self, url: str) -> str:
        del url
        return "no browser was found"


class Keyboard:
    """The other end of a terminal: what is typed or pasted there."""

    def __init__(self, master: int, slave: int) -> None:
        self.master = master
        self.slave = slave

    def type(self, text: str) -> None:
        """Type ``text`` as it is; long texts wait for the reader, as a terminal does."""
        octets = text.encode()
        while octets:
            octets = octets[os.write(self.master, octets[:512]) :]

    def paste(self, address: str) -> None:
        """Paste ``address`` and press Enter."""
        self.type(f"{address}\r")


@contextlib.contextmanager
def keyboard() -> Iterator[Keyboard]:
    """A pseudo-terminal for as long as the block."""
    master, slave = pty.openpty()
    try:
        yield Keyboard(master, slave)
    finally:
        os.close(master)
        os.close(slave)


@contextlib.contextmanager
def typing() -> Iterator[tuple[Keyboard, TerminalAnswers]]:
    """A keyboard, and the answers that are read from it."""
    with keyboard() as keys:
        answers = TerminalAnswers(keys.slave)
        try:
            yield keys, answers
        finally:
            answers.close()


class QuickClock:
    """A clock that runs many times as fast as the world's, for waits that only take time."""

    def __init__(self, behind: Any, times: float) -> None:
        self._behind = behind
        self._times = times

    def now(self) -> float:
        return self._behind.now()

    def monotonic(self) -> float:
        return self._behind.monotonic() * self._times

    def sleep(self, seconds: float) -> None:
        self._behind.sleep(seconds / self._times)


def asking(config: Any, deadline: float = 4_000_000_000.0) -> Asking:
    """A login as a transport sees it."""
    return Asking(login_id="01J9ZK4Q0V7F3KTWX2A8B5C6DE", config=config, deadline=deadline)
