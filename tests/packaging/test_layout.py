from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
FOLDERS = ("diagrams", "engine", "interfaces", "storage", "testing", "transports")
IN_THE_PACKAGE = [
    ROOT / "__init__.py",
    ROOT / "__main__.py",
    *(path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))),
]

LIMIT = 600
LONGER: dict[str, str] = {
    "interfaces/service.py": "every call of a program, with its failures; each does its work elsewhere",
    "storage/vault/vault.py": "every method of the storage contract; each does its work elsewhere",
}
"""Modules that are longer than the house allows, and why."""

SHORT = 60
SHORTER = {
    "interfaces/cli/commands/provider_list.py": "what click reads; the answer is made without click, too",
    "interfaces/cli/refreshing.py": "`token` and `refresh` both do it, and only the latter is read without click",
    "interfaces/cli/commands/status.py": "what click reads; the answers are made without click, too",
    "interfaces/cli/commands/provider.py": "names the commands below it, and loads none of them",
    "diagrams/__main__.py": "what `python -m stayfast.diagrams` runs; nothing imports it",
    "interfaces/command_group/elsewhere.py": "what the groups of both libraries share about others' commands",
    "__main__.py": "what `python -m stayfast` runs; nothing imports it",
    "interfaces/cli/reference/__main__.py": "what `make docs-tables` runs; only its test imports it",
    "storage/audit/keys.py": "whoever opens a vault reads them; what uses them is for who reads the log",
    "engine/oauth/pkce.py": "one specification, and it is short",
    "interfaces/audit/reading.py": "the command and the exports both read the log with it, and neither owns it",
    "engine/foreign_text.py": "callbacks, answers and every screen use it, and none of them owns it",
    "engine/moments.py": "the fast path needs it for some forms alone, and what else has a calendar is large",
    "transports/terminal/standard_input.py": "every command asks it, and what reads there is large",
    "storage/lending.py": "the cipher and the vault both load by it, and neither owns it",
    "interfaces/process.py": "the command and every courier call it, and the fast path loads it first",
    "storage/version.py": "`--version` prints it, and what else knows this machine loads much",
    "interfaces/auth_status.py": "programs get it from the service, `status` prints it, and neither loads the other",
    "interfaces/extras.py": "several interfaces have optional libraries, and none of them owns the rule",
    "interfaces/frozen/hook-stayfast.py": "PyInstaller runs it; nothing imports it",
    "interfaces/cli/terminal/clipboard.py": "one terminal sequence, and which terminals take it",
    "storage/postgres/driver.py": "the part that works without psycopg, which is optional",
    "storage/vault/database.py": "the protocol of SQLite and PostgreSQL: vault and audit import it, and it imports neither",
    "testing/loopback_server.py": "three servers run on it, and none of them owns it",
    "testing/consent_pages.py": "the HTML of the test server: a language of its own",
}
"""Modules shorter than most, and why each is a module. Packages need no reason."""


def name(path: Path) -> str:
    """A path as it is written in this repository."""
    return path.relative_to(ROOT).as_posix()


def test_the_package_list_equals_the_folders():
    """Every folder with an `__init__.py` is in the package list, and no other name is."""
    folders = {
        ".".join(["stayfast", *path.parent.relative_to(ROOT).parts])
        for path in ROOT.rglob("__init__.py")
        if not {"tests", "node_modules", "build", "dist"} & set(path.relative_to(ROOT).parts)
        and not any(part.startswith(".") for part in path.relative_to(ROOT).parts)
    }

    assert sorted(PROJECT["tool"]["setuptools"]["packages"]) == sorted(folders)


def test_nothing_built_lies_beside_the_sources():
    """An artefact that somebody downloaded or built is no part of the repository."""
    built = {".whl", ".gz", ".zip", ".so", ".pyd", ".exe", ".log", ".db"}
    assert [path.name for path in ROOT.iterdir() if path.is_file() and path.suffix in built] == []


def test_tests_are_not_a_package():
    """No test can be imported by those who install the wheel."""
    assert list((ROOT / "tests").rglob("__init__.py")) == []


def test_tests_have_names_of_their_own():
    """Two test files of one name in two folders would be one module to some tools."""
    names = [
        path.name
        for path in (ROOT / "tests").rglob("test_*.py")
        if "node_modules" not in path.parts
    ]

    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("path", IN_THE_PACKAGE, ids=name)
def test_a_module_is_short_or_has_a_reason(path):
    """A module of more than 600 lines has its reason above; a shorter one needs none."""
    lines = len(path.read_text(encoding="utf-8").splitlines())

    assert (lines > LIMIT) == (name(path) in LONGER), f"{lines} lines"


@pytest.mark.parametrize("path", IN_THE_PACKAGE, ids=name)
def test_a_short_module_has_a_reason(path):
    """A module of fewer than 60 lines is a concept of its own, or belongs into another."""
    lines = len(path.read_text(encoding="utf-8").splitlines())

    short = lines < SHORT and path.name != "__init__.py"
    assert short == (name(path) in SHORTER), f"{lines} lines"


def test_reasons_are_for_modules_that_exist():
    """A module that was split or renamed takes its reason with it."""
    assert {*LONGER, *SHORTER} <= {name(path) for path in IN_THE_PACKAGE}


def test_the_map_of_the_contributing_page_is_the_tree():
    """Every folder of the package is on the map, and every path on the map is in the tree."""
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    drawn: set[str] = set()
    above: list[str] = []
    for line in page.splitlines():
        if found := re.fullmatch(r"    ((?:  )*)([a-z_]+/) +.+", line):
            above = [*above[: len(found[1]) // 2], found[2]]
            drawn.add("".join(above))
    folders = {name(path.parent) + "/" for path in IN_THE_PACKAGE} - {"./"}

    assert folders <= drawn
    assert [path for path in sorted(drawn) if not (ROOT / path).is_dir()] == []


@pytest.mark.parametrize("path", IN_THE_PACKAGE, ids=name)
def test_folders_import_one_another_by_path(path):
    """Relative imports only: `import stayfast` inside would hide an arrow from a reader of paths."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    absolute = [
        node.lineno
        for node in ast.walk(tree)
        if (
            isinstance(node, ast.Import)
            and any(a.name.split(".")[0] == "stayfast" for a in node.names)
        )
        or (
            isinstance(node, ast.ImportFrom)
            and node.level == 0
            and (node.module or "").split(".")[0] == "stayfast"
        )
    ]

    assert absolute == []


@pytest.mark.parametrize("path", sorted((ROOT / "engine").rglob("*.py")), ids=name)
def test_the_engine_neither_prints_nor_opens_nor_asks(path):
    """What needs no import to touch the world is not called in the engine either."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    called = {
        node.func.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }

    assert called.isdisjoint({"print", "open", "input", "exec", "eval", "breakpoint", "__import__"})


def arrows(path: Path) -> set[str]:
    """The modules of the package that ``path`` imports, also in functions and for types only."""
    own = name(path).removesuffix(".py").removesuffix("/__init__").split("/")
    package = own if path.name == "__init__.py" else own[:-1]
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1] + (node.module or "").split(".")
            target = "/".join(part for part in base if part)
            submodules = {f"{target}/{a.name}" for a in node.names} & MODULES
            found |= submodules or {target}
    return (found & MODULES) - {"/".join(own)}


MODULES = {
    name(path).removesuffix(".py").removesuffix("/__init__")
    for path in IN_THE_PACKAGE
    if path != ROOT / "__init__.py"
}


def test_the_house_has_no_import_circle():
    """Arrows for types only count too: a reader of one module needs those it names."""
    todo = {
        name(path).removesuffix(".py").removesuffix("/__init__"): arrows(path)
        for path in IN_THE_PACKAGE
    }
    while leaves := [module for module, targets in todo.items() if not targets & todo.keys()]:
        for module in leaves:
            del todo[module]

    assert todo == {}


def lint_imports(root: Path) -> subprocess.CompletedProcess[str]:
    """Hold the package under ``root`` to the contracts of pyproject.toml."""
    run = "import sys; from importlinter.cli import lint_imports_command as run; sys.exit(run())"
    return subprocess.run(
        [
            sys.executable,
            "-c",
            run,
            "--config",
            str(ROOT / "pyproject.toml"),
            "--no-cache",
            "--no-logo",
        ],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_the_arrows_between_the_folders_point_one_way():
    """Interfaces know transports and storage, those know the engine, and the engine knows none."""
    linted = lint_imports(ROOT / ".dev")

    assert linted.returncode == 0, linted.stdout + linted.stderr


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("engine/secret.py", "from ..storage import memory"),
        ("engine/secret.py", "from ..interfaces import status"),
        ("engine/secret.py", "import socket"),
        ("engine/secret.py", "def late():\n    import time"),
        ("storage/memory.py", "from ..transports import manual"),
        ("transports/manual.py", "from ..interfaces import status"),
        ("diagrams/drawing.py", "from ..storage import memory"),
    ],
)
def test_an_arrow_the_other_way_is_noticed(module, line, tmp_path):
    """The contracts see what they are there to see, inside functions too."""
    package = tmp_path / "stayfast"
    for path in IN_THE_PACKAGE:
        copy = package / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    assert lint_imports(tmp_path).returncode == 0

    with (package / module).open("a", encoding="utf-8") as file:
        file.write(f"\n{line}\n")

    assert lint_imports(tmp_path).returncode != 0
