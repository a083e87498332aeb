"""A program with threads that refreshes a login: ``threaded_caller.py PLACE``.

Its login is in PLACE/s and its provider in PLACE/c; the courier is the one the environment names.
"""

from __future__ import annotations

import sys
import threading

from stampede import assembly


def main(place: str) -> None:
    """Refresh while another thread is alive, as in a web server."""
    threading.Thread(target=threading.Event().wait, daemon=True).start()
    assembly(place).conductor.refresh.valid("demo", "default", force=True)


if __name__ == "__main__":
    main(sys.argv[1])
