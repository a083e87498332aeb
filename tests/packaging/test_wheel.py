from __future__ import annotations

import configparser
import os
import subprocess
import tomllib
from email.parser import Parser
from fnmatch import fnmatch
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def inside(wheel):
    """The names in the wheel."""
    with ZipFile(wheel) as archive:
        return sorted(archive.namelist())


def run(
    python: Path, *arguments: str, home: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the clean Python, away from the repository."""
    place = str(home or python.parent)
    env = {"PATH": os.environ["PATH"], "HOME": place, "TMPDIR": place, "STAYFAST_STORE": "file"}
    return subprocess.run(
        [str(python), *arguments],
        cwd=home or python.parent,
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )


def test_the_wheel_holds_one_package_and_its_description(inside):
    """One name lands in site-packages; beside it are manual pages alone."""
    roots = {name.split("/")[0] for name in inside}
    whole = f"stayfast-{PROJECT['project']['version']}"

    assert roots == {"stayfast", f"{whole}.dist-info", f"{whole}.data"}


def test_the_wheel_holds_the_manual_pages(inside):
    """Each lands where `man` looks for it beside the program."""
    place = f"stayfast-{PROJECT['project']['version']}.data/data/"
    pages = {name.removeprefix(place) for name in inside if name.startswith(place)}

    assert pages == {f"share/man/man1/{path.name}" for path in ROOT.glob("docs/man/*.1")}
    assert "share/man/man1/stayfast.1" in pages


def test_the_wheel_holds_every_module_and_datum(inside):
    """All that is in the package's folders is in the wheel: modules, the catalogue, the marker."""
    data = PROJECT["tool"]["setuptools"]["package-data"]
    wanted = {"stayfast/py.typed"}
    for package in PROJECT["tool"]["setuptools"]["packages"]:
        folder = ROOT.joinpath(*package.split(".")[1:])
        below = folder.relative_to(ROOT)
        patterns = ["*.py", *data.get(package, [])]
        wanted |= {
            Path("stayfast", below, path.name).as_posix()
            for path in folder.iterdir()
            if path.is_file() and any(fnmatch(path.name, pattern) for pattern in patterns)
        }
        wanted |= {
            Path("stayfast", below, path.relative_to(folder)).as_posix()
            for pattern in patterns
            if "/" in pattern
            for path in folder.glob(pattern)
        }

    assert {name for name in inside if name.startswith("stayfast/")} == wanted
    assert "stayfast/interfaces/catalogue/entries/github.toml" in wanted


def test_no_data_file_is_forgotten():
    """Whatever in the package's folders is neither code nor picture is declared as data."""
    data = PROJECT["tool"]["setuptools"]["package-data"]
    for package in PROJECT["tool"]["setuptools"]["packages"]:
        folder = ROOT.joinpath(*package.split(".")[1:])
        if folder in {ROOT, ROOT / "diagrams"}:  # the drawings belong to the repository
            continue
        loose = [
            path.name
            for path in folder.iterdir()
            if path.is_file()
            and path.suffix not in {".py", ".pyc", ".md"}  # a page is for readers of the source
            and not any(fnmatch(path.name, pattern) for pattern in data.get(package, []))
        ]
        loose += [
            path.relative_to(folder).as_posix()
            for below in folder.iterdir()
            if below.is_dir() and not _is_package(below)
            for path in below.rglob("*")
            if path.is_file() and not any(path.match(pattern) for pattern in data.get(package, []))
        ]
        assert loose == [], package


def _is_package(folder: Path) -> bool:
    return folder.name == "__pycache__" or (folder / "__init__.py").exists()


def test_the_wheel_says_what_it_is(wheel):
    """Name, version, licence and the command are in the metadata."""
    with ZipFile(wheel) as archive:
        info = f"stayfast-{PROJECT['project']['version']}.dist-info"
        ran = Parser().parsestr(archive.read(f"{info}/METADATA").decode())
        entries = configparser.ConfigParser()
        entries.read_string(archive.read(f"{info}/entry_points.txt").decode())
        licence = archive.read(f"{info}/licenses/LICENSE")

    assert (ran["Name"], ran["Version"]) == ("stayfast", PROJECT["project"]["version"])
    assert ran["License-Expression"] == "Apache-2.0"
    assert ran["Requires-Python"] == ">=3.11"
    assert dict(entries["console_scripts"]) == {"stayfast": "stayfast.interfaces.cli.entry:main"}
    assert dict(entries["pyinstaller40"]) == {"hook-dirs": "stayfast.interfaces.frozen:hook_dirs"}
    assert licence == (ROOT / "LICENSE").read_bytes()


@pytest.mark.parametrize(
    "name", ["engine", "transports", "storage", "interfaces", "diagrams", "testing", "tests"]
)
def test_our_folders_are_not_packages_of_their_own(installed, name):
    """`import engine` never works where the wheel is installed."""
    ran = run(installed, "-c", f"import {name}")

    assert "ModuleNotFoundError" in ran.stderr


def test_every_module_of_the_wheel_can_be_imported(installed, inside):
    """Nothing in the wheel needs a file that only the repository has."""
    modules = [
        name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for name in inside
        if name.endswith(".py") and not name.endswith(("__main__.py", "hook-stayfast.py"))
    ]
    ran = run(
        installed,
        "-c",
        f"import importlib, stayfast\nfor name in {modules}: importlib.import_module(name)\n"
        "print(stayfast.__file__)",
    )

    assert ran.returncode == 0, ran.stderr
    assert Path(ran.stdout.strip()).is_relative_to(installed.parent.parent)


ENTRY = "from stayfast.interfaces.cli.entry import main; main()"


def test_the_command_runs_from_the_wheel_alone(installed, tmp_path):
    """The machine is drawn, providers are listed, nobody is signed in: exit 0, 0, 4."""
    ran = [
        run(installed, "-c", ENTRY, *words, home=tmp_path)
        for words in (["diagram"], ["provider", "list"], ["token", "github"])
    ]

    assert [one.returncode for one in ran] == [0, 0, 4], ran
    assert ran[2].stdout == ""


def test_the_demo_runs_from_the_wheel_alone(installed, tmp_path):
    """A whole login against the embedded server, with nothing of the repository at hand."""
    ran = run(installed, "-c", ENTRY, "demo", home=tmp_path)

    assert ran.returncode == 0, ran.stdout + ran.stderr
    states = ["begin", "present", "receive_callback", "accept_tokens", "refresh"]
    shown = ran.stdout.partition("audit show")[2]
    places = [shown.index(state) for state in states]
    assert places == sorted(places)


def test_the_command_runs_as_a_module(installed):
    """`python -m stayfast` is the command."""
    ran = run(installed, "-m", "stayfast", "--version")

    assert (ran.returncode, ran.stdout) == (0, f"stayfast {PROJECT['project']['version']}\n")


PROGRAM = """
import stayfast
from stayfast import *
from stayfast.interfaces.cli.main import run

assert len(OAUTH_PROVIDERS) > 5
OAUTH_PROVIDERS["acme"] = OAuthProvider(
    service_name="acme", auth_url="https://p.test/a", token_url="https://p.test/t"
).to_config("client")
service = OAuthService(storage=EncryptedFileStorage())
begun = service.begin("acme").value
assert isinstance(OAuthService(storage=EncryptedFileStorage()).cancel(begun.login.id), Success)
assert isinstance(service.get_bearer_token("acme"), Failure)
for name in stayfast.__all__:
    getattr(stayfast, name)
assert run(["provider", "list", "-q"]) == run(["diagram"]) == run(["help", "transports"]) == 0
print("DONE", stayfast.__file__)
"""
"""A program with a provider of its own, in which all that is public and the command are used."""


def done(ran: subprocess.CompletedProcess[str]) -> str:
    """Where the program that ran to its end had us from."""
    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-2000:]
    return ran.stdout.rpartition("DONE ")[2].strip()


def test_a_program_runs_with_the_package_in_a_zip(installed, wheel, tmp_path):
    """As with zipapp and `--py-files`: code and catalogue are read from the archive."""
    archive = tmp_path / "program.zip"
    with ZipFile(wheel) as made, ZipFile(archive, "w") as packed:
        for name in made.namelist():
            packed.writestr(name, made.read(name))
        packed.writestr("__main__.py", PROGRAM)
    (tmp_path / "home").mkdir(mode=0o700)
    ran = run(installed, str(archive), home=tmp_path / "home")

    assert Path(done(ran)).is_relative_to(archive)


def test_a_program_runs_frozen_by_pyinstaller(installed, tmp_path):
    """The hook that we ship is found by itself, and brings all that a frozen program needs."""
    (tmp_path / "program.py").write_text(PROGRAM, encoding="utf-8")
    (tmp_path / "home").mkdir(mode=0o700)
    left_out = (
        "psycopg",
        "authlib",
        "httpx",
        "typer",
        "tkinter",
        "pytest",
        "hypothesis",
        "selenium",
        "PIL",
        "numpy",
    )
    made = run(
        installed,
        *("-m", "PyInstaller", "--noconfirm", "--onedir", "--log-level", "WARN"),
        *(word for name in left_out for word in ("--exclude-module", name)),
        str(tmp_path / "program.py"),
        home=tmp_path,
    )
    assert made.returncode == 0, made.stderr[-2000:]
    ran = run(tmp_path / "dist" / "program" / "program", home=tmp_path / "home")

    assert Path(done(ran)).is_relative_to(tmp_path / "dist")
