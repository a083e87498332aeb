"""A program at a terminal, where an address may be pasted while its port listens."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pexpect = pytest.importorskip("pexpect")

from stayfast.testing import user_agent  # noqa: E402  after the skip
from stayfast.testing.authorization_server import AuthorizationServer  # noqa: E402  likewise

PROGRAM = Path(__file__).with_name("terminal_program.py")


def test_a_paste_a_thread_and_an_end() -> None:
    """A pasted address signs in; a thread leaves the terminal alone; a token ends the wait at the terminal."""
    with AuthorizationServer() as server:
        issuer = server.config().issuer
        child = pexpect.spawn(
            sys.executable, [str(PROGRAM), str(issuer)],
            timeout=30, encoding="utf-8", dimensions=(24, 1000),
        )  # fmt: skip
        child.expect(r"(http://127\S+)")
        child.sendline(user_agent.fetch_only(child.match.group(1)))

        child.expect("PASTED SIGNED_IN")
        child.expect("IN_A_THREAD TIMEOUT")
        child.expect("ENDED AUTH_CANCELLED")
        child.expect(pexpect.EOF)
        child.close()
    assert child.exitstatus == 0
