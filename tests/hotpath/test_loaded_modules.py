"""Which modules each command loads: a list that a person has looked at, and that no command outgrows.

``STAYFAST_RENEW_MODULES=1 pytest tests/hotpath/test_loaded_modules.py`` writes the list anew. What is on it
then and was not before wants a reason. It counts modules and system calls, never time.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from command import World
from stayfast.storage import EncryptedFileStorage
from stayfast.testing.authorization_server import AuthorizationServer
from stayfast.testing.storage_contract import finished, saved

LIST = Path(__file__).with_name("loaded.json")
CALLS = (
    "--version",
    "token demo",
    "token demo --json",
    "token demo --format=env",
    "credential git --provider demo get",
    "exec demo true",
    "--help",
    "help storage",
    "status",
    "status --json",
    "list",
    "list --json",
    "provider list",
    "provider list --json",
)
QUICK = CALLS[:6]
"""Those that need neither click nor the engine."""
# all leave by one of these; what is loaded is printed there, and the system calls that Python audits
CODE = """
import sys
sys.path[:0] = {path!r}
before = set(sys.modules)
import io, os
calls = []
sys.addaudithook(lambda event, args: left() if event == {until!r} else calls.append(event))
from stayfast.storage import version
version._kept.append("1")  # a clone has it in another place, and reads more
def left(*_):
    print("\\n".join(sorted(set(sys.modules) - before)), file=sys.__stderr__)
    counted = ("open", "os.listdir", "sqlite3.connect", "socket.connect", "subprocess.Popen", "os.fork")
    print("calls", *(calls.count(one) for one in counted), file=sys.__stderr__)
    sys.__stderr__.flush()
    leave(0)
leave, os._exit, os.execvpe, sys.exit = os._exit, left, left, left
sys.argv[:] = ["stayfast", *{words!r}]
sys.stdin = io.TextIOWrapper(io.BytesIO(b"protocol=https\\nhost=a.example\\n\\n"))
from stayfast.interfaces.cli.entry import main
main()
"""


@pytest.fixture(scope="module")
def environ(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A vault with one good token in it."""
    place = tmp_path_factory.mktemp("hot")
    place.chmod(0o700)
    given = {"STAYFAST_STATE_DIR": str(place / "s"), "STAYFAST_CONFIG_DIR": str(place / "c")}
    login = finished("demo", token="the-token")
    assert login.tokens is not None
    fresh = replace(login.tokens, issued_at=time.time() - 60)
    saved(EncryptedFileStorage(environ=given), [replace(login, tokens=fresh)])
    return {"PATH": os.environ["PATH"], **given}


def seen(call: str, environ: dict[str, str], until: str = "") -> tuple[set[str], list[int]]:
    """The modules of ours and the libraries that ``call`` loads, and how often it calls the system.

    With ``until``, up to the first event of that name of Python's audit.
    """
    path = [one for one in sys.path if one and "support" not in one]
    done = subprocess.run(
        [sys.executable, "-S", "-c", CODE.format(path=path, words=call.split(), until=until)],
        env=environ, capture_output=True, text=True, check=True,
    )  # fmt: skip
    *names, last = done.stderr.splitlines()
    # what the library of Python loads for itself differs from version to version
    return {
        name if name.startswith("stayfast") else name.partition(".")[0]
        for name in names
        if name.partition(".")[0] not in sys.stdlib_module_names
    }, [int(count) for count in last.split()[1:]]


@pytest.mark.parametrize("call", CALLS)
def test_no_command_outgrows_its_list(environ: dict[str, str], call: str) -> None:
    """A module of ours or a library that a command did not load before is looked at by a person."""
    found, _ = seen(call, environ)
    lists: dict[str, list[str]] = json.loads(LIST.read_text()) if LIST.exists() else {}
    if os.environ.get("STAYFAST_RENEW_MODULES"):
        lists[call] = sorted(found)
        LIST.write_text(json.dumps(lists, indent=1) + "\n")
    assert sorted(found - set(lists[call])) == []


@pytest.mark.parametrize("call", QUICK)
def test_a_quick_call_asks_little_of_the_system(environ: dict[str, str], call: str) -> None:
    """It opens its modules, the vault and its key; it connects to nothing and starts nothing."""
    found, (opened, listed, databases, *others) = seen(call, environ)
    assert opened < 100
    assert listed < 20
    assert databases <= 1
    assert others == [0, 0, 0]
    assert len(found) < 35
    assert not found & {"click", "rich", "requests", "structlog", "keyring"}


def test_nothing_is_searched_for_garbage_as_a_command_ends(environ: dict[str, str]) -> None:
    """The interpreter would look at every object of every module, which takes as long as a command's work."""
    code = (
        "import gc, os, sys\nsys.argv[1:] = ['status']\n"
        "def left(code):\n"
        "    sys.stderr.write(str(gc.get_freeze_count() > len(gc.get_objects())))\n"
        "    sys.stderr.flush()\n    os._exit(0)\n"
        "sys.exit = left\n"
        "from stayfast.interfaces.cli.entry import main\nmain()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True
    )
    assert done.stderr == "True"


def test_a_process_with_connections_looks_for_garbage_as_it_ends(environ: dict[str, str]) -> None:
    """What a broken connection left must be found before its library is taken down: Python would crash."""
    code = (
        "import gc, os, ssl, sys\n"
        "before = gc.get_freeze_count()\n"
        "def left(code):\n"
        "    sys.stderr.write(str(gc.get_freeze_count() - before))\n"
        "    sys.stderr.flush()\n    os._exit(0)\n"
        "sys.exit = left\n"
        "from stayfast.interfaces.cli.ending import leave_with\nleave_with(lambda: 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True
    )
    assert done.stderr == "0"


def test_tab_reads_a_file_of_providers_and_loads_nothing_that_uses_one(
    environ: dict[str, str], tmp_path: Path
) -> None:
    """Their names are enough."""
    Path(tmp_path, "config.toml").write_text('[providers.mine]\nissuer = "https://a.example"\n')
    seen("completion bash", environ)  # it notes the words
    asked = {
        "_STAYFAST_COMPLETE": "bash_complete",
        "COMP_WORDS": "stayfast token m",
        "COMP_CWORD": "2",
    }
    found, _ = seen("", {**environ, **asked, "STAYFAST_CONFIG_DIR": str(tmp_path)})
    assert "stayfast.interfaces.settings_files" in found
    assert not found & {"click", "stayfast.interfaces.provider_file"}


SENDING = {"requests", "urllib3", "joserfc"}


@pytest.mark.parametrize(
    ("call", "until", "ways"),
    [
        ("login demo --new --via loopback", "subprocess.Popen", {"logout", "userless"}),
        ("refresh demo", "os.fork", {"begin", "wait", "logout", "identify", "code_exchange"}),
    ],
)
def test_what_sends_and_checks_is_loaded_late(
    tmp_path: Path, call: str, until: str, ways: set[str]
) -> None:
    """It is loaded while the user looks at the browser, or by the courier, which alone sends."""
    tmp_path.chmod(0o700)
    with AuthorizationServer() as server:
        world = World(tmp_path, server)
        assert world.run("login", "demo", "--via", "loopback").code == 0
        found, _ = seen(call, world.environ, until)
    assert "stayfast.engine.flows.jobs" in found
    assert not found & {*SENDING, "structlog", "rich", "keyring", "segno"}
    assert not found & {f"stayfast.engine.flows.{way}" for way in ways}
    assert ("click" in found) is call.startswith("login")


def test_what_sends_and_checks_is_loaded_while_the_user_looks(tmp_path: Path) -> None:
    """When the answer is here, the courier is forked with all that it needs."""
    tmp_path.chmod(0o700)
    with AuthorizationServer() as server:
        world = World(tmp_path, server)
        found, _ = seen("login demo --via loopback", world.environ, "os.fork")
    assert found >= SENDING
