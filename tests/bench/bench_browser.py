"""A login until the browser is started, against an interpreter that only imports the same modules.

Both in processor time: that of the login is what the kernel has counted for its threads when the browser
starts, which is a script here that notes it and then goes on as a user.
"""

import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from command import World
from processes import ROUNDS, installed
from ratios import measured
from stayfast.testing.authorization_server import AuthorizationServer

LOGIN = ("login", "demo", "--new", "--via", "loopback")
LISTING = f"""
import os, sys
def look(event, args):
    if event == "subprocess.Popen":
        print(*sys.modules, file=sys.__stdout__, flush=True)
        os._exit(0)
sys.addaudithook(look)
sys.argv[:] = ["stayfast", *{LOGIN!r}]
from stayfast.interfaces.cli.entry import main
main()
"""
# the same threshold of the collector as the command has, and nothing cleared up, which no login has done by then
IMPORTING = """
import gc, importlib, os, sys
gc.set_threshold(50_000)
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except ImportError:  # made by another module, and no file
        pass
os._exit(0)
"""
BROWSER = """\
#!/bin/sh
cat /proc/$PPID/task/*/schedstat > {place}/noted
exec {python} -m stayfast.testing.user_agent approve "$1"
"""

with tempfile.TemporaryDirectory() as name, AuthorizationServer() as server:
    place, python = Path(name), installed()
    command = str(Path(python).with_name("stayfast"))
    browser = place / "browser"
    browser.write_text(BROWSER.format(place=place, python=sys.executable))
    browser.chmod(0o700)
    environ = {**World(place / "world", server).environ, "BROWSER": f"{browser} %s"}

    def run(*words: str) -> str:
        done = subprocess.run(words, env=environ, check=True, capture_output=True, text=True)
        return done.stdout

    modules = run(python, "-c", LISTING).split()

    def imports() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        run(python, "-c", IMPORTING, *modules)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    def to_the_browser() -> float:
        run(command, *LOGIN)
        noted = (place / "noted").read_text().splitlines()
        return sum(int(line.split()[0]) for line in noted) / 1e9

    if os.path.exists("/proc/self/schedstat"):
        measured("a login's browser opened, against its imports", imports, to_the_browser, ROUNDS)
    else:
        print("left out, since this system counts no time of threads: a login's browser opened")
