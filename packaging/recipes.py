"""Fill the recipes for distributions with what is known only once a release is built.

A recipe is a file of a folder beside this one, with `@NAME@` where a value goes. None repeats the
version, the hash, the links or the summary of the project: those come from pyproject.toml and from
the sdist. The bounds of dependencies are written as each distribution writes them, and a test compares
them with pyproject.toml.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Any

from artefacts import ROOT, epoch, project

FOLDERS = ("conda", "container", "debian", "homebrew")

OF_HOMEBREW = ("certifi", "cffi", "cryptography", "pycparser")
"""Packages that Homebrew builds itself; its formula `cryptography` brings cffi and pycparser."""

LINUX_ONLY = ("jeepney", "secretstorage")
"""What `keyring` needs for the Secret Service, and on no other system."""


def write(out: Path, sha256: str, fetched: Sequence[Mapping[str, Any]]) -> None:
    """Write every recipe below ``out``.

    Args:
        out: The directory that gets one folder a distribution.
        sha256: The hash of the sdist.
        fetched: What pip fetched for the wheel (`install` of its report), the wheel included.
    """
    values = values_of_release(sha256, fetched)
    for folder in FOLDERS:
        for path in sorted((ROOT / "packaging" / folder).rglob("*")):
            if path.is_file():
                target = out / path.relative_to(ROOT / "packaging")
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(fill(path.read_text(encoding="utf-8"), values), encoding="utf-8")
                target.chmod(path.stat().st_mode & 0o755)


def values_of_release(sha256: str, fetched: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """What each `@NAME@` in a recipe stands for."""
    about = project()
    name, version = about["name"], about["version"]
    return {
        "VERSION": version,
        "SHA256": sha256,
        "SDIST": f"https://files.pythonhosted.org/packages/source/{name[0]}/{name}/{name}-{version}.tar.gz",
        "SUMMARY": about["description"].rstrip("."),
        "HOMEPAGE": about["urls"]["Homepage"],
        "DOCUMENTATION": about["urls"]["Documentation"],
        "SOURCE": about["urls"]["Source"],
        "ISSUES": about["urls"]["Issues"],
        "CHANGELOG": about["urls"]["Changelog"],
        "DATE": format_datetime(datetime.fromtimestamp(epoch(), UTC)),
        "RESOURCES": resources(fetched),
        "CONSTRAINTS": "\n".join(
            sorted(
                f"{one['metadata']['name']}=={one['metadata']['version']}"
                for one in fetched
                if one["metadata"]["name"] != name
            )
        ),
    }


def fill(text: str, values: Mapping[str, str]) -> str:
    """Put each value in its place.

    Raises:
        KeyError: The recipe asks for a value that there is not.
    """
    return re.sub(r"@([A-Z0-9]+)@", lambda found: values[found[1]], text)


def resources(fetched: Sequence[Mapping[str, Any]]) -> str:
    """Write the stanzas `resource` of a Homebrew formula: every dependency with its hash, in order."""
    stanzas: list[str] = []
    for one in sorted(fetched, key=lambda one: str(one["metadata"]["name"]).lower()):
        name = str(one["metadata"]["name"]).lower()
        if name == "stayfast" or name in OF_HOMEBREW:
            continue
        url = one["download_info"]["url"]
        if not url.startswith(
            "https://"
        ):  # of a directory of this machine; this one is for everybody
            first, file = name[0], url.rpartition("/")[2]
            url = f"https://files.pythonhosted.org/packages/py3/{first}/{name}/{file}"
        if url.endswith(".whl") and not url.endswith("-none-any.whl"):
            raise ValueError(f"{name}: its wheel is for one platform ({url}); fetch its sdist")
        hashed = one["download_info"]["archive_info"]["hashes"]["sha256"]
        stanza = f'  resource "{name}" do\n    url "{url}"\n    sha256 "{hashed}"\n  end\n'
        if name in LINUX_ONLY:
            stanza = "  on_linux do\n" + re.sub(r"(?m)^", "  ", stanza).rstrip(" ") + "  end\n"
        stanzas.append(stanza)
    return "\n".join(stanzas).strip()
