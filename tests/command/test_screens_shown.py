"""What ``doctor``, ``setup`` and ``store`` show in a real terminal, as files to be looked at.

``STAYFAST_RENEW_TRANSCRIPTS=1`` writes the files anew, as for the screens of a login.
"""

from __future__ import annotations

import re
from itertools import count

import pytest
from command import World
from tmux import styled, window
from transcripts import compare

KINDS = {
    "80": (80, ""),
    "40": (40, ""),
    "plain": (80, "NO_COLOR=1 "),
    "ascii": (80, "LC_ALL=C LANG=C PYTHONUTF8=0 "),
}
SCREENS = {
    "doctor": ["doctor", "doctor nosuch"],
    "store": [
        "store info",
        "store mend",
        "store rekey --to keyfiel",
        "STAYFAST_NEW_PASSPHRASE='one two three' stayfast store rekey --to passphrase",
        "STAYFAST_PASSPHRASE='one two three' stayfast store rekey --to keyfile",
        "store migrate $HOME/other",
        "STAYFAST_STATE_DIR=$HOME/other stayfast store migrate $HOME/state",
        "store keys",
    ],
    "setup": [
        line
        for kind in ("git", "kubectl", "docker", "bazel")
        for line in (
            f"setup {kind}{'' if kind == 'kubectl' else f' --url {kind}.acme.dev'}",
            f"setup {kind}{'' if kind == 'kubectl' else f' --url {kind}.acme.dev'} --write",
            f"setup {kind} --undo",
        )
    ],
}
_FEW = 3
"""Screens that are looked at without colour and without UTF-8, too: the others differ in nothing else."""
_VOLATILE = [
    (r"(?m)^stayfast \d[^$]*?\n\n", "stayfast VERSION - Python - SYSTEM\n\n"),
    (r"python( +)\d+\.\d+\.\S+", r"python\1VERSION"),
    (r"\d{1,2} [A-Z][a-z]{2} \d{4}\b", "D MMM YYYY"),
    (r"(git|kubectl|docker|bazel)-0000-[0-9a-f]{12}", r"\1-0000-0123456789ab"),
    (r"stayfast-[0-9a-f]{8}\b", "stayfast-01234567"),
    (r"127\.0\.0\.1:\d+", "127.0.0.1:PORT"),
    (r"on 127\.0\.0\.1( and ::1)?", "on 127.0.0.1 and ::1"),
]


@pytest.fixture
def kept(world: World) -> World:
    """One account that is signed in; nothing of this machine that others have not."""
    assert world.run("login", "demo", "--via", "loopback").code == 0
    away = (
        "DOCKER_CONFIG",
        "KUBECONFIG",
        "SHELL",
        "SSL_CERT_FILE",
        "REQUESTS_CA_BUNDLE",
        "CURL_CA_BUNDLE",
    )
    world.extra |= dict.fromkeys((*away, "XDG_CONFIG_HOME", "GIT_CONFIG_GLOBAL"), "")
    world.extra |= {"STAYFAST_VIA": "loopback", "BROWSER": "/bin/true %s"}
    return world


@pytest.mark.parametrize("name", SCREENS)
def test_every_screen_at_every_terminal(kept: World, name: str) -> None:
    """At eighty and forty columns, with and without colour and UTF-8, as it was when somebody looked."""
    seen: dict[str, list[str]] = {}
    numbers = count(1)
    environ = {one: value for one, value in kept.environ.items() if "proxy" not in one.lower()}
    with window(kept.place, environ, rows=60) as opened:
        for kind, (columns, before) in KINDS.items():
            opened.command("resize-window", "-x", str(columns), "-y", "60")
            for line in SCREENS[name][: _FEW if before else None]:
                typed = line if " stayfast " in line else f"stayfast {line}"
                text = styled(opened, kept.place, f"{before}{typed}", next(numbers), "-J")
                bare = re.sub(r"\x1b\[[0-9;]*m", "", text)
                if kind == "ascii":
                    assert bare.isascii()
                if kind == "plain":
                    assert bare == text
                text = text.replace(str(kept.place), "/home/ada")
                for pattern, instead in _VOLATILE:
                    text = re.sub(pattern, instead, text)
                seen.setdefault(kind, []).append(f"$ {typed}\n{text}")
    for kind, texts in seen.items():
        compare(f"{name}-{kind}", "7F3K", *texts)
