"""Every hint that is a command is one that exists: each place in the code that makes one is tried."""

from __future__ import annotations

import ast
import shlex
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import click
import pytest
import stayfast
from stayfast.engine.hints import Hint
from stayfast.interfaces.words import _SENTENCES, Words
from stayfast.testing.storage_contract import finished
from tour import parse_only

ROOT = Path(stayfast.__file__).parent
FOLDERS = ("engine", "transports", "storage", "interfaces", "diagrams")
SAMPLES = {"--via": "device", "--grant": "client-credentials"}
"""What stands for a value that only a run knows, behind these options; elsewhere a name."""

OPTIONS = {"kind": "git", "option": "--client-secret-file"}
"""What stands for a word of one kind that only a run knows, by the name of its variable."""

LISTS = {
    "more": ["--provider", "acme", "--url", "https://acme.dev"],
    "challenged": ["--challenge", "Bearer"],
    "words[:words.index(word)]": [],
    "similar": ["status"],
    "hint.options": [],
    "options": ["--via", "manual", "--par", "required"],
    "kept": ["--grant", "client-credentials"],
    "named": [],
    "given": ["--client-id", "cid"],
    "blanks": ["--set", "domain=acme.okta.com"],
    "words_again(setting, *words)": ["acme", "--set", "refresh_rotates=yes"],
    "secret": ["--client-secret-file", "FILE"],
    "further": ["--client-id", "ID"],
    "('--callback-url', '-') if pastes else ()": ["--callback-url", "-"],
}
"""What stands for a list of options, by the name of its variable; else a choice of transport."""


def made_in_the_code() -> dict[str, Hint]:
    """The hint of every call of ``Hint`` in the package, names in place of what only a run knows."""
    found: dict[str, Hint] = {}
    for folder in FOLDERS:
        for file in sorted((ROOT / folder).rglob("*.py")):
            if file.name == "hints.py":
                continue
            for node in ast.walk(ast.parse(file.read_text("utf-8"))):
                if isinstance(node, ast.Call) and (hint := _hint(node)) is not None:
                    where = f"{file.relative_to(ROOT)}:{node.lineno}"
                    found[where] = hint
    return found


def _hint(node: ast.Call) -> Hint | None:
    named = {str(word.arg): _value(word.value, "work") for word in node.keywords}
    match node.func:
        case ast.Name("Hint"):
            first, *rest = node.args
            if ast.unparse(first) == "hint.action":  # another hint in other words
                return None
            assert isinstance(first, ast.Constant), ast.unparse(node)
            words = _words(rest)
            return Hint(str(first.value), *words, **named)
        case ast.Attribute(ast.Name("Hint"), "sign_in"):
            return Hint.sign_in(replace(finished("acme"), account="work"), *_words(node.args[1:]))
        case _:
            return None


def _words(nodes: list[ast.expr]) -> list[Any]:
    words: list[Any] = []
    for node in nodes:
        if isinstance(node, ast.Starred):
            words += LISTS.get(ast.unparse(node.value), ["--via", "device"])
        else:
            words.append(_value(node, SAMPLES.get(words[-1] if words else "", "acme")))
    return words


def _value(node: ast.expr, sample: str) -> Any:
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name) and node.id in OPTIONS:
        return OPTIONS[node.id]
    if isinstance(node, ast.JoinedStr) and ast.unparse(node).startswith(("f'--", 'f"--')):
        return "--auth-url"  # the option of a member
    return sample


HINTS = made_in_the_code()


def test_the_code_has_hints():
    """The search finds what it is for."""
    assert len(HINTS) > 100


@pytest.mark.parametrize("where", HINTS)
def test_a_hint_is_a_line_of_the_command(where, tmp_path, monkeypatch):
    """The command and each option of a hint exist, and its line lacks nothing."""
    (tmp_path / "FILE").touch()
    monkeypatch.chdir(tmp_path)
    words = shlex.split(str(HINTS[where]))
    assert words[0] == "stayfast"

    if "--help" in words or "--version" in words:
        with pytest.raises(click.exceptions.Exit):
            parse_only(words[1:])
    else:
        parse_only(words[1:])


@pytest.mark.parametrize("where", HINTS)
def test_a_hint_in_a_program_names_no_command_of_ours(where):
    """A program's user has neither the command nor its options: each hint has a sentence of its own."""
    hint = HINTS[where]
    said = Words("acme").hint(hint)

    assert hint.action in _SENTENCES or hint.action.split()[0] in _SENTENCES
    assert "--" not in said
    assert "stayfast" not in said.replace("stayfast.diagrams", "")
    assert not {" ".join(one) for one in pairwise(said.split())} & OURS
    assert said.members() == hint.members()


OURS = {hint.action for hint in HINTS.values() if " " in hint.action}


def test_no_hint_is_a_line_in_plain_text():
    """Whoever words a line of the command by hand keeps its data from programs, and this test."""
    plain = [
        f"{file.relative_to(ROOT)}:{node.value.lineno}"
        for folder in FOLDERS
        for file in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.keyword) and node.arg == "hint"
        if ast.unparse(node.value).lstrip("f")[1:].startswith("stayfast ")
    ]

    assert plain == []


@pytest.mark.parametrize("where", HINTS)
def test_a_hint_can_be_followed_as_it_stands(where):
    """No provider is left for the reader to fill in, and `provider edit` without a change is an error."""
    hint = HINTS[where]
    assert "PROVIDER" not in str(hint)
    assert hint.action != "provider edit" or hint.options
