"""One refresh, or one exchange of a code, by a process of its own: ``sending.py PLACE [CALLBACK]``.

``STAYFAST_STORE`` names its storage, and with ``OTHER_THREADS`` another thread is alive, as in a web
server.
"""

from __future__ import annotations

import os
import sys
import threading

import stampede
from stayfast.engine.errors import StayfastError


def main(place: str, callback: str = "") -> int:
    """Do it and say so, or say which error of ours it met."""
    if os.environ.get("OTHER_THREADS"):
        threading.Thread(target=threading.Event().wait, daemon=True).start()
    assembly = stampede.assembly(place)
    try:
        if callback:
            assembly.conductor.answer(callback)
        else:
            assembly.conductor.refresh.valid("demo", "default", force=True)
    except StayfastError as error:
        print("refused", error.code, flush=True)
        return 0
    print("done", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
