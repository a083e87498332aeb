"""One refresh, or one exchange of a code, by a process of its own: ``sending.py PLACE [CALLBACK]``."""

from __future__ import annotations

import sys

from stayfast.engine.errors import StayfastError
from stayfast.interfaces.assembly import Assembly


def main(place: str, callback: str = "") -> int:
    """Do it and say so, or say which error of ours it met."""
    assembly = Assembly.open(state_dir=f"{place}/s", config_dir=f"{place}/c", store="file")
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
