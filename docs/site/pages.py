"""Pages of the site that stand elsewhere in the repository, or are made from the code.

A page of the repository links to files of the repository. On the site such a link leads to the page
that the file has here; of a file that has none, only its name is left.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mkdocs.structure.files import File
from stayfast.engine.result import ErrorCode
from stayfast.engine.table import TABLE, State
from stayfast.interfaces.cli.error_pages import PAGES, exit_code_of, markdown_of
from stayfast.interfaces.cli.help_topics import TOPICS
from stayfast.interfaces.cli.terminal.pages import WIDEST, folded

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

ROOT: Final = Path(__file__).resolve().parents[2]
BORROWED: Final = {
    "reference/security.md": "SECURITY.md",
    "reference/changelog.md": "CHANGELOG.md",
    "reference/contributing.md": "CONTRIBUTING.md",
    "reference/formats.md": "storage/FORMAT.md",
    "reference/comparison.md": "examples/README.md",
}
"""Pages that are files of the repository, by their place on the site."""
_MACHINE: Final = (
    "Every login is in one of these states. The picture and the table are made from the table in"
    " `engine/table.py`, which is the only code that changes a state. Every transition is saved before its"
    " effect, together with one line of the audit log."
)
_REFERENCE: Final = re.compile(r":(?:class|meth|data|attr|func|mod|exc|obj):<code>([^<]+)</code>")
_LINK: Final = re.compile(r"(!?)\[([^\]]+)\]\((?!https?:|#)([^)#\s]+)(#[^)\s]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are no files below ``docs``."""
    made = {place: (ROOT / source).read_text("utf-8") for place, source in BORROWED.items()}
    made |= generated()
    for place, text in made.items():
        files.append(File.generated(config, place, content=text))
    files.append(
        File.generated(
            config, "reference/login.svg", content=(ROOT / "diagrams/login.svg").read_text("utf-8")
        )
    )
    return files


def on_page_markdown(markdown: str, *, page: object, files: Files, **_: object) -> str:
    """``markdown`` with links that lead somewhere on this site."""
    here = page.file.src_uri  # type: ignore[attr-defined]
    source = BORROWED.get(here, f"docs/{here}")

    def link(match: re.Match[str]) -> str:
        mark, text, target, anchor = match[1], match[2], match[3], match[4] or ""
        named = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
        place = _on_site(named)
        if files.get_file_from_path(place) is None:
            if not (ROOT / named).exists():
                return match[0]  # the strict build says that it leads nowhere
            return text if "`" in text else f"`{text}`"
        relative = posixpath.relpath(place, posixpath.dirname(here) or ".")
        return f"{mark}[{text}]({relative}{anchor})"

    return _LINK.sub(link, markdown)


def on_page_content(html: str, **_: object) -> str:
    """``html`` of docstrings, with their references as names, and as links where the page explains them."""

    def reference(match: re.Match[str]) -> str:
        target = match[1]
        name = target.lstrip("~.").rpartition(".")[2]
        shown = (
            f"<code>{name}</code>"
            if target[0] in "~."
            else f"<code>{target.removeprefix('stayfast.')}</code>"
        )
        anchor = f"stayfast.{target.lstrip('~.').removeprefix('stayfast.')}"
        return f'<a href="#{anchor}">{shown}</a>' if f'id="{anchor}"' in html else shown

    return _REFERENCE.sub(reference, html)


def _on_site(named: str) -> str:
    """The place on the site of a file of the repository."""
    borrowed = {source: place for place, source in BORROWED.items()}
    if named in borrowed:
        return borrowed[named]
    if named == "README.md":
        return "index.md"
    if named == "diagrams/login.svg":
        return "reference/login.svg"
    if named == "diagrams/table.md":
        return "reference/machine.md"
    return named.removeprefix("docs/")


def generated() -> dict[str, str]:
    """The pages that are made from the code."""
    lines = ["# Errors", "", "| code | exit code | meaning |", "| --- | --- | --- |"]
    lines += [
        f"| [{code.value}]({code.value}.md) | {exit_code_of(code)} | {PAGES[code].meaning} |"
        for code in ErrorCode
    ]
    lines += [
        "",
        "## Exit codes of the command",
        "",
        "```text",
        folded(TOPICS["exit-codes"](), WIDEST),
        "```",
    ]
    errors = {f"reference/errors/{code.value}.md": markdown_of(code) for code in ErrorCode}
    return {
        "reference/errors/index.md": "\n".join(lines) + "\n",
        **errors,
        "reference/configuration.md": configuration(),
        "reference/machine.md": machine(),
    }


def configuration() -> str:
    """Variables and files."""
    return (
        "# Configuration and files\n\nFor everybody who sets something once. Every option of every command, and its"
        " variable, is in the [list of commands](../command.md).\n\n## Variables\n\n```text\n"
        f"{folded(TOPICS['environment'](), WIDEST)}\n```\n\n## Files\n\n```text\n{folded(TOPICS['files'](), WIDEST)}\n```\n\n"
        "`STAYFAST_STATE_DIR` and `STAYFAST_CONFIG_DIR` name other directories. To undo everything: sign out with"
        " `stayfast logout --all`, take back helpers with `stayfast setup KIND --undo`, and remove both"
        " directories.\n\n## Where logins are kept\n\n```text\n"
        f"{folded(TOPICS['storage'](), WIDEST)}\n```\n"
    )


def machine() -> str:
    """The picture, the table, and each state in words."""
    parts = [
        "# The machine",
        _MACHINE,
        "![The states of a login](login.svg)",
        "## All transitions",
        (ROOT / "diagrams/table.md").read_text("utf-8").strip(),
    ]
    for state in State:
        rows = [row for row in TABLE if row.source is state]
        parts.append(f"## {state.value}")
        parts.append(
            "\n".join(
                f"- `{row.trigger.value}` to `{row.dest.value}`: {row.meaning}" for row in rows
            )
        )
    return "\n\n".join(parts) + "\n"
