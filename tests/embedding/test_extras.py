"""What needs an extra says so where the library is missing, and nothing else is lost."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from stayfast import (
    ConfigMissing,
    Failure,
    MemoryStorage,
    OAuthService,
    import_tokens,
    typer_commands,
)
from stayfast.interfaces.extras import require

EXTRAS = tomllib.loads((Path(__file__).resolve().parents[2] / "pyproject.toml").read_text())[
    "project"
]["optional-dependencies"]


def from_yaml(service: OAuthService, place: Path) -> Any:
    (place / "hosts.yml").write_text("github.com:\n    oauth_token: t\n")
    result = import_tokens(service, "github", place / "hosts.yml")
    assert isinstance(result, Failure)
    assert result.cause is not None
    raise result.cause


@pytest.mark.parametrize(
    ("library", "call"),
    [
        ("httpx", lambda service, place: service.httpx_auth("github")),
        ("typer", lambda service, place: typer_commands(service)),
        ("yaml", from_yaml),
    ],
)
def test_a_missing_library_is_named_with_the_extra_that_brings_it(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    library: str,
    call: Callable[[OAuthService, Path], Any],
) -> None:
    """The error names the library, and the hint an extra of this package that has it."""
    monkeypatch.setitem(sys.modules, library, None)
    service = OAuthService(app="acme", storage=MemoryStorage(), environ={}, audit="none")

    with pytest.raises(ConfigMissing) as caught:
        call(service, tmp_path)

    assert library in caught.value.message
    (extra,) = re.findall(r"(?<=extra )\w+|(?<=\.\[)\w+", str(caught.value.hint))
    assert any(library in requirement.lower() for requirement in EXTRAS[extra])


def test_a_library_that_is_there_is_no_error() -> None:
    """Nothing is said of it."""
    require("json", "")
