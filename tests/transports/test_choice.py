"""Which transport suits which machine: one case a row, in every row's own right."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from stayfast.engine.oauth.provider import OAuthConfig
from stayfast.transports.choice import TABLE, Environment, choose

CONFIG = OAuthConfig(service_name="x", client_id="y", auth_url="https://x.test/a")
VSCODE = {"VSCODE_IPC_HOOK_CLI": "/run/vscode.sock", "BROWSER": "/vscode/bin/browser.sh"}
SSH = {"SSH_CONNECTION": "10.0.0.1 5 10.0.0.2 22"}
SCREEN = {"DISPLAY": ":0"}
DOCKER = frozenset({"/.dockerenv"})
XDG = frozenset({"xdg-open"})

ROWS = [
    # what the user says comes first, whatever the machine is like
    (1, {"via": "device"}, "device", False),
    (1, {"via": "loopback", "terminal": False, "files": DOCKER}, "loopback", False),
    (1, {"via": "drop", "variables": SSH}, "drop", False),
    # nobody is there
    (2, {"terminal": False}, "manual", True),
    (2, {"variables": {"CI": "1"}, "device": True}, "device", True),
    (2, {"variables": {"CI": "true", **SCREEN}, "programs": XDG}, "manual", True),
    (2, {"variables": {"DEBIAN_FRONTEND": "noninteractive"}}, "manual", True),
    (2, {"terminal": False, "platform": "darwin"}, "manual", True),
    (3, {"authorization": False, "device": True}, "device", False),
    (3, {"authorization": False, "device": True, "platform": "darwin"}, "device", False),
    (4, {"platform": "darwin"}, "loopback", False),
    (4, {"platform": "win32", "device": True}, "loopback", False),
    (9, {"platform": "darwin", "variables": SSH}, "manual", False),
    (5, {"release": "5.15.90.1-microsoft-standard-WSL2"}, "loopback", False),
    (5, {"variables": {"WSL_DISTRO_NAME": "Debian"}, "device": True}, "loopback", False),
    (9, {"variables": {"WSL_DISTRO_NAME": "Debian", **SSH}}, "manual", False),
    # an editor on another machine: does its port reach the browser?
    (6, {"variables": {**VSCODE, **SSH}}, "loopback", False),
    (6, {"variables": {**VSCODE, "REMOTE_CONTAINERS": "true"}, "files": DOCKER}, "loopback", False),
    (6, {"variables": VSCODE}, "manual", False),
    (6, {"variables": {**VSCODE, **SSH, "SSH_TTY": "/dev/pts/0"}}, "manual", False),
    (7, {"variables": {"CODESPACES": "true"}, "device": True}, "device", False),
    (7, {"variables": {"CODESPACES": "true", **VSCODE}}, "manual", False),
    (8, {"files": DOCKER}, "manual", False),
    (8, {"files": frozenset({"/run/.containerenv"}), "device": True}, "device", False),
    (8, {"files": frozenset({"/proc/1/cgroup"})}, "manual", False),
    (8, {"variables": {"container": "podman"}}, "manual", False),
    (8, {"variables": {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, "device": True}, "device", False),
    (13, {"files": DOCKER, "variables": SCREEN, "programs": XDG}, "loopback", False),
    (9, {"variables": {"SSH_TTY": "/dev/pts/0"}}, "manual", False),
    (9, {"variables": SSH, "device": True}, "manual", False),
    (10, {"device": True}, "device", False),
    (10, {"programs": XDG}, "manual", False),
    (11, {"variables": {**SSH, "DISPLAY": "localhost:10.0"}, "programs": XDG}, "manual", False),
    (12, {"variables": {**SCREEN, "BROWSER": "w3m"}, "programs": XDG}, "manual", False),
    (12, {"variables": {**SCREEN, "BROWSER": f"/usr/bin/lynx %s{os.pathsep}links2"}}, "manual", False),
    (12, {"variables": SCREEN}, "manual", False),
    (13, {"variables": SCREEN, "programs": XDG}, "loopback", False),
    (13, {"variables": {"WAYLAND_DISPLAY": "wayland-0"}, "programs": XDG}, "loopback", False),
    (13, {"variables": {**SCREEN, "BROWSER": f"w3m{os.pathsep}firefox %s"}}, "loopback", False),
    (13, {"variables": {"BROWSER": "my-browser"}}, "loopback", False),
    # switched off is not set
    (13, {"variables": {"CI": "false", **SCREEN}, "programs": XDG}, "loopback", False),
    (13, {"variables": {"CI": "", "SSH_TTY": "", **SCREEN}, "programs": XDG}, "loopback", False),
]  # fmt: skip


@pytest.mark.parametrize(("row", "facts", "transport", "two_step"), ROWS)
def test_the_choice(row: int, facts: dict[str, object], transport: str, two_step: bool) -> None:
    """Each row of the table decides where it should, with its reason."""
    chosen = choose(Environment(**facts))  # type: ignore[arg-type]  # a table of facts
    assert (chosen.row, chosen.transport, chosen.two_step) == (row, transport, two_step)
    assert chosen.reason


def test_every_row_is_tried() -> None:
    """The cases above name every row of the table, and the last row always matches."""
    assert {row for row, *_ in ROWS} == {row.number for row in TABLE}
    assert [row.number for row in TABLE] == sorted({row.number for row in TABLE})
    assert TABLE[-1].test(Environment())


@pytest.mark.parametrize(
    ("settings", "transport"),
    [
        ({}, "loopback"),
        ({"redirect_uri": "urn:ietf:wg:oauth:2.0:oob", "shows_code": True}, "manual"),
        ({"redirect_uri": "", "shows_code": True}, "manual"),
        ({"redirect_uri": "https://p.test/code", "shows_code": True}, "manual"),
        ({"redirect_https_only": True, "device_url": "https://p.test/d"}, "device"),
    ],
)
def test_no_listener_where_no_browser_comes_back(settings: dict[str, Any], transport: str) -> None:
    """Not where the provider's page shows the code, and not where it takes https addresses alone."""
    config = OAuthConfig(
        service_name="x", client_id="y", auth_url="https://p.test/a", token_url="https://p.test/t",
        **settings,
    )  # fmt: skip
    found = Environment.current(config, None, {"DISPLAY": ":0", "BROWSER": "my-browser"})
    assert choose(replace(found, terminal=True)).transport == transport


def test_a_link_to_a_text_browser_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands in for the browser of a system without windows is seen through."""
    text, graphical = tmp_path / "w3m", tmp_path / "gui"
    for program in (text, graphical):
        program.write_text("#!/bin/sh\n")
        program.chmod(0o700)
    (tmp_path / "x-www-browser").symlink_to(text)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.delenv("BROWSER", raising=False)
    assert not Environment.current(CONFIG).browser
    (tmp_path / "firefox").symlink_to(graphical)
    assert Environment.current(CONFIG).browser


@pytest.mark.parametrize("named", ["flag", "variable", "setting"])
def test_what_is_asked_for_has_an_order(named: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The flag stands above the variable, and that above the provider's setting."""
    config = OAuthConfig(service_name="x", client_id="y", auth_url="https://x.test/a", via="device")
    monkeypatch.delenv("STAYFAST_VIA", raising=False)
    if named != "setting":
        monkeypatch.setenv("STAYFAST_VIA", "loopback")
    flag = "paste" if named == "flag" else None
    chosen = choose(Environment.current(config, flag))
    wanted = {"flag": "manual", "variable": "loopback", "setting": "device"}[named]
    assert (chosen.row, chosen.transport) == (1, wanted)
