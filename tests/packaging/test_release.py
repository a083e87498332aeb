"""`make release` refuses what may not be released, and makes all but the upload of the rest."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import version as version_of
from pathlib import Path

import pytest
import release
from artefacts import Artefacts

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
VERSION = PROJECT["version"]
WHO = {
    f"GIT_{role}_{part}": value
    for role in ("AUTHOR", "COMMITTER")
    for part, value in (("NAME", "A"), ("EMAIL", "a@example.com"), ("DATE", "@1600000000 +0000"))
}
QUIET = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull, "PYTHONUTF8": "1"}
ENVIRONMENT = {**os.environ, **WHO, **QUIET}


def git(clone: Path, *words: str) -> None:
    """Run git in a clone."""
    subprocess.run(
        ["git", *words], cwd=clone, env=ENVIRONMENT, check=True, capture_output=True, timeout=60
    )


def run(clone: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run `packaging/release.py` of a clone."""
    return subprocess.run(
        [sys.executable, str(clone / "packaging" / "release.py"), *words],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )


@pytest.fixture
def clone(unpacked, tmp_path):
    """A clone that is ready for a release: a dated section in the changelog, and all committed."""
    if shutil.which("git") is None:
        pytest.skip("no git here")
    place = tmp_path / "clone"
    left_out = shutil.ignore_patterns("PKG-INFO", "*.egg-info", "setup.cfg")
    shutil.copytree(unpacked, place, ignore=left_out)
    changelog = place / "CHANGELOG.md"
    text = changelog.read_text(encoding="utf-8")
    head, _, rest = text.partition("## [Unreleased]\n")
    dated = f"{head}## [Unreleased]\n\n## [{VERSION}] - 2026-12-01\n{rest}"
    changelog.write_text(dated, encoding="utf-8")
    git(place, "init", "--quiet")
    git(place, "add", "--all")
    git(place, "commit", "--quiet", "--message", "ready")
    return place


def change(path: str, old: str, new: str):
    """A change of one file that is committed."""

    def do(clone: Path) -> None:
        text = (clone / path).read_text(encoding="utf-8")
        assert old in text
        (clone / path).write_text(text.replace(old, new, 1), encoding="utf-8")
        git(clone, "commit", "--quiet", "--all", "--message", "changed")

    return do


def edit(clone: Path) -> None:
    """A change that is not committed."""
    with (clone / "engine" / "secret.py").open("a", encoding="utf-8") as file:
        file.write("\n")


def add(clone: Path) -> None:
    """A new file that is not committed."""
    (clone / "engine" / "forgotten.py").write_text("", encoding="utf-8")


def origin(address: str):
    """Say where the clone comes from."""
    return lambda clone: git(clone, "remote", "add", "origin", address)


NOT_READY = {
    "edited": (edit, "engine/secret.py"),
    "not added": (add, "engine/forgotten.py"),
    "no section": (change("CHANGELOG.md", f"[{VERSION}]", "[99.0.0]"), "CHANGELOG.md"),
    "no date": (change("CHANGELOG.md", f"[{VERSION}] - 2026-12-01", f"[{VERSION}]"), VERSION),
    "unreleased lines": (
        change("CHANGELOG.md", "## [Unreleased]\n", "## [Unreleased]\n\n### Added\n\n- More.\n"),
        "Unreleased",
    ),
    "tag of another": (lambda clone: git(clone, "tag", "v99.0.0"), "v99.0.0"),
    "another home": (origin("https://git.example/someone/fork.git"), "git.example"),
    "another home by SSH": (origin("git@git.example:someone/fork.git"), "git.example"),
}


@pytest.mark.parametrize(("spoil", "named"), NOT_READY.values(), ids=NOT_READY)
def test_what_may_not_be_released_is_refused_before_anything_is_built(clone, spoil, named):
    """One `error:` names what is wrong, one `hint:` says what to do, and no file is made."""
    spoil(clone)
    out = clone.parent / "out"
    ran = run(clone, str(out))

    assert ran.returncode == 1, ran.stdout + ran.stderr
    error, hint = ran.stderr.splitlines()
    assert error.startswith("error: ")
    assert named in error
    assert hint.startswith("hint: ")
    assert not out.exists()


def test_a_directory_with_other_files_is_left_alone(tmp_path):
    """Only an earlier release gives way: a misspelt directory costs nobody a file."""
    (tmp_path / "stayfast-0.0.1.tar.gz").touch()
    (tmp_path / "letter.txt").touch()
    with pytest.raises(release.Refused, match=re.escape("letter.txt")):
        release.make_empty(tmp_path)
    assert len(list(tmp_path.iterdir())) == 2

    (tmp_path / "letter.txt").unlink()
    release.make_empty(tmp_path)
    assert not tmp_path.exists()


def test_two_builds_that_differ_are_not_released(tmp_path, monkeypatch):
    """A build that depends on when or where it ran is found before it is published."""
    builds = iter(range(2))

    def build(out: Path) -> Artefacts:
        made = Artefacts(out / "a.tar.gz", out / "a.whl")
        made.sdist.write_bytes(b"same")
        made.wheel.write_bytes(b"%d" % next(builds))
        return made

    monkeypatch.setattr("release.build", build)
    with pytest.raises(release.Refused, match=r"a\.whl"):
        release.build_twice(tmp_path)


@pytest.mark.parametrize(
    "address",
    [
        PROJECT["urls"]["Source"],
        PROJECT["urls"]["Source"] + ".git",
        "git@" + PROJECT["urls"]["Source"].partition("://")[2].replace("/", ":", 1) + ".git",
        "ssh://git@" + PROJECT["urls"]["Source"].partition("://")[2],
        "/srv/mirrors/stayfast.git",
        "../stayfast",
    ],
)
def test_a_clone_of_the_repository_may_be_released(clone, address, monkeypatch):
    """However its address is written; and a copy of it on this machine, too."""
    git(clone, "remote", "add", "origin", address)
    monkeypatch.setattr("artefacts.ROOT", clone)
    monkeypatch.setattr("release.git", lambda *words: _output(clone, *words))
    monkeypatch.setattr("release.in_git", lambda: True)

    release.check_links(PROJECT["urls"]["Source"])


def _output(clone: Path, *words: str) -> str:
    ran = subprocess.run(["git", *words], cwd=clone, capture_output=True, text=True, check=True)
    return ran.stdout


def test_the_sbom_names_every_dependency_with_its_version_and_licence(installed, tmp_path):
    """CycloneDX, with a package URL each, and this project as what it is about."""
    release.write_sbom(installed.parent.parent, tmp_path / "sbom.json")
    sbom = json.loads((tmp_path / "sbom.json").read_text(encoding="utf-8"))
    listed = {one["name"].lower().replace("_", "-"): one for one in sbom["components"]}

    assert (sbom["bomFormat"], sbom["specVersion"]) == ("CycloneDX", "1.6")
    subject = sbom["metadata"]["component"]
    assert (subject["name"], subject["version"]) == ("stayfast", VERSION)
    for line in PROJECT["dependencies"]:
        name = re.split(r"[>=\[]", line)[0]
        one = listed[name]
        assert one["version"] == version_of(name)
        assert one["purl"].startswith(f"pkg:pypi/{name}@")
        assert one["licenses"]


@pytest.mark.soak
def test_the_sbom_is_the_same_every_time(installed, tmp_path):
    """No serial number and no time of the run is in it."""
    for name in ("one.json", "two.json"):
        release.write_sbom(installed.parent.parent, tmp_path / name)

    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()


@pytest.mark.soak
def test_a_release_is_all_but_uploaded(clone):
    """Artefacts, SBOM, recipes and checksums: fetched by an installer as it would be by a user."""
    out = clone.parent / "out"
    git(clone, "tag", f"v{VERSION}")
    ran = run(clone, str(out))
    assert ran.returncode == 0, ran.stdout + ran.stderr

    made = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert {
        f"stayfast-{VERSION}.tar.gz",
        f"stayfast-{VERSION}-py3-none-any.whl",
        "stayfast.cdx.json",
        "SHA256SUMS",
        "recipes/conda/recipe.yaml",
        "recipes/debian/control",
        "recipes/homebrew/stayfast.rb",
        "recipes/container/Containerfile",
    } <= made
    sums = dict(
        reversed(line.split("  "))
        for line in (out / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
    )
    assert sums.keys() == made - {"SHA256SUMS"}
    for name, sha256 in sums.items():
        assert hashlib.sha256((out / name).read_bytes()).hexdigest() == sha256
    formula = (out / "recipes" / "homebrew" / "stayfast.rb").read_text(encoding="utf-8")
    assert sums[f"stayfast-{VERSION}.tar.gz"] in formula
    sbom = json.loads((out / "stayfast.cdx.json").read_text(encoding="utf-8"))
    names = {one["name"].lower() for one in sbom["components"]}
    # what the formula brings and the SBOM lists is one set, but for what Homebrew builds itself
    brought = set(re.findall(r'resource "(.+?)"', formula))
    assert brought <= names
    assert names - brought <= {"stayfast", "certifi", "cffi", "cryptography", "pycparser", "pip"}
    assert all(address.startswith("https://") for address in re.findall(r'url "(.+?)"', formula))
