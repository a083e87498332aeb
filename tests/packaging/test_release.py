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
import venv
from importlib.metadata import distribution
from importlib.metadata import version as version_of
from pathlib import Path
from zipfile import ZipFile

import pytest
import release
from artefacts import Artefacts
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

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
        ["git", *words], cwd=clone, env=ENVIRONMENT, check=True, capture_output=True, timeout=180
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


def _output(clone: Path, *words: str) -> str:
    """What git prints in a clone."""
    ran = subprocess.run(["git", *words], cwd=clone, capture_output=True, text=True, check=True)
    return ran.stdout


@pytest.fixture(scope="module")
def ready(unpacked, tmp_path_factory):
    """A clone that is ready for a release: a dated section in the changelog, and all committed."""
    if shutil.which("git") is None:
        pytest.skip("no git here")
    place = tmp_path_factory.mktemp("ready") / "clone"
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
    git(place, "branch", "ready")
    return place


@pytest.fixture
def clone(ready):
    """That clone; what a test changes in it is taken back."""
    yield ready
    git(ready, "reset", "--quiet", "--hard", "ready")
    git(ready, "clean", "--quiet", "-dx", "--force")
    for words in (("tag", "--delete"), ("remote", "remove")):
        for name in _output(ready, words[0]).split():
            git(ready, *words, name)


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
def test_what_may_not_be_released_is_refused_before_anything_is_built(
    clone, spoil, named, tmp_path
):
    """One `error:` names what is wrong, one `hint:` says what to do, and no file is made."""
    spoil(clone)
    out = tmp_path / "out"
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
def test_a_clone_of_the_repository_may_be_released(tmp_path, address, monkeypatch):
    """However its address is written; and a copy of it on this machine, too."""
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "remote", "add", "origin", address)
    monkeypatch.setattr("artefacts.ROOT", tmp_path)

    release.check_links(PROJECT["urls"]["Source"])


def required(name: str, extras: frozenset[str] = frozenset()) -> set[str]:
    """The names of what a package needs on this system and Python, its own name included."""
    found = {name}
    for line in distribution(name).requires or ():
        need = Requirement(line)
        wanted = [{"extra": extra} for extra in ("", *extras)]
        if need.marker is None or any(need.marker.evaluate(one) for one in wanted):
            found |= required(canonicalize_name(need.name), frozenset(need.extras))
    return found


@pytest.fixture(scope="module")
def environment(wheel, tmp_path_factory):
    """A Python in which the wheel and what it needs is installed, as far as metadata goes."""
    home = tmp_path_factory.mktemp("environment")
    venv.create(home, with_pip=False, symlinks=True)
    (libraries,) = home.glob("lib/python*/site-packages")
    with ZipFile(wheel) as archive:
        archive.extractall(libraries)
    for name in NEEDED:
        place = Path(str(distribution(name).locate_file("")))
        (info,) = (
            one
            for one in place.glob("*.dist-info")
            if canonicalize_name(one.name.partition("-")[0]) == name
        )
        shutil.copytree(info, libraries / info.name)
    return home


NEEDED = required("stayfast") - {"stayfast"}


def test_the_sbom_lists_what_the_wheel_needs_and_nothing_else(environment, tmp_path):
    """CycloneDX: each package with version, address and licence, and this project as the subject."""
    release.write_sbom(environment, tmp_path / "sbom.json")
    sbom = json.loads((tmp_path / "sbom.json").read_text(encoding="utf-8"))
    listed = {canonicalize_name(one["name"]): one for one in sbom["components"]}

    assert (sbom["bomFormat"], sbom["specVersion"]) == ("CycloneDX", "1.6")
    subject = sbom["metadata"]["component"]
    assert (subject["name"], subject["version"]) == ("stayfast", VERSION)
    assert listed.keys() - {"stayfast"} == NEEDED
    for name in NEEDED:
        assert listed[name]["version"] == version_of(name)
        kind, _, address = listed[name]["purl"].rpartition("/")
        assert (kind, canonicalize_name(address.partition("@")[0])) == ("pkg:pypi", name)
        assert listed[name]["licenses"]
    (edges,) = [one for one in sbom["dependencies"] if one["ref"] == subject["bom-ref"]]
    direct = {re.split(r"[>=\[]", line)[0] for line in PROJECT["dependencies"]}
    assert {canonicalize_name(ref.partition("==")[0]) for ref in edges["dependsOn"]} == direct


@pytest.mark.soak
def test_the_sbom_is_the_same_every_time(environment, tmp_path, monkeypatch):
    """No serial number and no time of the run is in it."""
    release.write_sbom(environment, tmp_path / "one.json")
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    release.write_sbom(environment, tmp_path / "two.json")

    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()


@pytest.mark.soak
def test_a_release_is_all_but_uploaded(clone, tmp_path):
    """Artefacts, SBOM, recipes and checksums; the formula brings what the SBOM lists."""
    out = tmp_path / "out"
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

    # the two lines that the recipe of the container runs, here
    home = tmp_path / "container"
    venv.create(home, with_pip=False, symlinks=True)
    pip = [sys.executable, "-m", "pip", "--python", str(home / "bin" / "python"), "install"]
    pins = out / "recipes" / "container" / "constraints.txt"
    wheel = out / f"stayfast-{VERSION}-py3-none-any.whl"
    subprocess.run([*pip, "-q", "--constraint", str(pins), str(wheel)], check=True, timeout=600)
    said = subprocess.run(
        [str(home / "bin" / "stayfast"), "--version"], capture_output=True, text=True, check=True
    )
    assert said.stdout == f"stayfast {VERSION}\n"
