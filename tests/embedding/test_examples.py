"""The examples, run whole, each against a real server: what they promise in their first lines happens."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from stayfast.testing import user_agent
from stayfast.testing.authorization_server import AuthorizationServer
from stayfast.testing.server_state import Client

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
PATIENCE = 120.0


@pytest.fixture
def server() -> Iterator[AuthorizationServer]:
    with AuthorizationServer() as running:
        for client in ("acme-cli", "acme-agent", "acme-notebook"):
            running.add_client(Client(client))
        yield running


@pytest.fixture
def environ(server: AuthorizationServer, tmp_path: Path) -> dict[str, str]:
    """A user's environment: a home of their own, and a browser whose user approves."""
    tmp_path.chmod(0o700)
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "HOME": str(tmp_path),
        "LANG": "C.UTF-8",
        "ACME_ISSUER": server.issuer,
        "ACME_API": server.issuer,
        "ACME_STORE": "file",
        "ACME_AGENT_STORE": "file",
        "BROWSER": f"{sys.executable} -m stayfast.testing.user_agent approve %s",
    }


def run(environ: dict[str, str], script: str, *arguments: str, given: str = "") -> Any:
    """Run a script of an example; its answer is on standard output."""
    return subprocess.run(
        [sys.executable, str(EXAMPLES / script), *arguments],
        env=environ,
        input=given,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )


def test_the_click_tool(server: AuthorizationServer, environ: dict[str, str]) -> None:
    """A user signs in, works past an expiry, signs out, and is told what to do then."""
    server.change(token_lifetime=0.001)
    assert run(environ, "click-tool/acme.py", "auth", "login").returncode == 0
    server.change(token_lifetime=3600)

    me = run(environ, "click-tool/acme.py", "me")
    assert (me.stdout, me.returncode) == ("ada@demo.test\n", 0)
    assert server.counts["token:refresh_token"] == 1
    assert run(environ, "click-tool/acme.py", "auth", "whoami").stdout == "ada@demo.test\n"

    assert run(environ, "click-tool/acme.py", "auth", "logout").returncode == 0
    after = run(environ, "click-tool/acme.py", "me")
    assert after.returncode == 1
    assert after.stderr.splitlines()[-1].endswith(
        "acme.py auth login"
    )  # as "acme auth status" says
    assert "Traceback" not in after.stderr


def test_the_agent(server: AuthorizationServer, environ: dict[str, str]) -> None:
    """Two processes, JSON on standard output and nothing beside it; a wrong answer changes nothing."""
    started = run(environ, "agent/agent.py", "start")
    step = json.loads(started.stdout)
    callback = user_agent.fetch_only(step["address"])

    wrong = run(
        environ, "agent/agent.py", "finish", step["login"],
        given=user_agent.tampered(callback, state="x" * 43),
    )  # fmt: skip
    assert wrong.returncode == 1
    assert json.loads(wrong.stdout)["error"] == "CALLBACK_REFUSED"

    finished = run(environ, "agent/agent.py", "finish", step["login"], given=callback)
    assert json.loads(finished.stdout)["user"] == "ada@demo.test"
    assert (finished.returncode, started.stderr, finished.stderr) == (0, "", "")


def test_the_notebook(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The cells in their order: an address is shown, another is pasted, the last cell has an answer."""
    notebook = json.loads((EXAMPLES / "notebook/sign_in.ipynb").read_text(encoding="utf-8"))
    cells = ["".join(c["source"]) for c in notebook["cells"] if c["cell_type"] == "code"]
    driver = (
        "import json, sys\n"
        "from stayfast.testing import user_agent\n"
        "cells, told = json.load(sys.stdin), []\n"
        "space = {'input': lambda _: user_agent.fetch_only(told[-1]), 'print': told.append}\n"
        "for cell in cells[:-1]: exec(cell, space)\n"
        "*first, last = cells[-1].splitlines()\n"
        "exec('\\n'.join(first), space)\n"
        "print(json.dumps(eval(last, space)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", driver],
        env={**environ, "ACME_NOTEBOOK_STORE": "file"},
        input=json.dumps(cells),
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["email"] == "ada@demo.test"


def test_the_suite_of_an_embedding_program(environ: dict[str, str]) -> None:
    """Its five tests pass with our fixtures, which nobody has to import."""
    done = subprocess.run(
        [
            sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:stayfast",
            "-p", "stayfast.interfaces.pytest_plugin", "--rootdir", ".", "-c", os.devnull, ".",
        ],
        cwd=EXAMPLES / "pytest-suite",
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert "5 passed" in done.stdout


@pytest.mark.parametrize("path", sorted(EXAMPLES.rglob("*.py")), ids=lambda path: path.name)
def test_an_example_is_read_at_one_sitting(path: Path) -> None:
    """None is longer than two screens."""
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 130


def test_the_lines_of_the_comparison_are_counted() -> None:
    """The table says of each program how many of its lines are not blank, and names every one."""
    page = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    told = {
        name: int(lines)
        for name, lines in re.findall(r"\(comparison/(\w+\.py)\)[^|]*\| *(\d+) \|", page)
    }
    counted = {
        path.name: sum(1 for line in path.read_text(encoding="utf-8").splitlines() if line.strip())
        for path in (EXAMPLES / "comparison").glob("*.py")
    }

    assert told == counted
    assert min(counted, key=lambda name: counted[name]) == "with_stayfast.py"


def test_every_example_is_on_the_page() -> None:
    """The page names each folder, and its links lead to files."""
    page = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)]+)\)", page)

    assert [link for link in links if not (EXAMPLES / link).exists()] == []
    folders = {path.name for path in EXAMPLES.iterdir() if path.is_dir()}
    assert folders == {link.partition("/")[0] for link in links}


def test_the_shortest_of_the_comparison_works(
    server: AuthorizationServer, environ: dict[str, str], tmp_path: Path
) -> None:
    """It signs in at its first run, and calls at once at the next."""
    text = (EXAMPLES / "comparison/with_stayfast.py").read_text(encoding="utf-8")
    for address in ("https://login.acme.example", "https://api.acme.example"):
        text = text.replace(address, server.issuer)
    (tmp_path / "acme.py").write_text(text)
    for _ in range(2):
        done = run(environ, str(tmp_path / "acme.py"))
        assert "ada@demo.test" in done.stdout, done.stderr
    assert server.counts["token:authorization_code"] == 1
