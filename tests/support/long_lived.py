"""A program that lives on: for every line it reads, each of its accounts is refreshed once.

``long_lived.py PLACE THREADS``: the provider is in PLACE/c. With one thread the program has no other.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

from stayfast.interfaces.assembly import Assembly


def main(place: str, threads: int) -> None:
    """Refresh for as long as somebody asks."""
    own = Assembly.open(state_dir=f"{place}/s", config_dir=f"{place}/c", audit="none")

    def refresh(number: int) -> None:
        own.conductor.refresh.valid("demo", f"a{number}", force=True)

    pool = ThreadPoolExecutor(threads) if threads > 1 else None
    for _ in sys.stdin:
        if pool is None:
            refresh(0)
        else:
            list(pool.map(refresh, range(threads)))
        print("done", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
