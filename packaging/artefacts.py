"""Build the sdist and the wheel so that the same source gives the same bytes on every machine.

    python packaging/artefacts.py DIRECTORY

The sdist holds every file that git does not ignore; without git, all that no build or test left behind. The
wheel is built from the sdist, so it needs nothing that the sdist lacks. All times in both are
`SOURCE_DATE_EPOCH` (https://reproducible-builds.org/specs/source-date-epoch/); where it is not set,
the time of the last commit, and in an unpacked sdist the time of the release.
"""

from __future__ import annotations

import gzip
import os
import re
import shutil
import stat
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
LEFT_BEHIND = {
    *(".venv", ".pythons", ".dev", ".git", "build", "dist", "node_modules", "__pycache__"),
    *(".mypy_cache", ".pytest_cache", ".ruff_cache", ".hypothesis", ".import_linter_cache"),
}
"""Directories that are made in the tree and are no part of the source (as in .gitignore)."""

EPOCH_OF_ZIP = 315_532_800
"""1980-01-01, in seconds since 1970."""

MADE_BY_SETUPTOOLS = {"PKG-INFO", "setup.cfg", "stayfast.egg-info"}
"""What an sdist has beside the source; it is made again for each sdist."""


@dataclass(frozen=True)
class Artefacts:
    """The two files of a release that are uploaded to the package index."""

    sdist: Path
    wheel: Path


def project() -> dict[str, Any]:
    """The table `project` of pyproject.toml: the one place of name, version, links and dependencies."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    table: dict[str, Any] = tomllib.loads(text)["project"]
    return table


def in_git() -> bool:
    """Whether the source is a clone, not an unpacked sdist (which may lie inside another clone).

    Where git is not installed, a clone is taken as an sdist is.
    """
    return (ROOT / ".git").exists() and shutil.which("git") is not None


def git(*arguments: str) -> str:
    """What git prints for the clone."""
    ran = subprocess.run(
        ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    return ran.stdout


def source_files() -> list[str]:
    """The paths of the source, with slashes, in order."""
    if in_git():
        names = git("ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
        return sorted(name for name in names if name and (ROOT / name).is_file())
    found: list[str] = []
    for folder, below, files in os.walk(ROOT):
        here = Path(folder).relative_to(ROOT)
        left_behind = LEFT_BEHIND | MADE_BY_SETUPTOOLS if here == Path() else LEFT_BEHIND
        below[:] = [name for name in below if name not in left_behind]
        found += [
            (here / name).as_posix()
            for name in files
            if name not in left_behind and not name.endswith((".pyc", ".pyo"))
        ]
    return sorted(name for name in found if not name.startswith(".coverage"))


def epoch() -> int:
    """The time of everything in the artefacts, in seconds since 1970; a ZIP file knows none before 1980."""
    if given := os.environ.get("SOURCE_DATE_EPOCH"):
        if not re.fullmatch(r"[0-9]{9,11}", given) or int(given) < EPOCH_OF_ZIP:
            raise SystemExit(
                f"error: SOURCE_DATE_EPOCH is no time from 1980 on: {given!r}\n"
                "hint: give it in seconds since 1970, or leave it out"
            )
        return int(given)
    if in_git():
        return int(git("log", "-1", "--format=%ct"))
    released = ROOT / "PKG-INFO"
    return int((released if released.exists() else ROOT / "pyproject.toml").stat().st_mtime)


def build(out: Path) -> Artefacts:
    """Build both artefacts into ``out``, which is made if it is not there."""
    when = epoch()
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="stayfast-build-") as place:
        staged = Path(place, "source")
        for name in source_files():
            copy = staged / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, copy)
            copy.chmod(_mode((ROOT / name).stat().st_mode))
        made = _run_build("--sdist", staged, Path(place, "made"), when)
        sdist = out / made.name
        _write_again(made, sdist, when)
        with tarfile.open(sdist) as archive:
            archive.extractall(place, filter="data")
        unpacked = Path(place, sdist.name.removesuffix(".tar.gz"))
        made = _run_build("--wheel", unpacked, Path(place, "made"), when)
        wheel = out / made.name
        shutil.copyfile(made, wheel)
    return Artefacts(sdist, wheel)


def _mode(mode: int) -> int:
    """Readable for all and executable or not: what the umask of a clone added does not count."""
    return 0o755 if mode & stat.S_IXUSR else 0o644


def _run_build(kind: str, source: Path, out: Path, when: int) -> Path:
    """Build with the setuptools at hand (`WHEEL` in the wheel names its version)."""
    ran = subprocess.run(
        [sys.executable, "-m", "build", kind, "--no-isolation", "--outdir", str(out), str(source)],
        cwd=out.parent,
        env={**os.environ, "SOURCE_DATE_EPOCH": str(when)},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
        umask=0o022 if os.name == "posix" else -1,
    )
    if ran.returncode:
        raise SystemExit(f"error: the build failed\n{ran.stdout[-4000:]}{ran.stderr[-4000:]}")
    (made,) = out.glob("*.tar.gz" if kind == "--sdist" else "*.whl")
    return made


def _write_again(made: Path, out: Path, when: int) -> None:
    """Copy an sdist, without owners and times of its own; setuptools keeps those of the disk."""
    with (
        tarfile.open(made) as source,
        out.open("wb") as file,
        # an empty name: gzip would write that of the file
        gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=when) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as target,
    ):
        for member in sorted(source.getmembers(), key=lambda one: one.name):
            clean = tarfile.TarInfo(member.name)
            clean.type, clean.size, clean.mtime = member.type, member.size, when
            clean.mode = 0o755 if member.isdir() else _mode(member.mode)
            target.addfile(clean, source.extractfile(member) if member.isfile() else None)


if __name__ == "__main__":
    (directory,) = sys.argv[1:]
    artefacts = build(Path(directory).resolve())
    print(artefacts.sdist, artefacts.wheel, sep="\n")
