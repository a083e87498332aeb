"""`token --format`: a line for a shell sets the variable to the token and does nothing else."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from stayfast.interfaces.cli.main import cli
from stayfast.interfaces.cli.token_forms import (
    quoted_for_fish,
    quoted_for_powershell,
    quoted_for_sh,
)

PRINTABLE = [chr(code) for code in range(0x20, 0x7F)]
"""What an access token may consist of (RFC 6749 appendix A.12)."""
ENDINGS = [
    "'",
    "\\'",
    "\\\\'",
    "'\\''",
    "'\"'\"'",
    '"',
    '\\"',
    "`",
    "$'",
    "''",
    "'''",
    "\\",
    "\\\\",
]
HOSTILE = [
    "a\\'\"; touch FISHED #",
    *(f"a{ending}; touch FISHED #" for ending in ENDINGS),
    *(f"a{ending}; touch FISHED; echo {ending}" for ending in ENDINGS),
    *(f"a{ending}" for ending in ENDINGS),
    *(f"{ending}a" for ending in ENDINGS),
    "$(touch FISHED)",
    "(touch FISHED)",
    "`touch FISHED`",
    "&& touch FISHED",
    "| touch FISHED",
    "a && touch FISHED || b",
    "<(touch FISHED)",
    "${HOME}$HOME{a,b}~*?[a-z]!!^%1",
    "-e",
    "--",
    "x  blanks inside  x",
    f"x{''.join(PRINTABLE)}",
    f"{''.join(reversed(PRINTABLE))}x",
    *PRINTABLE[1:],  # the variable counts without its blanks
]
SHELLS = [("env", "sh"), ("env", "bash"), ("env", "zsh"), ("fish", "fish")]
if shutil.which("pwsh"):  # Debian has no package of it, so nothing may depend on it
    SHELLS.append(("powershell", "pwsh"))


def line_of(form: str, token: str) -> str:
    """What `stayfast token --format FORM` prints for `token`."""
    answer = CliRunner().invoke(cli, ["token", "--format", form], env={"STAYFAST_TOKEN": token})
    assert answer.exit_code == 0, answer.output
    return answer.stdout.removesuffix("\n")


@pytest.mark.parametrize(("form", "shell"), SHELLS, ids=[shell for _, shell in SHELLS])
def test_a_shell_reads_back_the_token_and_runs_nothing(
    form: str, shell: str, tmp_path: Path
) -> None:
    """Every hostile token comes back unchanged, and the command hidden in it does not run."""
    found = shutil.which(shell)
    if found is None:
        if os.environ.get("STAYFAST_REQUIRE_ALL"):
            pytest.fail(f"{shell} is not installed")
        pytest.skip(f"{shell} is not installed")
    show = (
        "[Console]::Out.Write($env:ACCESS_TOKEN + [char]0)"
        if shell == "pwsh"
        else 'printf "%s\\\\0" "$ACCESS_TOKEN"'
    )
    lines = [f"{line_of(form, token)}\n{show}\n" for token in HOSTILE]
    script = tmp_path / ("lines.ps1" if shell == "pwsh" else "lines")
    script.write_text("".join(lines), encoding="utf-8")
    place = tmp_path / "place"
    place.mkdir()
    ran = subprocess.run(
        [found, str(script)],
        cwd=place,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )

    assert ran.stderr == ""
    assert ran.stdout.split("\0") == [*HOSTILE, ""]
    assert list(place.iterdir()) == []


def test_fish_escapes_backslashes_and_single_quotes() -> None:
    """Inside fish's single quotes these two, and no others, are escaped by a backslash."""
    assert quoted_for_fish("a\\'\"$b") == "'a\\\\\\'\"$b'"


@pytest.mark.parametrize("quote", ["'", "\u2018", "\u2019", "\u201a", "\u201b"])
def test_powershell_doubles_every_character_it_takes_for_a_single_quote(quote: str) -> None:
    """A typographic quote ends a PowerShell string as well as a straight one."""
    assert quoted_for_powershell(f"a{quote}; b") == f"'a{quote}{quote}; b'"
    assert quoted_for_powershell('a\\`$b"') == "'a\\`$b\"'"


@given(st.text())
def test_sh_is_quoted_as_the_library_does(text: str) -> None:
    """A word for a POSIX shell is what shlex.quote writes."""
    assert quoted_for_sh(text) == shlex.quote(text)
