"""The choice of a transport: a table of tests over the environment. The first row that matches wins.

A wrong choice can be mended in place: while a listener waits at a terminal, an address may be pasted
too. It must still be explained: each row has a reason, which the user sees, and a flag, a variable
or a provider setting overrides the table.

The order of the rows matters. What the user said comes first; then what makes waiting pointless;
then the special cases (WSL, editors, workspaces) before the general signs (container, SSH, no
screen) that they show as well.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from ..engine.oauth.client_authentication import can_use_browser
from .browser import is_text_browser, launchers, named_browsers
from .loopback.redirect import local_redirect
from .plugins import ALIASES
from .terminal.standard_input import at_terminal

if TYPE_CHECKING:
    from ..engine.oauth.provider import OAuthConfig

# Docker and Podman make these files; other runtimes are known by the control groups of process 1.
_CONTAINER_MARKS: Final = ("/.dockerenv", "/run/.containerenv")
_CONTROL_GROUPS: Final = "/proc/1/cgroup"
_CONTAINER_GROUPS: Final = ("docker", "kubepods", "containerd", "libpod", "/lxc")
_CI: Final = "CI"
_DEBIAN: Final = "DEBIAN_FRONTEND"
_UNATTENDED: Final = frozenset({_CI, _DEBIAN})
_SETTLED: Final = frozenset({1, 3})  # the rows of what was asked for, and of the only way there is
_OFF: Final = frozenset({"", "0", "false", "no", "off"})


@dataclass(frozen=True, kw_only=True)
class Environment:
    """The facts that the table tests.

    Attributes:
        variables: The environment variables.
        platform: As ``sys.platform``.
        release: The kernel's release name.
        terminal: Whether standard input is a terminal.
        files: Which of the marks of a container exist.
        programs: Which installed launchers open a window.
        via: The transport that a flag, a variable or the provider's setting names, or ``auto``.
        device: Whether the provider has a device authorization endpoint.
        authorization: Whether it has an authorization endpoint, and this client can use it.
        local: Whether its redirect address may be on this machine.
    """

    variables: Mapping[str, str] = field(default_factory=dict[str, str])
    platform: str = "linux"
    release: str = ""
    terminal: bool = True
    files: frozenset[str] = frozenset()
    programs: frozenset[str] = frozenset()
    via: str = "auto"
    device: bool = False
    authorization: bool = True
    local: bool = True

    @classmethod
    def current(
        cls,
        config: OAuthConfig,
        via: str | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> Environment:
        """This machine, for a login at the provider of ``config``.

        Args:
            config: The provider, whose setting comes last.
            via: What a flag or a program asks for.
            environ: The environment, in which ``STAYFAST_VIA`` may name a transport.
        """
        variables = os.environ if environ is None else environ
        named = via or variables.get("STAYFAST_VIA") or config.via
        return cls(
            variables=dict(variables),
            platform=sys.platform,
            release=os.uname().release if hasattr(os, "uname") else "",
            terminal=at_terminal(),
            files=_container_marks(),
            programs=frozenset(
                name
                for name, *_ in launchers(variables)
                if shutil.which(name) and not is_text_browser(name)
            ),
            via=ALIASES.get(named, named),
            device=bool(config.device_url),
            authorization=can_use_browser(config),
            local=local_redirect(config),
        )

    def has(self, *names: str) -> bool:
        """Whether any of the variables ``names`` is set and not empty."""
        return any(self.variables.get(name) for name in names)

    @property
    def ssh(self) -> bool:
        """Whether this is a remote shell."""
        return self.has("SSH_CONNECTION", "SSH_CLIENT", "SSH_TTY")

    @property
    def display(self) -> bool:
        """Whether there is a screen to open a window on."""
        return self.has("DISPLAY", "WAYLAND_DISPLAY", "MIR_SOCKET")

    @property
    def wsl(self) -> bool:
        """Whether this is Linux inside Windows."""
        return self.has("WSL_DISTRO_NAME") or "microsoft" in self.release.lower()

    @property
    def container(self) -> bool:
        """Whether this is inside a container."""
        return bool(self.files) or self.has("container", "KUBERNETES_SERVICE_HOST")

    @property
    def unattended(self) -> bool:
        """Whether a variable says that no person is there."""
        in_ci = self.variables.get(_CI, "").lower() not in _OFF
        return in_ci or self.variables.get(_DEBIAN) == "noninteractive"

    @property
    def browser(self) -> bool:
        """Whether a browser can be started that opens a window of its own."""
        named = named_browsers(self.variables)
        if named is None:
            return bool(self.programs)
        return any(not is_text_browser(command[0]) for command in named)


@dataclass(frozen=True)
class Choice:
    """The transport that was chosen.

    Attributes:
        transport: ``loopback``, ``manual`` or ``device``, or the one that the user named.
        reason: Why it was chosen, in half a sentence for the user.
        row: The number of the row that matched.
        two_step: Whether the login is only started now, and another command finishes it.
    """

    transport: str
    reason: str
    row: int
    two_step: bool = False


@dataclass(frozen=True)
class ChoiceRow:
    """A row of the table.

    Attributes:
        number: Its number, which ``-v`` shows.
        test: Whether the row matches.
        transport: The transport to choose.
        reason: Why, in half a sentence for the user.
        two_step: Whether no person is there to wait with.
    """

    number: int
    test: Callable[[Environment], bool]
    transport: Callable[[Environment], str]
    reason: str
    two_step: bool = False


def _device_or_manual(env: Environment) -> str:
    return "device" if env.device else "manual"


def _loopback(env: Environment) -> str:
    del env
    return "loopback"


def _manual(env: Environment) -> str:
    del env
    return "manual"


def _vscode_reaches_us(env: Environment) -> bool:
    """Whether the editor forwards a port of the laptop to this machine by itself.

    It does for its own remote windows. In an ssh session within such a window (``SSH_TTY``), the
    variables of the editor are inherited and its forwarding is not.
    """
    remote_ssh = env.has("SSH_CONNECTION") and not env.has("SSH_TTY")
    return remote_ssh or env.has("REMOTE_CONTAINERS")


def _vscode(env: Environment) -> str:
    return "loopback" if _vscode_reaches_us(env) else "manual"


TABLE: Final[tuple[ChoiceRow, ...]] = (
    ChoiceRow(1, lambda e: e.via != "auto", lambda e: e.via, "you asked for it"),
    ChoiceRow(
        2,
        lambda e: not e.terminal or e.unattended,
        _device_or_manual,
        "nobody is here to wait with (no terminal, or CI or DEBIAN_FRONTEND says so)",
        two_step=True,
    ),
    ChoiceRow(
        3,
        lambda e: not e.authorization and e.device,
        lambda _: "device",
        "nothing but the device flow can be used with this client",
    ),
    ChoiceRow(
        4,
        lambda e: e.platform in {"darwin", "win32"} and not e.ssh,
        _loopback,
        "a desktop with a browser",
    ),
    ChoiceRow(
        5,
        lambda e: e.wsl and not e.ssh,
        _loopback,
        "Windows opens the browser and forwards its answer",
    ),
    ChoiceRow(
        6,
        lambda e: e.has("VSCODE_IPC_HOOK_CLI") and e.has("BROWSER") and not e.has("CODESPACES"),
        _vscode,
        "a remote window of the editor",
    ),
    ChoiceRow(
        7,
        lambda e: e.has("CODESPACES"),
        _device_or_manual,
        "a browser cannot call back into this workspace",
    ),
    ChoiceRow(
        8,
        lambda e: e.container and not e.display,
        _device_or_manual,
        "a browser cannot call back into this container",
    ),
    ChoiceRow(
        9,
        lambda e: e.ssh and not e.display,
        _manual,
        "this is a remote shell (SSH), so a browser cannot call back here",
    ),
    ChoiceRow(
        10,
        lambda e: not e.display and not e.has("BROWSER") and e.platform not in {"darwin", "win32"},
        _device_or_manual,
        "there is no screen to open a browser on",
    ),
    ChoiceRow(
        11,
        lambda e: e.ssh,
        _manual,
        "a browser forwarded over SSH is slow; --via loopback uses it all the same",
    ),
    ChoiceRow(
        12,
        lambda e: not e.browser,
        _manual,
        "there is no browser to start",
    ),
    ChoiceRow(13, lambda _: True, _loopback, "a desktop with a browser"),
)
"""The rows in order. The last one always matches."""


def _container_marks() -> frozenset[str]:
    marks = {mark for mark in _CONTAINER_MARKS if os.path.exists(mark)}
    try:
        with open(_CONTROL_GROUPS, encoding="utf-8", errors="replace") as file:
            groups = file.read(65536)
    except OSError:  # not Linux
        return frozenset(marks)
    if any(name in groups for name in _CONTAINER_GROUPS):
        marks.add(_CONTROL_GROUPS)
    return frozenset(marks)


_NOWHERE: Final = "the provider sends no browser back to this machine"


def choose(environment: Environment) -> Choice:
    """The transport for ``environment``, with the row that matched and its reason."""
    row = next(row for row in TABLE if row.test(environment))
    transport, reason = row.transport(environment), row.reason
    if transport == "loopback" and environment.via == "auto" and not environment.local:
        transport, reason = _device_or_manual(environment), _NOWHERE
    return Choice(transport, reason, row.number, row.two_step)


def choose_to_wait(environment: Environment, *, answers: bool) -> str:
    """The transport for a program that waits for its user within one call.

    The command may end where nobody is at a terminal, and another command goes on. A call of a program
    has no second half: where nothing can be pasted, it listens, or has the user enter a code.

    Args:
        environment: This machine.
        answers: Whether somebody can paste an address: at a terminal, or in a notebook.
    """
    calm = {
        name: value
        for name, value in environment.variables.items()
        if name not in _UNATTENDED  # they speak of prompts, and this call waits in any case
    }
    chosen = choose(replace(environment, terminal=True, variables=calm))
    if answers or chosen.row in _SETTLED:
        return chosen.transport
    # a browser that somebody has named is one that can be used
    reached = environment.display or environment.has("BROWSER") or chosen.transport == "loopback"
    return "device" if environment.device and not reached else "loopback"
