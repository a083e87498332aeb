"""Our own version, as it is installed. ``stayfast --version`` prints it, so this loads next to nothing."""

from __future__ import annotations

import os

_kept: list[str] = []
_PLAIN = frozenset("0123456789.abcr")  # so a folder has it to the letter (PEP 427)


def app_version() -> str:
    """Our own version; ``unknown`` where we were copied rather than installed."""
    if not _kept:
        _kept.append(version_beside(_folder()) or _version_of_metadata())
    return _kept[0]


def _folder() -> str:
    """Where the package lies."""
    return os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def version_beside(folder: str) -> str | None:
    """The version in the name of the only ``.dist-info`` in ``folder`` that is ours.

    importlib.metadata reads the same name, and takes longer to load than the whole of Python.
    """
    try:
        names = os.listdir(folder)
    except OSError:  # in an archive
        return None
    found = [
        name[len("stayfast-") : -len(".dist-info")]
        for name in names
        if name.startswith("stayfast-") and name.endswith(".dist-info")
    ]
    return found[0] if len(found) == 1 and _PLAIN.issuperset(found[0]) else None


def _version_of_metadata() -> str:
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415  see above

    try:
        return version("stayfast")
    except PackageNotFoundError:
        return "unknown"
