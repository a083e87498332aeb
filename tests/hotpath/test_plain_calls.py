"""Plain calls of `status`, `list`, `refresh` and `provider list`, which are read without click: they answer the same."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from stayfast.engine.table import State
from stayfast.interfaces.cli.plain import plain_call
from stayfast.storage import EncryptedFileStorage
from stayfast.testing.storage_contract import finished, pending, saved

COMMAND = str(Path(sys.executable).with_name("stayfast"))
WHOLE = {"STAYFAST_STATUS_NONCE": "x"}
"""An option of a command, which the plain way does not look at further."""


@pytest.fixture(scope="module")
def environ(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A vault with logins in several states, and a file of providers of which one is broken."""
    place = tmp_path_factory.mktemp("plain")
    place.chmod(0o700)
    config = place / "c"
    config.mkdir(mode=0o700)
    (config / "config.toml").write_text(
        '[providers.mine]\nissuer = "https://a.example"\ndisplay_name = "Mine"\n'
        '[providers.broken]\nno_such = "x"\n'
    )
    given = {"STAYFAST_STATE_DIR": str(place / "s"), "STAYFAST_CONFIG_DIR": str(config)}
    vault = EncryptedFileStorage(environ=given)
    for name, state in (("demo", State.AUTHENTICATED), ("gone", State.REFRESH_FAILED)):
        login = finished(name)
        assert login.tokens is not None
        tokens = replace(login.tokens, issued_at=time.time() - 60)
        saved(vault, [replace(login, state=state, tokens=tokens)])
    saved(vault, [replace(pending(), deadline=time.time() + 600)])
    return {"PATH": os.environ["PATH"], **given}


def answered(words: list[str], environ: dict[str, str]) -> tuple[int, str, str]:
    """The exit code and what is printed, without what a second later is another."""
    done = subprocess.run(
        [COMMAND, *words], env=environ, capture_output=True, text=True, check=False
    )
    return done.returncode, re.sub(r"\b\d+ s\b", "? s", done.stdout), done.stderr


@pytest.mark.parametrize(
    "words",
    [
        "status", "status --json", "status demo", "status gone --json", "status nobody", "status dem",
        "status --wide demo", "list", "list --json", "list --wide", "provider list",
        "provider list --json", "provider list --wide", "refresh", "refresh --json", "refresh nobody",
        "refresh nobody --json",
    ],
)  # fmt: skip
def test_both_ways_answer_the_same(environ: dict[str, str], words: str) -> None:
    """Answers, errors, hints and exit statuses are the same whether click has read the words or not."""
    assert plain_call(words.split(), environ) is not None
    assert plain_call(words.split(), {**environ, **WHOLE}) is None
    assert answered(words.split(), environ) == answered(words.split(), {**environ, **WHOLE})


@pytest.mark.parametrize(
    "words",
    [
        "status --js", "status -q", "status demo other", "status --account a", "status --check",
        "status https://a.example", "refresh --account a", "refresh demo --wide", "refresh demo other", "status dämo", "status --", "status --help", "list demo",
        "list --limit 3", "provider list word", "provider --json list", "provider add", "list --json=1",
    ],
)  # fmt: skip
def test_whatever_is_not_plain_is_left_to_the_whole_command(
    environ: dict[str, str], words: str
) -> None:
    """A word that click would judge is read by click."""
    assert plain_call(words.split(), environ) is None


@pytest.mark.parametrize(
    "variable",
    [
        "STAYFAST_JSON",
        "STAYFAST_STATUS_WIDE",
        "STAYFAST_REFRESH_ACCOUNT",
        "STAYFAST_PROVIDER_LIST_GROUP",
        "STAYFAST_COLOR",
    ],
)
def test_a_variable_of_an_option_is_read_by_the_whole_command(
    environ: dict[str, str], variable: str
) -> None:
    """So is a directory that is not absolute."""
    for call in (["status"], ["list"], ["provider", "list"], ["refresh"]):
        assert plain_call(call, {**environ, variable: "1"}) is None
        assert plain_call(call, {**environ, "STAYFAST_STATE_DIR": "here"}) is None


def test_an_empty_store_and_one_that_cannot_be_opened_are_said_the_same(
    environ: dict[str, str], tmp_path: Path
) -> None:
    """Nobody signed in ends with 4, and a store that is none with its own error."""
    tmp_path.chmod(0o700)
    empty = {**environ, "STAYFAST_STATE_DIR": str(tmp_path / "none")}
    for place in (empty, {**environ, "STAYFAST_STORE": "no-such"}):
        for words in (["status"], ["status", "--json"], ["list"]):
            assert answered(words, place) == answered(words, {**place, **WHOLE})


LEFT = """
import sys, os
def left(code):
    sys.stderr.write("\\n".join(sys.modules))
    sys.stderr.flush()
    os._exit(0)
sys.exit = left
sys.argv[1:] = {words!r}
from stayfast.interfaces.cli.entry import main
main()
"""


@pytest.mark.parametrize("words", ["status", "status --json", "list", "list --json"])
def test_what_shows_logins_builds_no_class_by_its_fields(
    environ: dict[str, str], tmp_path: Path, words: str
) -> None:
    """Nor does it load click, or open a whole record of a login to which its provider adds nothing."""
    tmp_path.chmod(0o700)
    own = {**environ, "STAYFAST_STATE_DIR": str(tmp_path / "s")}
    login = finished("plain")
    assert login.tokens is not None
    tokens = replace(login.tokens, issued_at=time.time() - 60)
    saved(EncryptedFileStorage(environ=own), [replace(login, tokens=tokens)])
    path = [one for one in sys.path if one and "support" not in one]
    code = f"import sys\nsys.path[:0] = {path!r}\n" + LEFT.format(words=words.split())
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], env=own, capture_output=True, text=True, check=True
    )
    never = {"click", "dataclasses", "inspect", "stayfast.engine.record", "stayfast.engine.reasons"}
    assert not never & set(done.stderr.split())
