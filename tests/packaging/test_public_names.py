from __future__ import annotations

import ast
import dataclasses
import inspect
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import stayfast
from stayfast.engine import errors, record
from stayfast.engine.errors import StayfastError

ROOT = Path(__file__).resolve().parents[2]
CONSTANTS = {"OAUTH_PROVIDERS", "TABLE", "Advice", "Result", "Source", "Via", "__version__"}
"""Public names that are values; what they are is said where they are defined."""


@pytest.mark.parametrize("name", stayfast.__all__)
def test_every_public_name_is_there_and_documented(name):
    """Each name can be had, and `help()` has something to say of it."""
    value = getattr(stayfast, name)

    if name not in CONSTANTS:
        assert inspect.getdoc(value)
        assert value.__name__ == name


@pytest.mark.parametrize("name", sorted(set(stayfast.__all__) - CONSTANTS))
def test_a_class_says_all_of_its_methods(name):
    """No public method of a public class goes without a docstring."""
    value = getattr(stayfast, name)
    if inspect.isclass(value):
        silent = [
            attribute
            for attribute, member in vars(value).items()
            if not attribute.startswith("_")
            and inspect.isfunction(member)
            and not inspect.getdoc(member)
        ]
        assert silent == []


@pytest.mark.parametrize("name", sorted(set(stayfast.__all__) - CONSTANTS))
def test_a_class_says_what_each_of_its_fields_means(name):
    """`help()` of a value explains whatever can be read from it."""
    value = getattr(stayfast, name)
    if dataclasses.is_dataclass(value):
        said = "\n".join(inspect.getdoc(kind) or "" for kind in value.__mro__)
        fields = [one.name for one in dataclasses.fields(value) if not one.name.startswith("_")]
        assert [one for one in fields if f"{one}:" not in said] == []


@pytest.mark.parametrize(
    "call",
    [
        name
        for name, method in vars(stayfast.OAuthService).items()
        if inspect.isfunction(method) and not name.startswith("_")
    ],
)
def test_a_call_says_what_its_arguments_mean(call):
    """Each argument of a call of the service, or the call that has the same ones, and its failures."""
    method = getattr(stayfast.OAuthService, call)
    said = inspect.getdoc(method) or ""
    named = list(inspect.signature(method).parameters)[1:]

    if len(named) > 2:
        assert [one for one in named if f"{one}:" not in said] == [] or ":meth:`auth`" in said
    assert "ailures:" in said or "Raises:" in said


def test_type_checkers_see_the_same_names():
    """The names imported for type checkers are the names there are, each from where it comes."""
    tree = ast.parse((ROOT / "__init__.py").read_text(encoding="utf-8"))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {
        alias.name: node.module
        for node in ast.walk(block)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }

    assert {*seen, "__version__"} == {*stayfast.__all__, *stayfast._WITH_AN_EXTRA}
    for name, module in seen.items():
        home = next(
            (home for home, names in stayfast._HOMES.items() if name in names), "engine.errors"
        )
        assert module == home


def test_a_name_that_needs_an_extra_is_said_by_its_own_error_only():
    """`import *` works without the driver of PostgreSQL; whoever asks for its storage is told."""
    code = (
        "import sys; sys.modules['psycopg'] = None\nfrom stayfast import *\nimport stayfast\n"
        "try: stayfast.PostgresStorage\n"
        "except ConfigMissing as error: print(error.hint)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "postgres" in done.stdout


def test_every_error_is_public():
    """Whatever can be raised can be caught by a name from `stayfast`."""
    raised = {
        name
        for name, value in {**vars(errors), **vars(record)}.items()
        if inspect.isclass(value) and issubclass(value, StayfastError)
    }

    assert raised <= set(stayfast.__all__)


def test_names_are_listed_and_sorted():
    """`dir()` shows the names before they are loaded, and no name stands twice."""
    assert set(stayfast.__all__) <= set(dir(stayfast))
    assert len(stayfast.__all__) == len(set(stayfast.__all__))


@pytest.mark.parametrize(
    "how",
    [
        ("-c", "import pydoc, stayfast; print(pydoc.plain(pydoc.render_doc(stayfast)))"),
        ("-m", "pydoc", "stayfast"),
    ],
    ids=["help()", "pydoc"],
)
def test_help_of_the_package_is_short(how):
    """`help(stayfast)` is read at one sitting, and names every way in; each name has its own help."""
    done = subprocess.run([sys.executable, *how], capture_output=True, text=True, check=True)

    assert len(done.stdout.splitlines()) < 80
    for name in ("OAuthService", "AsyncOAuthService", "StayfastError", "commands", "__all__"):
        assert name in done.stdout


def test_a_name_there_is_not_is_an_attribute_error():
    """Asking for something else fails as with any module."""
    assert not hasattr(stayfast, "TABEL")
    with pytest.raises(ImportError):
        exec("from stayfast import TABEL", {})


def test_the_version_is_the_installed_one():
    """There is one version number, in pyproject.toml."""
    assert stayfast.__version__ == version("stayfast")


HEAVY = [
    "transitions", "requests", "urllib3", "keyring", "structlog", "click", "rich", "cryptography",
    "joserfc", "sqlite3", "json", "re", "enum", "typing", "pathlib", "argparse", "dataclasses",
]  # fmt: skip


def test_importing_stayfast_loads_nothing():
    """`import stayfast` costs no more than its own file."""
    code = f"""
import sys
before = set(sys.modules)
sys.path.insert(0, {str(ROOT / ".dev")!r})
import stayfast
assert stayfast.__name__ == "stayfast"
print(*sorted(set(sys.modules) - before))
print(*[name for name in {HEAVY} if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code],
        capture_output=True,
        text=True,
        check=True,
        timeout=180,
    )
    loaded, heavy = done.stdout.split("\n")[:2]

    assert loaded.split() == ["stayfast"]
    assert heavy.split() == []
