"""Files that are given as a checkpoint or a key and hold something else."""

from __future__ import annotations

import pytest
from command import World


@pytest.mark.parametrize("option", ["--checkpoint", "--forward-key"])
def test_a_file_that_is_not_text_is_a_clear_error(world: World, option: str) -> None:
    """Octets that are not UTF-8 are refused like any other text that is not what was asked for."""
    file = world.place / "given"
    file.write_bytes(b"head \xff sha256:00\n")
    done = world.run("audit", "verify", "--json", option, str(file))
    assert (done.code, done.json["code"]) == (1, "CONFIG_INVALID")
    assert done.json["hint"]
