"""Make everything of a release but the upload: `make release`, or `make dist` to try it at any commit.

    python packaging/release.py [--draft] [DIRECTORY]

Into DIRECTORY (dist) come the sdist and the wheel, a CycloneDX SBOM of what the wheel installs, the
recipes for distributions with their hashes filled in, and SHA256SUMS. Whoever releases has run the
tests; this checks that the tree is what was committed, that the changelog speaks of this version, that
a second build gives the same bytes, and that the package index will take the result. `--draft` leaves
out the first two.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import recipes
from artefacts import ROOT, Artefacts, build, epoch, git, in_git, project


class Refused(Exception):
    """The release cannot be made; the second argument says what to do."""


def check_tree() -> None:
    """What is released is a commit; an unpacked sdist has none, and is taken as it is."""
    if in_git() and (changed := git("status", "--porcelain").splitlines()):
        names = ", ".join(line[3:] for line in changed[:3])
        raise Refused(f"{len(changed)} files are not as committed: {names}", "commit them first")


def check_changelog(version: str) -> None:
    """The changelog has a dated section for the version, and nothing that is still unreleased."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    heading = rf"^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d$"
    if not re.search(heading, text, re.MULTILINE):
        raise Refused(
            f"CHANGELOG.md has no section for {version}",
            f"write '## [{version}] - YYYY-MM-DD' under '## [Unreleased]'",
        )
    unreleased = re.search(r"^## \[Unreleased\]$(.*?)^## \[", text, re.MULTILINE | re.DOTALL)
    if unreleased and re.search(r"^- ", unreleased[1], re.MULTILINE):
        raise Refused(
            "CHANGELOG.md has lines under 'Unreleased'", f"move them to the section of {version}"
        )


def check_tag(version: str) -> None:
    """A tag of a version at this commit is the tag of this one."""
    tags = git("tag", "--points-at", "HEAD", "v*").split() if in_git() else []
    if tags and f"v{version}" not in tags:
        raise Refused(
            f"the tag of this commit is {tags[0]}, and pyproject.toml says {version}",
            "change the version, or move the tag",
        )


def check_links(source: str) -> None:
    """The links of the project lead to the repository that this clone comes from.

    A clone of a directory, and an unpacked sdist, come from nowhere that a link could name.
    """
    remotes = git("remote", "get-url", "origin").strip() if _has_origin() else ""
    hosted = re.fullmatch(r"(?:\w+://)?(?:[^@/]+@)?([\w.-]+\.\w+)[:/](.+?)(?:\.git)?/?", remotes)
    if hosted and f"{hosted[1]}/{hosted[2]}".lower() != source.partition("://")[2].lower():
        raise Refused(
            f"the links of pyproject.toml name {source}, and this clone comes from {remotes}",
            "change [project.urls]",
        )


def _has_origin() -> bool:
    return in_git() and "origin" in git("remote").split()


def make_empty(out: Path) -> None:
    """Remove the files of an earlier release or build, and nothing else."""
    if out.is_dir():
        ours = ("stayfast-*", "stayfast.cdx.json", "recipes", "SHA256SUMS")
        others = [one.name for one in out.iterdir() if not any(map(one.match, ours))]
        if others:
            raise Refused(f"{out} has other files: {others[0]}", "name another directory")
        shutil.rmtree(out)


def build_twice(out: Path) -> Artefacts:
    """Build, and build again elsewhere; two builds that differ are not released."""
    made = build(out)
    with tempfile.TemporaryDirectory(prefix="stayfast-again-") as place:
        again = build(Path(place))
        for first, second in ((made.sdist, again.sdist), (made.wheel, again.wheel)):
            if first.read_bytes() != second.read_bytes():
                raise Refused(f"two builds of {first.name} differ", "compare them with diffoscope")
    return made


def run(*command: str, env: Mapping[str, str] | None = None) -> None:
    """Run a tool; what it said is shown if it fails."""
    ran = subprocess.run(
        command, env=env, capture_output=True, text=True, check=False, timeout=1200
    )
    if ran.returncode:
        raise Refused(f"{' '.join(command[1:4])} failed", (ran.stdout + ran.stderr)[-4000:].strip())


def install_apart(wheel: Path, place: Path) -> list[dict[str, Any]]:
    """Install the wheel in an environment of its own; say what pip fetched for it, and from where."""
    venv.create(place, with_pip=False, symlinks=os.name == "posix")
    report = place / "report.json"
    run(
        *(sys.executable, "-m", "pip", "--python", str(python_in(place)), "install", "--quiet"),
        *("--ignore-installed", "--report", str(report)),
        # pure from source, and each of its many wheels is for one platform
        *("--no-binary", "charset-normalizer", str(wheel)),
    )
    found: list[dict[str, Any]] = json.loads(report.read_text(encoding="utf-8"))["install"]
    return found


def python_in(place: Path) -> Path:
    """The interpreter of an environment."""
    return place / ("bin/python" if os.name == "posix" else "Scripts/python.exe")


def write_sbom(environment: Path, out: Path) -> None:
    """Write what is installed in an environment as CycloneDX 1.6, validated; its time is `epoch()`."""
    run(
        *(sys.executable, "-m", "cyclonedx_py", "environment", "--output-reproducible"),
        *("--spec-version", "1.6", "--output-format", "JSON", "--validate"),
        *("--pyproject", str(ROOT / "pyproject.toml"), "--output-file", str(out)),
        str(python_in(environment)),
        env={**os.environ, "SOURCE_DATE_EPOCH": str(epoch())},
    )


def sha256(path: Path) -> str:
    """The hash of a file, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_sums(out: Path) -> None:
    """Write SHA256SUMS for `sha256sum --check`: every file of the release but itself."""
    files = sorted(path for path in out.rglob("*") if path.is_file())
    lines = [f"{sha256(path)}  {path.relative_to(out).as_posix()}\n" for path in files]
    (out / "SHA256SUMS").write_text("".join(lines), encoding="utf-8", newline="\n")


def release(out: Path, *, draft: bool) -> None:
    """Make the release in ``out``, in place of an earlier one.

    Raises:
        Refused: A check failed; what was made so far is left for a look.
    """
    about = project()
    version = about["version"]
    check_tag(version)
    check_links(about["urls"]["Source"])
    if not draft:
        check_tree()
        check_changelog(version)
    make_empty(out)
    made = build_twice(out)
    print(f"built {made.sdist.name} and {made.wheel.name} twice: the same bytes")
    run(sys.executable, "-m", "twine", "check", "--strict", str(made.sdist), str(made.wheel))
    print("twine: the package index will take both")
    sbom = out / "stayfast.cdx.json"
    with tempfile.TemporaryDirectory(prefix="stayfast-sbom-") as place:
        fetched = install_apart(made.wheel, Path(place))
        write_sbom(Path(place), sbom)
    print(f"wrote {sbom.name}: {len(fetched)} packages on this system and Python")
    recipes.write(out / "recipes", sha256(made.sdist), fetched)
    print("wrote recipes/ for conda, Debian and Homebrew, and the one of the container")
    write_sums(out)
    print(f"wrote SHA256SUMS; all is in {out}")


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("directory", nargs="?", default=ROOT / "dist", type=Path)
    parser.add_argument("--draft", action="store_true", help="do not check tree and changelog")
    words = parser.parse_args()
    try:
        release(words.directory.resolve(), draft=words.draft)
    except Refused as refused:
        problem, hint = refused.args
        print(f"error: {problem}\nhint: {hint}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
