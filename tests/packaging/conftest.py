"""The package as others install it: built once, in a Python of its own."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import venv
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run_build(out: Path, root: Path = ROOT, **surroundings: Any) -> tuple[Path, Path]:
    """Build the sdist and the wheel of the source under ``root``, as `make release` does."""
    ran = subprocess.run(
        [sys.executable, str(root / "packaging" / "artefacts.py"), str(out)],
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
        **surroundings,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    sdist, wheel = map(Path, ran.stdout.split())
    return sdist, wheel


@pytest.fixture(scope="session")
def build():
    """The function that builds, for tests that change what is around it."""
    return run_build


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """The sdist and the wheel, built once."""
    return run_build(tmp_path_factory.mktemp("built"))


@pytest.fixture(scope="session")
def sdist(built):
    """The sdist."""
    return built[0]


@pytest.fixture(scope="session")
def wheel(built):
    """The wheel, which was built from the sdist."""
    return built[1]


@pytest.fixture(scope="session")
def unpacked(sdist, tmp_path_factory):
    """The source as a distributor has it: the sdist, unpacked, without git."""
    place = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(sdist) as archive:
        archive.extractall(place, filter="data")
    return place / sdist.name.removesuffix(".tar.gz")


@pytest.fixture(scope="session")
def installed(wheel, tmp_path_factory):
    """A Python in which the wheel is all there is of us; what it depends on is borrowed."""
    home = tmp_path_factory.mktemp("clean")
    venv.create(home, with_pip=False, symlinks=True)
    (libraries,) = home.glob("lib/python*/site-packages")
    with ZipFile(wheel) as archive:
        archive.extractall(libraries)
    borrowed = [path for path in sys.path if path.endswith("site-packages")]
    # a path in a .pth file is searched, but its own .pth files (our editable install) are not read
    (libraries / "borrowed.pth").write_text("\n".join(borrowed), encoding="utf-8")
    return home / "bin" / "python"
