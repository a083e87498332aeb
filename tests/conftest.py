from __future__ import annotations

import os
import signal
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from stayfast.testing.crash_driver import unavailable

# Tests run three at a time on machines that do other things: how long an example takes says
# nothing about our code there.
settings.register_profile("stayfast", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("stayfast")


def _nothing(number: int, frame: object) -> None:
    del number, frame


# `nohup make test` and `make test &` hand down signals that are ignored, and what the tests start would
# ignore them too: Python and our command leave an ignored signal alone. Handlers in place of "ignore"
# end at exec, so that whatever is started has the defaults; a hangup still does not end the suite.
for _name, _handler in (("SIGINT", signal.default_int_handler), ("SIGHUP", _nothing)):
    if (_number := getattr(signal, _name, None)) and signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _handler)


@pytest.fixture(scope="session")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the homes of the tests are."""
    return tmp_path_factory.mktemp("homes")


@pytest.fixture(autouse=True)
def own_home(homes: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own for each test, so that none writes into that of who runs the tests.

    Tests that install packages still use the settings of pip that this user has.
    """
    for variable, at_home in (
        ("PIP_CONFIG_FILE", ".config/pip/pip.conf"),
        ("PIP_CACHE_DIR", ".cache/pip"),
    ):
        if variable not in os.environ and (real := Path.home() / at_home).exists():
            monkeypatch.setenv(variable, str(real))
    path = tempfile.mkdtemp(dir=homes)
    monkeypatch.setenv("HOME", path)
    for variable in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(variable, raising=False)
    return Path(path)


@pytest.fixture
def traced_place(tmp_path: Path) -> Path:
    """A private directory, on a machine where system calls can be made to fail; else the test is skipped."""
    missing = unavailable()
    if missing and os.environ.get("STAYFAST_REQUIRE_ALL"):
        pytest.fail(missing)
    if missing:
        pytest.skip(missing)
    tmp_path.chmod(0o700)
    return tmp_path
