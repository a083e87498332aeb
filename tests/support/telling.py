"""Copies the log of a vault into a file beside it, by a process of its own: ``telling.py PLACE``."""

from __future__ import annotations

import sys
from contextlib import suppress

from stayfast.engine.errors import StayfastError
from stayfast.interfaces.audit.file import AuditFile
from transitions_of import vault_in


def main(place: str) -> int:
    """Do it; errors of ours are said, and are no failure."""
    with suppress(StayfastError, OSError):
        AuditFile(f"{place}/audit.jsonl", vault_in(place)).catch_up()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
