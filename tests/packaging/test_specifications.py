"""The page of specifications: every section that the docstrings name has a test, and a way to reach it."""

from __future__ import annotations

import specifications
from specifications import LOGIN, REACHED, ROOT, Section, named_in
from stayfast.interfaces.cli.main import cli
from stayfast.interfaces.service import OAuthService


def test_no_row_is_without_a_test() -> None:
    """A section that a docstring promises is tried somewhere."""
    untested = [
        section
        for section, modules in specifications.rows().items()
        if not specifications.tests_of(section, modules)
    ]
    assert untested == []


def test_the_page_is_fresh() -> None:
    """`make docs-tables` writes it; a docstring that names a new section changes it."""
    kept = (ROOT / "docs" / "specifications.md").read_text(encoding="utf-8")
    assert kept == specifications.page()


def test_what_reaches_a_row_exists() -> None:
    """Each command and each call of the page is there."""
    for command, call in {LOGIN, *REACHED.values()}:
        assert command in cli.commands
        assert hasattr(OAuthService, call)
    for module in REACHED:
        assert (ROOT / f"{module.replace('.', '/')}.py").is_file()


def test_a_section_belongs_to_what_was_named_before_it() -> None:
    """Also one that stands alone; one of a specification without rows makes none."""
    text = "As RFC 7636 §4.1, §4.2 has it (RFC 5869 §2.3); OpenID Connect Core §5.3."
    assert list(named_in(text)) == [
        Section("RFC 7636", "4.1"),
        Section("RFC 7636", "4.2"),
        Section("OpenID Connect Core", "5.3"),
    ]
    assert list(named_in("see §2", "RFC 7009")) == [Section("RFC 7009", "2")]
    assert list(named_in("see §2")) == []
