from __future__ import annotations

import ast
import os
import re
import tomllib
from pathlib import Path

import click
import pytest
import stayfast
from stayfast.interfaces.cli.main import cli

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    *("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"),
    "packaging/README.md",
    *sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md")),
]
MADE_AS_A_SITE = (
    "security",
    "changelog",
    "contributing",
    "formats",
    "comparison",
    "machine",
    "configuration",
    "errors/index",
)
"""Pages below docs/reference that docs/site/pages.py makes."""


def text_of(page: str) -> str:
    """A page of the documentation."""
    return (ROOT / page).read_text(encoding="utf-8")


def commands_in(page: str) -> list[list[str]]:
    """Every call of the command that a page shows, as words."""
    text = text_of(page)
    shown = re.findall(r"(?:\$ |→ |`|\$\()(stayfast [^`\n#)]+)", text)
    return [re.split(r"  +| \(| -- | [|>] ", call)[0].split()[1:] for call in shown]


@pytest.mark.parametrize("page", PAGES)
def test_every_command_on_a_page_exists(page):
    """Commands and options that a reader is shown are there."""
    for words in commands_in(page):
        at: click.Command = cli
        for word in words:
            if word.startswith("-"):
                known = {option for one in (at, cli) for p in one.params for option in p.opts}
                assert word in {*known, "--help", "-"}, words
            elif isinstance(at, click.Group):
                assert word in at.commands, words
                at = at.commands[word]


def test_the_readme_shows_the_command_at_all():
    """The test above has something to look at."""
    assert len(commands_in("README.md")) > 10


@pytest.mark.parametrize("page", PAGES)
def test_every_target_of_make_on_a_page_exists(page):
    """`make …` does what a page says it does."""
    targets = set(
        re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    )

    assert set(re.findall(r"(?:\$ |`)make ([a-z-]+)", text_of(page))) <= targets


# the page of the specifications names tests by their place below tests/, and its own test holds it up to date
@pytest.mark.parametrize("page", [page for page in PAGES if page != "docs/specifications.md"])
def test_every_file_on_a_page_exists(page):
    """Links into the repository, and files named in it, lead somewhere."""
    text = text_of(page)
    links = re.findall(r"\]\((?!http)([^)#]+)\)|href=\"(?!http)([^\"]+)\"", text)
    named = re.findall(
        r"`((?:engine|transports|storage|interfaces|diagrams|testing|tests)/[\w/.]+)`", text
    )

    beside = (ROOT / page).parent
    made = {ROOT / f"docs/reference/{name}.md" for name in MADE_AS_A_SITE}
    for name in [a or b for a, b in links]:
        target = Path(os.path.normpath(beside / name))
        assert target.exists() or target in made, name
    for name in named:
        assert (ROOT / name).exists(), name


def shown_to_readers() -> list[Path]:
    """Every file of the repository whose text a reader, or a user of the command, gets to see."""
    folders = ("diagrams", "engine", "examples", "interfaces", "storage", "testing", "transports")
    found = [path for folder in folders for path in (ROOT / folder).rglob("*")]
    found += ROOT.glob("*.*")
    kinds = {".py", ".md", ".toml", ".txt", ".html"}
    return sorted(path for path in found if path.is_file() and path.suffix in kinds)


def install_lines() -> list[tuple[str, str]]:
    """Every install command that is shown anywhere: its file, and what it installs."""
    call = re.compile(
        r"\b(?:pip3?|pipx|uv pip|uv tool)\s+(?:install|inject|run)"
        r"((?:\s+-[\w-]+)*)\s+('[^'\n]*'|\{[^}\n]*\}|[^\s`'\",;)]+)"
    )
    return [
        (path.relative_to(ROOT).as_posix(), match[2].strip("'"))
        for path in shown_to_readers()
        for match in call.finditer(path.read_text(encoding="utf-8"))
    ]


OTHER_PACKAGES = {
    ("interfaces/extras.py", ".[{extra}]"),
    ("transports/plugins.py", "{package.split(maxsplit=1)[0]}"),
    ("interfaces/http_failure.py", "certifi"),
    ("interfaces/http_settings.py", "PySocks"),
}
"""Install lines for packages of other people, which are on the index, and the one for any extra."""


def test_what_is_shown_to_be_installed_can_be_installed():
    """Stayfast is not on the index: every line installs from a clone, with extras that exist."""
    project = tomllib.loads(text_of("pyproject.toml"))["project"]
    extras = set(project["optional-dependencies"])
    ours = [line for line in install_lines() if line not in OTHER_PACKAGES]

    for file, target in ours:
        found = re.fullmatch(r"\.(?:\[([\w,-]+)\])?", target)
        assert found, f"{file} shows how to install {target!r}, which does not work"
        assert set((found[1] or "").split(",")) - {""} <= extras, file
    assert {file for file, _ in ours} >= {
        "README.md",
        "engine/summary_codec.py",
        "interfaces/cli/commands/demo.py",
        "interfaces/cli/help_topics.py",
        "storage/postgres/driver.py",
    }
    assert set(install_lines()) >= OTHER_PACKAGES


def test_a_library_that_is_missing_comes_with_an_extra_that_exists():
    """Whatever the code requires when it is used has an extra of this package."""
    extras = tomllib.loads(text_of("pyproject.toml"))["project"]["optional-dependencies"]
    call = re.compile(r"\brequire\(\"[\w.]+\", \"([\w-]+)\"\)")
    named = [name for path in shown_to_readers() for name in call.findall(path.read_text("utf-8"))]

    assert named
    assert set(named) <= set(extras)


def python_in(page: str) -> list[str]:
    """The Python a page shows."""
    return re.findall(r"```python\n(.*?)```", text_of(page), re.DOTALL)


@pytest.mark.parametrize("block", python_in("README.md"))
def test_the_python_in_the_readme_names_what_there_is(block):
    """Code on the page compiles, and imports only public names."""
    tree = ast.parse(block)
    names = [
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "stayfast"
        for alias in node.names
    ]
    methods = {
        node.func.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "service"
    }

    assert names
    assert set(names) <= set(stayfast.__all__)
    assert all(hasattr(stayfast.OAuthService, method) for method in methods)


def test_the_changelog_starts_with_what_is_not_released():
    """There is a place for the next line."""
    headings = re.findall(r"^## \[(.+?)\]", text_of("CHANGELOG.md"), re.MULTILINE)

    assert headings[0] == "Unreleased"
