"""`stayfast token` with a valid token in a sealed vault, against a Python that does nothing."""

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from ratios import row
from stayfast.storage import EncryptedFileStorage
from stayfast.testing.storage_contract import finished, saved

with tempfile.TemporaryDirectory() as place:
    environ = {
        "PATH": os.environ["PATH"],
        "STAYFAST_STATE_DIR": f"{place}/state",
        "STAYFAST_CONFIG_DIR": f"{place}/config",
    }
    login = finished("demo")
    assert login.tokens is not None
    fresh = replace(login.tokens, issued_at=time.time())
    saved(EncryptedFileStorage(environ=environ), [replace(login, tokens=fresh)])
    command = str(Path(sys.executable).with_name("stayfast"))

    def run(*words: str) -> None:
        subprocess.run(words, env=environ, stdout=subprocess.DEVNULL, check=True)

    row(
        "stayfast token, against python -c pass",
        lambda: run(sys.executable, "-c", "pass"),
        lambda: run(command, "token", "demo"),
        40,
    )
