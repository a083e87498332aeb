"""Where the command begins: the cached token first, everything else after."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run ``stayfast``."""
    arguments = sys.argv[1:]
    if arguments[:1] == ["token"]:
        from .fast import cached_token, print_and_leave  # noqa: PLC0415  before anything heavy

        text = cached_token(arguments[1:], os.environ)
        if text is not None:
            print_and_leave(text)
    from .main import main as whole_command  # noqa: PLC0415  click, rich, requests: 300 ms

    whole_command()
