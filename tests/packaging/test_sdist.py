"""What a distributor gets: the whole source in the sdist, and the same bytes from every build."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import tarfile
import time
import tomllib
from email.parser import Parser
from pathlib import Path
from zipfile import ZipFile

import pytest
from trove_classifiers import classifiers

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
MADE = ("PKG-INFO", "setup.cfg", "stayfast.egg-info/")


def files_of(sdist: Path) -> set[str]:
    """The files in an sdist, without its top folder and without what setuptools adds."""
    with tarfile.open(sdist) as archive:
        names = {one.name.partition("/")[2] for one in archive.getmembers() if one.isfile()}
    return {name for name in names if not name.startswith(MADE)}


def test_the_sdist_is_the_repository(sdist):
    """Every file that git keeps is in it, and nothing that only this machine has."""
    if not (ROOT / ".git").exists():
        pytest.skip("no git here: what is tracked is not known")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )

    kept = {name for name in listed.stdout.split("\0") if name and (ROOT / name).exists()}
    assert files_of(sdist) == kept


@pytest.mark.parametrize(
    "needed",
    [
        "CHANGELOG.md",
        "LICENSE",
        "SECURITY.md",
        "Makefile",
        "docs/command.md",
        "examples/README.md",
        "storage/FORMAT.md",
        "tests/conftest.py",
        "tests/storage/vectors/format-1.json",
        "packaging/artefacts.py",
    ],
)
def test_the_sdist_has_what_a_distributor_looks_for(sdist, needed):
    """Changes, licence, security policy, formats with their vectors, examples, tests."""
    assert needed in files_of(sdist)


def test_the_artefacts_name_no_machine(sdist, wheel):
    """No owner, no time of the disk and no odd permission of whoever built them is inside."""
    with tarfile.open(sdist) as archive:
        members = archive.getmembers()
    with ZipFile(wheel) as archive:
        entries = archive.infolist()

    assert {(one.uid, one.gid, one.uname, one.gname) for one in members} == {(0, 0, "", "")}
    assert len({one.mtime for one in members}) == 1
    assert {one.mode for one in members} == {0o644, 0o755}
    assert len({one.date_time for one in entries}) == 1
    assert {one.external_attr >> 16 & 0o777 for one in entries} <= {0o644, 0o664, 0o755}


def test_two_builds_give_the_same_bytes(built, build, tmp_path):
    """Another place, time zone, umask, language and hash seed change nothing."""
    other = {**os.environ, "TZ": "Pacific/Kiritimati", "LC_ALL": "C", "PYTHONHASHSEED": "7"}
    again = build(tmp_path / "out", env=other, umask=0o077, cwd=tmp_path)

    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in built]


def test_the_sdist_alone_gives_the_same_bytes(built, build, unpacked, tmp_path):
    """A distributor without git builds the artefacts of the release from its sdist."""
    assert not (unpacked / ".git").exists()
    again = build(tmp_path / "out", root=unpacked)

    assert [path.name for path in again] == [path.name for path in built]
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in built]


def test_the_time_of_the_build_can_be_given(build, tmp_path):
    """`SOURCE_DATE_EPOCH` is the time of everything inside."""
    when = 1_600_000_000
    sdist, wheel = build(tmp_path, env={**os.environ, "SOURCE_DATE_EPOCH": str(when)})

    with tarfile.open(sdist) as archive, ZipFile(wheel) as zipped:
        assert {one.mtime for one in archive.getmembers()} == {when}
        assert {one.date_time for one in zipped.infolist()} == {time.gmtime(when)[:6]}
    with gzip.open(sdist) as packed:
        packed.read(1)
        assert packed.mtime == when


@pytest.mark.parametrize("given", ["yesterday", "-1", "0", "1e9", "315532799", "9" * 20])
def test_a_time_that_no_zip_file_can_have_is_refused(given, tmp_path):
    """One `error:` and one `hint:`, and nothing is built."""
    ran = subprocess.run(
        [sys.executable, str(ROOT / "packaging" / "artefacts.py"), str(tmp_path / "out")],
        env={**os.environ, "SOURCE_DATE_EPOCH": given},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 1
    error, hint = ran.stderr.splitlines()
    assert (error[:7], hint[:6]) == ("error: ", "hint: ")
    assert given in error
    assert not (tmp_path / "out").exists()


def test_the_index_takes_the_artefacts(built):
    """The description renders, and the metadata is complete."""
    checked = subprocess.run(
        [sys.executable, "-m", "twine", "check", "--strict", *map(str, built)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_links_of_the_project_are_in_the_metadata(wheel):
    """Homepage, source, changelog, issues and the security policy, each below one repository."""
    with ZipFile(wheel) as archive:
        (name,) = [one for one in archive.namelist() if one.endswith(".dist-info/METADATA")]
        said = Parser().parsestr(archive.read(name).decode())
    links = dict(line.split(", ", 1) for line in said.get_all("Project-URL"))

    assert links == PROJECT["urls"]
    assert {"Homepage", "Source", "Documentation", "Changelog", "Issues", "Security"} <= set(links)
    assert all(link.startswith(links["Source"]) for link in links.values())


def test_the_version_stands_in_one_place():
    """No module, page or recipe repeats the version; what needs it gets it from the metadata."""
    version = PROJECT["version"]
    places = [
        path
        for folder in ("engine", "transports", "storage", "interfaces", "testing", "packaging")
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    ]
    places += [ROOT / name for name in ("__init__.py", "README.md", "Makefile")]

    quoted = [f'"{version}"', f"stayfast-{version}", f"stayfast {version}", f"stayfast=={version}"]
    repeating = [
        path
        for path in places
        if any(one in path.read_text(encoding="utf-8", errors="ignore") for one in quoted)
    ]
    assert repeating == []


def test_the_classifiers_are_true():
    """Known to the index; each Python is one that the pipeline tests on, the oldest the one required."""
    assert [line for line in PROJECT["classifiers"] if line not in classifiers] == []
    told = [
        line.removeprefix("Programming Language :: Python :: ")
        for line in PROJECT["classifiers"]
        if line.startswith("Programming Language :: Python :: 3.")
    ]
    tested = (ROOT / ".github" / "workflows" / "test.yml").read_text(encoding="utf-8")

    assert [one for one in told if f'"{one}"' not in tested] == []
    assert f">={told[0]}" == PROJECT["requires-python"]
    # an index would refuse a licence classifier beside the SPDX expression
    assert not any(line.startswith("License ::") for line in PROJECT["classifiers"])


def test_nothing_in_the_sdist_has_the_former_name_of_the_product(sdist):
    """The product had another name while it was made; whoever looks for ours finds no other."""
    former = "hold" + "fast"
    with tarfile.open(sdist) as archive:
        files = [one for one in archive.getmembers() if one.isfile()]
        found = [
            one.name
            for one in files
            if former in one.name.lower()
            or former.encode() in archive.extractfile(one).read().lower()
        ]

    assert found == []
