"""A new user follows the README and the guides: every line that begins with `$` is typed, in an empty home."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pexpect
import pytest
from stayfast.testing import user_agent
from stayfast.testing.authorization_server import AuthorizationServer
from stayfast.testing.server_state import Client

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 180
CONTROLS = re.compile(r"\x1b\][^\x1b\x07]*(?:\x1b\\|\x07)|\x1b\[[0-9;?]*[A-Za-z]|\r")
SETUP = ("pip install", "stayfast provider add")
"""What comes before anything else, wherever it stands on the page."""


@dataclass
class Typed:
    """A line that a reader types, and what the page says that comes back."""

    line: str
    answer: list[str] = field(default_factory=list[str])

    @property
    def interrupted(self) -> bool:
        """Whether the reader presses Ctrl-C."""
        return "^C" in self.answer


def typed(page: str) -> list[Typed]:
    """Every line of a console block, or of an indented one, with a `$`."""
    text = (ROOT / page).read_text("utf-8")
    found: list[Typed] = []
    blocks = re.findall(r"^```console\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    blocks += [
        "\n".join(line[4:] for line in block.splitlines())
        for block in re.findall(r"(?:^    \$ .*\n)+", text, re.MULTILINE)
    ]
    for block in blocks:
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append(Typed(line[2:].partition(" #")[0].strip()))
            else:
                found[-1].answer.append(line)
    return sorted(found, key=lambda one: not one.line.startswith(SETUP))


def pattern(line: str) -> str:
    """A line of an answer as an expression: names of logins, figures, hosts and what is left out differ."""
    parts: list[str] = []
    for word in re.split(r"\s+", line.strip()):
        made = re.escape(word)
        made = (
            re.sub(r"\b[0-9A-Z]{4}\b", r"[0-9A-Z]{4}", made)
            if re.search(r"\d[A-Z]|[A-Z]\d", word)
            else made
        )
        made = made.replace(re.escape("login.acme.example"), r"[\w.:]+").replace(
            "https:", "https?:"
        )
        made = re.sub(r"\w+@acme\\\.example", r"\\S+@\\S+", made)
        made = re.sub(r"(?<![\w{\[])\d+(?![\w}\]])", r"\\d+", made).replace("…", ".*")
        parts.append(".*" if word in {"…", "⠹"} else made)
    return r"\s+".join(parts).replace(r"\d+\s+min", r"\d+\s+(?:s|min)")


@pytest.fixture(scope="module")
def server() -> Iterator[AuthorizationServer]:
    with AuthorizationServer() as running:
        running.add_client(Client("my-app"))
        yield running


@pytest.fixture
def environ(
    installed: Path, tmp_path_factory: pytest.TempPathFactory, server: AuthorizationServer
) -> dict[str, str]:
    """An empty home, the package as a wheel, a browser in which somebody approves, and no more."""
    home = tmp_path_factory.mktemp("home")
    programs = tmp_path_factory.mktemp("bin")
    command = programs / "stayfast"
    command.write_text(f'#!/bin/sh\nexec {installed} -m stayfast "$@"\n')
    command.chmod(0o755)
    browser = f"{sys.executable} -m stayfast.testing.user_agent approve %s"
    return {
        "HOME": str(home), "PATH": f"{programs}:{os.environ['PATH']}", "LANG": "C.UTF-8",
        "TERM": "xterm", "BROWSER": browser, "DISPLAY": ":0", "PYTHONPATH": str(ROOT / ".dev"),
    }  # fmt: skip


def here(line: str, server: AuthorizationServer) -> str:
    """A line of the page with the addresses of this test."""
    line = line.replace("https://login.acme.example", server.issuer)
    return line.replace("https://api.acme.example/me", f"{server.issuer}/userinfo")


def linked(seen: str) -> str:
    """The address of the provider that the terminal was given, whole, under what is shown of it."""
    return max(
        re.findall(r"http[^\s\x1b\x07]+/authorize\?[^\s\x1b\x07]+", seen), key=len, default=""
    )


def waited(
    child: pexpect.spawn[str], one: Typed, server: AuthorizationServer, address: list[str]
) -> str:
    """Type ``one`` at a terminal, do what the page does there, and give what was seen."""
    if one.interrupted:
        child.expect("left")
        address[:] = [linked(child.before or "")]
        child.sendintr()
        before = (child.before or "") + "left"
    elif "--via paste" in one.line:
        child.expect("Ctrl-C")
        before = child.before or ""
        child.send(user_agent.fetch_only(linked(before) or address[0]))
        child.expect("characters")
        before += child.before or ""
        child.send("\r")
    else:
        before = ""
        while child.expect([pexpect.EOF, r"\[[\w ]+\]: $"]):  # a question with an answer at hand
            before += (child.before or "") + str(child.after)
            child.send("\r")
        child.close()
        return CONTROLS.sub("", before + (child.before or ""))
    child.expect(pexpect.EOF)
    child.close()
    return CONTROLS.sub("", before + (child.before or ""))


GUIDES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (ROOT / "docs").rglob("*.md")
    if "```console" in path.read_text("utf-8")
)
"""The pages of the site that show what is typed. Their blocks stand in the order in which they are typed."""
OF_OTHERS = ("docs/index.md",)
"""Pages that show a part of what the README shows."""


@pytest.mark.skipif(sys.platform == "win32", reason="the page is of a shell of Unix")
@pytest.mark.parametrize("page", ["README.md", *(one for one in GUIDES if one not in OF_OTHERS)])
def test_a_page_can_be_followed_to_the_letter(
    page: str, environ: dict[str, str], server: AuthorizationServer
) -> None:
    """Each line does what the page says: its exit code is 0 (130 after Ctrl-C), its answer the page's."""
    address: list[str] = []
    ran = 0
    for one in typed(page):
        if one.line.startswith("pip install"):
            assert shlex.split(one.line) == [
                "pip",
                "install",
                ".",
            ]  # the wheel of it is installed here
            continue
        if one.line.startswith("make "):
            made = subprocess.run(
                [shutil.which("make") or "make", "-n", *shlex.split(one.line)[1:]],
                cwd=ROOT, capture_output=True, text=True, check=False, timeout=PATIENCE,
            )  # fmt: skip
            assert made.returncode == 0, made.stderr
            continue
        quiet = environ if not one.interrupted else {**environ, "BROWSER": "/bin/true %s"}
        child = pexpect.spawn(
            "/bin/sh", ["-c", here(one.line, server)], env=quiet, cwd=environ["HOME"],
            dimensions=(60, 400), timeout=PATIENCE, encoding="utf-8",
        )  # fmt: skip
        seen = waited(child, one, server, address)
        # a shell that waits for a command which Ctrl-C ended is ended by it, too
        code = child.exitstatus if child.signalstatus is None else 128 + child.signalstatus
        assert code == (130 if one.interrupted else 0), (one.line, seen)
        rest = seen
        for line in one.answer:
            if line.strip() in {"", "…", "^C"}:
                continue
            found = re.search(pattern(line), rest)
            assert found, (one.line, line, pattern(line), seen)
            rest = rest[found.end() :]
        ran += 1
    assert ran >= (10 if page == "README.md" else 1)
