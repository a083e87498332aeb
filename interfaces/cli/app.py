"""What every command works with: the global options as they were given, the terminal, the assembly.

Nothing here knows how a command line is read: some commands are read without click.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ...engine.errors import AuthRequired, ConfigInvalid, NotFound
from ...engine.hints import Hint
from ...storage.paths import absolute, config_dir

if TYPE_CHECKING:
    from ...engine.audit.events import Recorded
    from ...engine.ports import Observer
    from ...engine.record import Login
    from ...storage.keys.slots import AskedPassphrase
    from ..assembly import Assembly
    from ..catalogue import Catalogue
    from .terminal.tty import Terminal


class App:
    """The command as it was called.

    Attributes:
        options: The global options that were given, wherever they stood.
        environ: The environment.
        announced: What the storage has to say, until :meth:`pass_on` says it.
        never_asks: Whether another program runs the command, so that nobody may be asked anything.
        tokens_kept_nowhere: Whether tokens came that could be saved in no place at all.
    """

    def __init__(
        self,
        options: dict[str, Any] | None = None,
        *,
        environ: dict[str, str] | None = None,
        assembly: Assembly | None = None,
    ) -> None:
        """Begin with what is given, and with the process's environment."""
        self.options: dict[str, Any] = {} if options is None else options
        self.environ = dict(os.environ) if environ is None else environ
        self.tokens_kept_nowhere = False
        self.never_asks = False
        self.announced: list[str] = []
        self._asked: AskedPassphrase | None = None
        self._terminal: Terminal | None = None
        self._assembly = assembly

    @property
    def terminal(self) -> Terminal:
        """Where answers and everything else go."""
        if self._terminal is None:
            from .terminal.tty import Terminal  # noqa: PLC0415  rich: the version needs none

            self._terminal = Terminal(
                color=self.options.get("color") or "auto",
                as_json=bool(self.options.get("as_json")),
                quiet=bool(self.options.get("quiet")),
                verbose=int(self.options.get("verbose") or 0),
            )
        return self._terminal

    def assembly(self, observers: Sequence[Observer] = ()) -> Assembly:
        """The assembly, made at first use."""
        if self._assembly is None:
            # half of the command, and a page of help needs none of it
            from ..assembly import Assembly  # noqa: PLC0415

            terminal = self.terminal
            self._assembly = Assembly.open(
                state_dir=self.options.get("state_dir"),
                config_dir=self.options.get("config_dir"),
                interactive=self._may_ask(),
                passphrase=self._passphrase() if self._may_ask() else None,
                announce=self.announced.append,
                observers=[*observers, _LogAlarm(terminal)],
                environ=self.settings(),
            )
            if terminal.verbose > 1:
                self._assembly.show_requests(_show_lines(terminal))
        return self._assembly

    def catalogue(self) -> Catalogue:
        """The providers by name; no storage is opened for them."""
        if self._assembly is not None:
            return self._assembly.catalogue
        from ..catalogue import Catalogue  # noqa: PLC0415  for those who name a provider

        environ = self.settings()
        return Catalogue(config_dir(environ), environ=environ)

    def begin_anew(self) -> None:
        """Make another assembly the next time: what was configured since then counts, and who observes."""
        self._assembly = None

    def pass_on(self) -> None:
        """Say what the storage announced, such as where the key of a new vault is.

        It comes after the answer of the command, which is what its user waits for.
        """
        if not self.announced:
            return
        from .terminal.formatting import with_tilde  # noqa: PLC0415  the version needs none

        for line in self.announced:
            self.terminal.say(with_tilde(line))
            if "key file" in line:
                self.terminal.suggest(
                    "stayfast store rekey --to passphrase", "use a passphrase instead"
                )
        self.announced.clear()

    def _may_ask(self) -> bool:
        return self.terminal.interactive and not self.never_asks

    def _passphrase(self) -> AskedPassphrase | None:
        """The passphrase of the user's storage, for which this whole command asks once."""
        if self._asked is None:
            from .passphrases import passphrase_of  # noqa: PLC0415  for whoever opens a storage

            self._asked = passphrase_of(self.terminal, self.environ, "The vault's passphrase")
        return self._asked

    def report_failed_sinks(self) -> None:
        """Name the sinks that could not get the audit log."""
        if self._assembly is None or not self._assembly.used_sinks:
            return
        from ..audit.file import AuditFile  # noqa: PLC0415  loaded by the assembly
        from ..audit.outbox import BufferedSender  # noqa: PLC0415

        for sink in self._assembly.used_sinks:
            if sink.problem is not None:
                name = "the audit file" if isinstance(sink, AuditFile) else sink.sink.name
                self.terminal.say(
                    f"the audit log could not be sent to {name}: {sink.problem}", mark="warn"
                )
                self.terminal.suggest("stayfast audit show")
            if isinstance(sink, BufferedSender) and sink.unsent:
                self.terminal.say(
                    f"{sink.unsent} audit events were not sent to {sink.sink.name}", mark="warn"
                )
            if sink.dropped:
                self.terminal.say(f"{sink.dropped} unlisted fields were left out", mark="warn")

    def settings(self) -> dict[str, str]:
        """The environment; options take the place of their variables."""
        named = {"state_dir": "STAYFAST_STATE_DIR", "config_dir": "STAYFAST_CONFIG_DIR"}
        given = {
            variable: absolute(self.options[option], self.environ, variable)
            for option, variable in named.items()
            if self.options.get(option)
        }
        return {**self.environ, **given}

    def given_token(self) -> str | None:
        """The token of ``STAYFAST_TOKEN``; blanks alone count as unset.

        Raises:
            ConfigInvalid: It has characters that no token may have (RFC 6749 appendix A.12).
        """
        from ...engine.oauth.tokens import printable  # noqa: PLC0415  for commands that hand a token out

        given = self.environ.get("STAYFAST_TOKEN", "").strip()
        if not printable(given):
            raise ConfigInvalid(
                "STAYFAST_TOKEN has characters that no token may have", hint="unset STAYFAST_TOKEN"
            )
        return given or None

    def known_name(self, typed: str) -> str:
        """``typed``, or the spelling of that address under which a login is kept."""
        if "://" not in typed:
            return typed
        from ...engine.oauth.protected_resource import other_spelling  # noqa: PLC0415  as above

        spelt = other_spelling(typed)
        if spelt is None:
            return typed
        names = {one.provider for one in self.assembly().storage.summaries()}
        return typed if typed in names or spelt not in names else spelt

    def only_provider(self, given: str | None) -> str:
        """The provider the user named, or else the only one with a finished login.

        Raises:
            AuthRequired: Nobody is signed in; the hint names the one login that waits.
            NotFound: Several providers are signed in.
        """
        if given is not None:
            return given
        names = {one.provider for one in self.assembly().storage.summaries() if one.holds_tokens}
        if len(names) == 1:
            return names.pop()
        if not names:
            waiting = self.assembly().open_logins()
            if len(waiting) == 1:
                raise AuthRequired(
                    f"no provider is signed in yet: login {waiting[0].short_id} waits for its user",
                    hint=Hint("resume", None, login=waiting[0].short_id),
                )
            raise AuthRequired("no provider is signed in", hint=Hint("login"))
        raise NotFound(
            f"several providers are signed in: {', '.join(sorted(names))}",
            hint=Hint("status"),
        )


class _LogAlarm:
    """Warns that a damaged part of the log was set aside; the command goes on."""

    def __init__(self, terminal: Terminal) -> None:
        """Say it on ``terminal``."""
        self._terminal = terminal

    def observe(self, recorded: Sequence[Recorded], login: Login | None) -> None:
        """Look for a record of damage among those that were just saved."""
        del login
        from ...engine.audit.events import EventKind  # noqa: PLC0415  for who changes a login

        for one in recorded:
            if one.members.get("event") == EventKind.AUDIT_SET_ASIDE:
                numbers = str(one.members.get("detail", "")).partition("=")[2]
                self._terminal.say(
                    f"the audit log was damaged: records {numbers} were set aside", mark="warn"
                )
                self._terminal.suggest("stayfast audit verify")


def _show_lines(terminal: Terminal) -> Callable[[Sequence[str]], None]:
    """Shows what ``-vv`` adds."""

    def show(lines: Sequence[str]) -> None:
        for line in lines:
            terminal.say(f"  {line}", style="dim", hang=6)

    return show
