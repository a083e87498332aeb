"""A program in asyncio that refreshes a login: ``async_caller.py PLACE``.

Its login is in PLACE/s and its provider in PLACE/c; the courier is the one the environment names.
"""

from __future__ import annotations

import asyncio
import sys

from stampede import assembly
from stayfast import AsyncOAuthService, OAuthService


async def main(place: str) -> None:
    """Await a refresh."""
    service = AsyncOAuthService(OAuthService(assembly=assembly(place)))
    await service.refresh_tokens("demo")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
