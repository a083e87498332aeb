"""``python -m stayfast``: the command."""

from __future__ import annotations

from .interfaces.cli.entry import main

if __name__ == "__main__":
    main()
