"""A process that can open no further file waits for its user all the same."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

SCRIPT = """
import os, resource
from stayfast.engine.oauth.provider import OAuthConfig
from stayfast.interfaces.assembly import _load_exchange
config = OAuthConfig(service_name="demo", client_id="c", scopes=("openid",))
resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))
try:
    while True:
        os.open(os.devnull, os.O_RDONLY)
except OSError:
    pass
_load_exchange(config)
print("waits")
"""


@pytest.mark.skipif(os.name != "posix", reason="limits the number of open files")
def test_what_cannot_be_loaded_while_the_user_looks_ends_no_login() -> None:
    """The exchange says what is wrong, if it is still wrong by then."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout == "waits\n", done.stderr
