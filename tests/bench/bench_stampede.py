"""Processes that find one token expired at once, against one that finds it so alone."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import stampede
from caller_kills import approve
from command import World
from instant import InstantTransport
from stayfast.testing.authorization_server import AuthorizationServer
from stayfast.testing.misbehaviour import Fault, FaultKind

ROUNDS = 9
ENVIRON = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def crowd(place: str, size: int) -> float:
    """The median seconds of a round."""
    done = subprocess.run(
        [sys.executable, stampede.__file__, place, str(size), str(ROUNDS)],
        env=ENVIRON, stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    return statistics.median(json.loads(done.stdout)["rounds_ms"]) / 1e3


with AuthorizationServer() as server, tempfile.TemporaryDirectory() as place:
    World(Path(place), server).config.rename(f"{place}/c")
    assembly = stampede.assembly(place)
    assembly.conductor.sign_in(assembly.config("demo"), InstantTransport(approve))
    server.misbehave("token", Fault(kind=FaultKind.SLOW, seconds=0.1), times=None)
    for size in (8, 32, 100):
        alone = crowd(place, 1)
        before = server.counts["token:refresh_token"]
        together = crowd(place, size)
        requests = (server.counts["token:refresh_token"] - before) / ROUNDS
        print(
            f"{f'{size} processes at one expiry, {requests:g} request':<52}"
            f" {alone * 1e3:9.1f} ms {together * 1e3:9.1f} ms   x {together / alone:.2f}",
            flush=True,
        )
