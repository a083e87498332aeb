"""Programs that use the installed package, as strict type checkers see them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CONSUMERS = Path(__file__).parent / "consumers"


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """The programs in a folder away from the repository and its settings."""
    return Path(shutil.copytree(CONSUMERS, tmp_path / "programs"))


def test_mypy_is_content_with_them(installed: Path, programs: Path) -> None:
    """Strict mypy finds nothing but the mistakes that stand in them on purpose, and all of those."""
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--python-executable", str(installed), "."],
        cwd=programs, capture_output=True, text=True, check=False, timeout=240,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr


def test_pyright_is_content_with_them(installed: Path, programs: Path) -> None:
    """Strict pyright finds nothing but the mistakes that stand in them on purpose, and all of those."""
    if shutil.which("pyright", path=str(Path(sys.executable).parent)) is None:
        pytest.skip("pyright is not installed")
    settings = {
        "typeCheckingMode": "strict",
        "reportUnnecessaryTypeIgnoreComment": True,
        "enableTypeIgnoreComments": False,
    }
    (programs / "pyrightconfig.json").write_text(json.dumps(settings), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pyright", "--pythonpath", str(installed)],
        cwd=programs, capture_output=True, text=True, check=False, timeout=240,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
