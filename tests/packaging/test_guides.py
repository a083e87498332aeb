"""The Python on the pages of the site, run as a reader would run it; and the site's own table of contents."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import stayfast
import yaml
from stayfast.testing.authorization_server import AuthorizationServer
from stayfast.testing.server_state import Client

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PATIENCE = 120


def python_of(page: Path) -> str:
    """The Python of a page, one block after the other, as one program."""
    return "\n\n".join(
        re.findall(r"^```python\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    )


PAGES = sorted(page for page in DOCS.rglob("*.md") if python_of(page))


@pytest.fixture(scope="module")
def server() -> Iterator[AuthorizationServer]:
    with AuthorizationServer() as running:
        running.add_client(Client("my-app"))
        yield running


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_python_of_a_page_runs(page: Path, server: AuthorizationServer, tmp_path: Path) -> None:
    """In an empty home, with a browser in which somebody approves; tests on a page are run as tests."""
    ran = run_at(server, page, python_of(page), tmp_path)
    assert ran.returncode == 0, (ran.stdout[-2000:], ran.stderr[-2000:])


SIGNING_IN = [page for page in PAGES if "https://login.acme.example" in python_of(page)]


@pytest.mark.parametrize("page", SIGNING_IN, ids=lambda page: page.stem)
def test_the_python_of_a_page_says_why_it_fails(
    page: Path, server: AuthorizationServer, tmp_path: Path
) -> None:
    """Where the provider cannot be reached, its user reads the failure and no traceback."""
    code = python_of(page).replace("https://login.acme.example", "http://127.0.0.1:9")
    ran = run_at(server, page, code, tmp_path)
    assert (ran.returncode, "Traceback" in ran.stderr) == (1, False), ran.stderr[-2000:]
    assert "127.0.0.1" in ran.stderr


def test_the_awaited_example_says_that_nobody_is_signed_in(
    server: AuthorizationServer, tmp_path: Path
) -> None:
    """That of the README, whose result may be a failure."""
    readme = ROOT / "README.md"
    blocks = re.findall(
        r"^```python\n(.*?)^```", readme.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    (block,) = (one for one in blocks if "async def token" in one)
    ran = run_at(server, readme, f"{block}\nimport asyncio\nasyncio.run(token())\n", tmp_path)
    assert (ran.returncode, "Traceback" in ran.stderr) == (1, False), ran.stderr[-2000:]


def run_at(
    server: AuthorizationServer, page: Path, code: str, tmp_path: Path
) -> subprocess.CompletedProcess[str]:
    """The end of the Python of a page, whose provider is ``server``."""
    code = code.replace("https://login.acme.example", server.issuer)
    code = code.replace("https://api.acme.example/me", f"{server.issuer}/me")
    # the embedded server knows the address of its own client only
    code = code.replace("https://shop.example.com/callback", "http://127.0.0.1/callback")
    program = tmp_path / f"test_{page.stem.replace('-', '_')}.py"
    program.write_text(code)
    environ = {
        "HOME": str(tmp_path), "PATH": os.environ["PATH"], "LANG": "C.UTF-8", "DISPLAY": ":0",
        "PYTHONPATH": str(ROOT / ".dev"), "PYTHONWARNINGS": "error",
        "BROWSER": f"{sys.executable} -m stayfast.testing.user_agent approve %s",
    }  # fmt: skip
    how = (
        ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly"]
        if re.search(r"def test_|class Test", code)
        else []
    )
    return subprocess.run(
        [sys.executable, *how, str(program)], env=environ, cwd=tmp_path, capture_output=True,
        text=True, check=False, timeout=PATIENCE,
    )  # fmt: skip


def in_the_contents(entry: object) -> Iterator[str]:
    """The pages that the table of contents names."""
    if isinstance(entry, str):
        yield entry
    elif isinstance(entry, dict):
        for below in entry.values():
            yield from in_the_contents(below)
    elif isinstance(entry, list):
        for below in entry:
            yield from in_the_contents(below)


def test_every_page_is_in_the_contents() -> None:
    """No page can be found by its address alone."""
    text = (ROOT / "mkdocs.yml").read_text("utf-8")
    named = set(in_the_contents(yaml.safe_load(text)["nav"]))
    assert {page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")} <= named


def test_every_public_name_is_explained() -> None:
    """The page of the library has each of them once."""
    page = (DOCS / "reference" / "api.md").read_text("utf-8")
    named = re.findall(r"^::: stayfast\.(\w+)$", page, re.MULTILINE)
    assert sorted(named) == sorted(set(stayfast.__all__) - {"__version__"})


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda page: page.stem)
def test_a_page_begins_with_its_subject(page: Path) -> None:
    """One heading of the first level, which is the first line; no trailing blanks; no tabs."""
    text = page.read_text("utf-8")
    outside = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    assert text.startswith("# ")
    assert len(re.findall(r"^# ", outside, re.MULTILINE)) == 1
    assert not re.findall(r"[ \t]+$|\t", text, re.MULTILINE)


def test_shell_blocks_can_be_read_by_a_shell() -> None:
    """What is shown and not run here is at least what a shell takes."""
    for page in DOCS.rglob("*.md"):
        for block in re.findall(
            r"^```sh\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL
        ):
            read = subprocess.run(
                ["sh", "-n"], input=block, text=True, capture_output=True, check=False
            )
            assert read.returncode == 0, (page.name, block, read.stderr)
