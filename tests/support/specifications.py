"""The page that says where each section of a specification lives, and what tests it.

``python tests/support/specifications.py > docs/specifications.md`` writes it. The rows come from the
docstrings of the package: one that names ``RFC 7636 §4.1`` makes a row, and a section that stands
alone (``§4.1``) belongs to the specification that was named before it, or else to the one that its
module is about. A test belongs to a row if its text names the same section; else the tests that
import the module do.
"""

from __future__ import annotations

import ast
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
PACKAGES: Final = ("engine", "transports", "storage", "interfaces")
TITLES: Final = {
    "RFC 6749": "The OAuth 2.0 Authorization Framework",
    "RFC 6750": "Bearer Token Usage",
    "RFC 7009": "Token Revocation",
    "RFC 7515": "JSON Web Signature",
    "RFC 7517": "JSON Web Key",
    "RFC 7518": "JSON Web Algorithms",
    "RFC 7519": "JSON Web Token",
    "RFC 7523": "JWT Profile for Client Authentication and Authorization Grants",
    "RFC 7591": "Dynamic Client Registration",
    "RFC 7592": "Dynamic Client Registration Management",
    "RFC 7636": "Proof Key for Code Exchange",
    "RFC 7662": "Token Introspection",
    "RFC 8252": "OAuth 2.0 for Native Apps",
    "RFC 8414": "Authorization Server Metadata",
    "RFC 8628": "Device Authorization Grant",
    "RFC 8693": "Token Exchange",
    "RFC 8705": "Mutual-TLS Client Authentication and Certificate-Bound Access Tokens",
    "RFC 8707": "Resource Indicators",
    "RFC 9101": "JWT-Secured Authorization Request",
    "RFC 9126": "Pushed Authorization Requests",
    "RFC 9207": "Authorization Server Issuer Identification",
    "RFC 9396": "Rich Authorization Requests",
    "RFC 9449": "Demonstrating Proof of Possession",
    "RFC 9470": "Step Up Authentication Challenge",
    "RFC 9700": "Best Current Practice for OAuth 2.0 Security",
    "RFC 9728": "Protected Resource Metadata",
    "OpenID Connect Core": "OpenID Connect Core 1.0",
    "OpenID Connect Discovery": "OpenID Connect Discovery 1.0",
    "OpenID Connect RP-Initiated Logout": "OpenID Connect RP-Initiated Logout 1.0",
    "JARM": "JWT Secured Authorization Response Mode for OAuth 2.0",
}
"""The specifications that have rows."""
LOGIN: Final = ("login", "authenticate")
REACHED: Final = {
    "engine.oauth.userinfo": ("whoami", "identity"),
    "engine.flows.identify": ("whoami", "identity"),
    "engine.oauth.end_session": ("logout", "sign_out"),
    "engine.flows.logout": ("logout", "sign_out"),
    "engine.oauth.token_status": ("logout", "sign_out"),
    "engine.flows.refresh": ("refresh", "refresh_tokens"),
    "engine.flows.refresh_exchange": ("refresh", "refresh_tokens"),
    "engine.oauth.token_endpoint": ("token", "get_bearer_token"),
    "engine.oauth.tokens": ("token", "get_tokens"),
    "engine.oauth.request_proofs": ("token", "request_headers"),
    "engine.oauth.dpop": ("token", "request_headers"),
    "engine.oauth.www_authenticate": ("login", "auth"),
    "engine.oauth.metadata": ("provider", "authenticate"),
    "interfaces.kept_metadata": ("provider", "authenticate"),
    "engine.oauth.pasted": ("resume", "complete"),
    "interfaces.auth.bearer": ("exec", "auth"),
    "interfaces.auth.requests": ("exec", "auth"),
    "interfaces.auth.httpx": ("exec", "httpx_auth"),
    "interfaces.auth.mcp": ("mcp", "httpx_auth"),
}
"""The command and the method by which a module is reached; :data:`LOGIN` reaches all others."""
_GENERAL: Final = frozenset(
    {
        "engine.errors",
        "engine.storage_errors",
        "engine.ports",
        "engine.record",
        "engine.reasons",
        "engine.audit.events",
    }
)
"""Modules that everything uses: what they name, another module does."""
_NAMED: Final = re.compile(
    "(?P<spec>" + "|".join(re.escape(name) for name in sorted(TITLES, key=len, reverse=True)) + ")"
    r"|(?P<other>RFC \d{4})"
    r"|§\s?(?P<section>[0-9A-Z]+(?:\.[0-9]+)*)"
)


@dataclass(frozen=True, order=True)
class Section:
    """A section of a specification; ``number`` is empty for the whole of it."""

    spec: str
    number: str

    @property
    def key(self) -> tuple[int, tuple[tuple[int, str], ...]]:
        """What rows are sorted by: as the specification counts."""
        parts = tuple((int(p) if p.isdigit() else 0, p) for p in self.number.split("."))
        return list(TITLES).index(self.spec), parts


def named_in(text: str, about: str | None = None) -> Iterator[Section]:
    """The sections that ``text`` names; one that stands alone is of ``about`` to begin with."""
    spec = about
    for found in _NAMED.finditer(text):
        if found["section"] is None:
            spec = found["spec"]  # of another specification than these no section is a row
        elif spec is not None:
            yield Section(spec, found["section"])


@cache
def _docstrings(path: Path) -> tuple[str, ...]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    found = [ast.get_docstring(node) for node in ast.walk(tree) if isinstance(node, kinds)]
    return tuple(text for text in found if text)


def module_of(path: Path) -> str:
    """The name of a module below the package."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def rows() -> dict[Section, set[str]]:
    """The modules that each section lives in."""
    found: dict[Section, set[str]] = defaultdict(set)
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            if module_of(path) in _GENERAL:
                continue
            texts = _docstrings(path)
            about = (
                next((one["spec"] for one in _NAMED.finditer(texts[0]) if one["spec"]), None)
                if texts
                else None
            )
            for text in texts:
                for section in named_in(text, about):
                    found[section].add(module_of(path))
    return dict(sorted(found.items(), key=lambda row: row[0].key))


@cache
def _tests() -> dict[str, tuple[frozenset[Section], str]]:
    """What each test file names, and its text."""
    found: dict[str, tuple[frozenset[Section], str]] = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        if "node_modules" in path.parts:
            continue
        text = path.read_text(encoding="utf-8")
        about = next((one["spec"] for one in _NAMED.finditer(text) if one["spec"]), None)
        found[path.relative_to(ROOT).as_posix()] = frozenset(named_in(text, about)), text
    return found


def tests_of(section: Section, modules: Iterable[str]) -> list[str]:
    """The test files of a row: those that name the section, or else import one of ``modules``."""
    exact = [name for name, (named, _) in _tests().items() if section in named]
    if exact:
        return exact
    wanted = re.compile("|".join(rf"stayfast\.{re.escape(one)}\b" for one in sorted(modules)))
    importing = [name for name, (_, text) in _tests().items() if wanted.search(text)]
    about = [
        name
        for name, (named, _) in _tests().items()
        if any(one.spec == section.spec for one in named)
    ]
    return [name for name in importing if name in about] or about or importing


def page() -> str:
    """The page, as Markdown."""
    lines = [
        "# Specifications",
        "",
        "Where each section lives, what tests it, and how to reach it. Made from the docstrings by",
        "`make docs-tables`; do not edit it.",
    ]
    before = ""
    for section, modules in rows().items():
        if section.spec != before:
            before = section.spec
            number = f"{before}: " if before.startswith("RFC") else ""
            lines += ["", f"## {number}{TITLES[before]}", ""]
            lines += ["| section | module | tests | command | library |", "|---|---|---|---|---|"]
        where = sorted(modules)
        tests = tests_of(section, modules)
        shown = [f"`{name.removeprefix('tests/')}`" for name in tests[:3]]
        more = f" and {len(tests) - 3} more" if len(tests) > 3 else ""
        reached = dict.fromkeys(REACHED.get(one, LOGIN) for one in where)
        commands = ", ".join(dict.fromkeys(f"`stayfast {command}`" for command, _ in reached))
        calls = ", ".join(dict.fromkeys(f"`{call}`" for _, call in reached))
        named = "<br>".join(f"`{one}`" for one in where)
        lines.append(
            f"| §{section.number} | {named} | {'<br>'.join(shown)}{more} | {commands} | {calls} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(page())
