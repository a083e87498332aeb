"""The reference is that of the command: no row without the thing, and nothing without its row."""

from __future__ import annotations

import ast
import json
import os
import shlex
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import jsonschema
import pexpect
import pytest
from command import STAYFAST, World
from stayfast.engine.table import State
from stayfast.interfaces import catalogue
from stayfast.interfaces.catalogue.entry import INDEX, made_index
from stayfast.interfaces.cli.main import cli
from stayfast.interfaces.cli.reference.__main__ import files
from stayfast.interfaces.cli.reference.contract import ANSWERS, CODES, SHAPES, WITHOUT, schema_of
from stayfast.interfaces.cli.reference.tree import Entry, codes, entries
from stayfast.testing.storage_contract import finished, saved
from tour import NEIGHBOURS, asked, leaves, parse_only, toured

CATALOGUE = Path(catalogue.__file__).parent
ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
ENTRIES = list(entries())
COMMANDS = [one for one in ENTRIES if not one.below]


def named(one: Entry) -> str:
    return one.name


def test_the_pages_in_the_repository_are_up_to_date() -> None:
    """`make docs-tables` writes what is there, and leaves nothing of commands that are gone."""
    made = files()
    kept = {
        path.relative_to(DOCS).as_posix()
        for path in (
            DOCS / "command.md",
            DOCS / "providers.md",
            *DOCS.glob("schemas/*.schema.json"),
            *DOCS.glob("man/*"),
        )
    }
    assert kept == set(made)
    assert (CATALOGUE / INDEX).read_text("utf-8") == made_index()
    stale = [name for name, text in made.items() if (DOCS / name).read_text("utf-8") != text]
    assert stale == []


def test_every_command_answers_in_json_or_says_why_not() -> None:
    """No command is missing in the contract, none that is gone is left in it, and all take ``--json``."""
    every = set(leaves())
    assert every == {*ANSWERS, *WITHOUT}
    assert not {*ANSWERS} & {*WITHOUT}
    assert set(CODES) <= every
    assert {code for one in COMMANDS for code in one.codes} == {number for number, _ in codes()}
    without = [
        one.name
        for one in COMMANDS
        if not any("--json" in param.opts for param in one.command.params)
    ]
    assert without == ["stayfast completion"]


def schemas_in_the_code() -> set[str]:
    """The name of every answer that the command prints."""
    found: set[str] = set()
    for file in (ROOT / "interfaces" / "cli").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and node.args:
                called = ast.unparse(node.func).rpartition(".")[2]
                name = node.args[0]
                if called in {"answer_json", "document_of"} and isinstance(name, ast.Constant):
                    found.add(str(name.value))
                else:  # the name of an answer stands where the answer is made
                    assert called != "answer_json", file
    return found


def test_every_answer_has_its_schema() -> None:
    """Whatever the code prints has a schema, and every schema is of something that is printed."""
    assert schemas_in_the_code() == set(SHAPES)
    assert {name for names in ANSWERS.values() for name in names} == set(SHAPES) - {"error/1"}
    for name in SHAPES:
        jsonschema.Draft202012Validator.check_schema(schema_of(name))


def samples(option: click.Option) -> list[tuple[list[str], str]]:
    """The option as it is typed, and the same value for its variable."""
    long = next(name for name in option.opts if name.startswith("--"))
    if option.count:
        return [([long, long], "2")]
    if option.is_flag:
        given = [([long], "1")]
        return given if option.is_bool_flag else [([long], str(option.flag_value))]
    if isinstance(option.type, click.Choice):
        one = [str(choice) for choice in option.type.choices][-1]
        return [([long, one], one)]
    kinds = {
        "mark": "7d",
        "moment": "2026-03-04",
        "duration": "90s",
        "integer range": "7",
        "integer": "7",
        "float": "1.5",
        "path": "/x",
    }
    if isinstance(option.type, click.File):
        return [([long, "-"], "-")]
    known = kinds.get(option.type.name)
    for value in [known] if known else ["x", "k=v", "device", "https://x.test/"]:
        try:
            option.type_cast_value(click.Context(cli), (value,) if option.multiple else value)
        except click.BadParameter:
            continue
        return [([long, value], value)]
    raise AssertionError(long)


def arguments(command: click.Command) -> list[str]:
    """Values for the arguments that a command must have."""
    found: list[str] = []
    for param in command.params:
        if isinstance(param, click.Argument) and param.required:
            kind = param.type
            found.append(str(next(iter(kind.choices))) if isinstance(kind, click.Choice) else "x")
    return found


def required(one: Entry, but: click.Option) -> list[str]:
    """The other options that a command must have."""
    given: list[str] = []
    for option in one.command.params:
        if isinstance(option, click.Option) and option.required and option is not but:
            given += samples(option)[0][0]
    return given


def comparable(value: Any) -> Any:
    """A file that was opened twice is two objects."""
    if isinstance(value, tuple):
        return tuple(map(comparable, value))
    return type(value) if hasattr(value, "read") else value


def parsed(
    one: Entry,
    option: click.Option,
    words: list[str],
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    value: str | None,
) -> Any:
    with monkeypatch.context() as patch:
        if value is not None:
            patch.setenv(variable, value)
        words = [*words, *required(one, option)]
        context = one.command.make_context(
            one.name, [*words, *arguments(one.command)], parent=click.Context(cli, obj=None)
        )
        return comparable(context.params[str(option.name)])


@pytest.mark.parametrize("one", COMMANDS, ids=named)
def test_every_option_has_its_variable(one: Entry, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable is the option's own spelling, and gives what the option would."""
    for variable in [name for name in os.environ if name.startswith("STAYFAST_")]:
        monkeypatch.delenv(variable)
    for option in one.command.params:
        if not isinstance(option, click.Option) or not option.expose_value:
            continue
        long = next(name for name in option.opts if name.startswith("--"))
        spelt = "_".join(["STAYFAST", *one.path, long.strip("-")]).replace("-", "_").upper()
        named_by = [option.envvar] if isinstance(option.envvar, str) else list(option.envvar or ())
        assert spelt in named_by, (long, named_by)
        for words, value in samples(option):
            typed = parsed(one, option, words, monkeypatch, spelt, None)
            assert parsed(one, option, [], monkeypatch, spelt, value) == typed, (long, value)


@pytest.fixture
def tour(world: World, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    monkeypatch.setenv("HOME", str(world.place))
    return toured(world, monkeypatch)


def test_every_answer_is_as_its_schema_says(tour: list[Any]) -> None:
    """Each command runs with ``--json``: what it prints has a schema of its own, and its exit code is listed."""
    of = {one.name.removeprefix("stayfast "): one for one in COMMANDS}
    seen: set[str] = set()
    for answered in tour:
        row = of[answered.command]
        assert answered.code in row.codes, answered
        for line in answered.lines if answered.command in ANSWERS else ():
            name = str(line["schema"]).removeprefix("stayfast.")
            assert name in {*row.answers, "error/1"}, answered.command
            jsonschema.validate(line, schema_of(name))
            seen.add(name)
    assert {one.command for one in tour} >= set(ANSWERS)
    assert set(SHAPES) - seen == {"answer/1", "token.headers/1", "client-metadata/1"}


@pytest.mark.parametrize("kept", ["nothing", "accounts"])
def test_answers_of_odd_lines_are_as_their_schemas_say_too(
    world: World, monkeypatch: pytest.MonkeyPatch, kept: str
) -> None:
    """One answer a line; of an error one with a code and a hint, whose command can be parsed."""
    for name in [name for name in os.environ if name.startswith(("STAYFAST_", "SSH_"))]:
        monkeypatch.delenv(name)
    for name, value in {**world.environ, "HOME": str(world.place)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(world.place)
    if kept == "accounts":
        for account in ("home", "work", "dead"):
            state = State.REFRESH_FAILED if account == "dead" else State.AUTHENTICATED
            login = replace(finished("demo"), account=account, state=state)
            saved(world.assembly.storage, [login])
        assert asked("login", "demo", "--account", "third", "--start", "--via", "manual").code == 3
    for line in " | ".join(NEIGHBOURS.strip().splitlines()).split(" | "):
        answered = asked(*shlex.split(line))
        for document in answered.lines:
            name = str(document["schema"]).removeprefix("stayfast.")
            jsonschema.validate(document, schema_of(name))
            hint = document.get("hint") or ""
            assert hint or name != "error/1", line
            if hint.startswith("stayfast ") and not hint.endswith("--help"):
                parse_only(shlex.split(hint)[1:])
        assert answered.lines or not answered.code, line
        failed = [one["schema"] for one in answered.lines].count("stayfast.error/1")
        assert failed <= (1 if answered.code else 0), line


@pytest.mark.parametrize("name", [name for name in files() if name.startswith("man/")])
def test_a_manual_page_is_sound_roff(name: str) -> None:
    """Groff has no warning about it, and no character of ours was taken for a request."""
    groff = shutil.which("groff")
    if groff is None:
        pytest.skip("groff is not installed")
    done = subprocess.run(
        [groff, "-man", "-ww", "-Tutf8", "-P-cbou", str(DOCS / name)],
        capture_output=True, text=True, check=False, timeout=180,
    )  # fmt: skip
    assert done.returncode == 0
    assert done.stderr == ""
    assert "NAME" in done.stdout
    assert "EXIT STATUS" in done.stdout


def test_every_schema_file_is_json() -> None:
    """A tool that knows nothing of us reads each file and finds a schema in it."""
    for path in DOCS.glob("schemas/*.json"):
        jsonschema.Draft202012Validator.check_schema(json.loads(path.read_text("utf-8")))


@pytest.mark.parametrize(
    ("topic", "rows", "paged"),
    [("storage", 24, True), ("exit-codes", 24, False), ("exit-codes", 8, True)],
)
def test_a_long_page_is_shown_in_a_pager(world: World, topic: str, rows: int, paged: bool) -> None:
    """At a terminal that is too low for it; a short page, and a pipe, get the text itself."""
    pager = world.place / "pager"
    pager.write_text(f"#!/bin/sh\ncat > {world.place}/seen\n")
    pager.chmod(0o700)
    child = pexpect.spawn(
        STAYFAST, ["help", topic], dimensions=(rows, 80), timeout=180,
        env={**world.environ, "PAGER": str(pager), "TERM": "xterm"},
    )  # fmt: skip
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    assert (world.place / "seen").exists() is paged
    assert ("STAYFAST_STORE" if topic == "storage" else "wrong usage") in (
        (world.place / "seen").read_text() if paged else child.before.decode()
    )
