"""What the commands of an embedding program do; each returns its exit status."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from ...engine.errors import AuthFailed, AuthRequired, Damaged, StayfastError
from ...engine.foreign_text import printable
from ...engine.hints import Hint
from ...engine.login_id import choose, interrupted_login
from ...engine.result import Failure, Success
from ...engine.summary import DEFAULT_ACCOUNT
from ...engine.table import State
from ..auth_status import status_of
from ..repeated_login import repeated
from ..unattended import kept_login, refuse_while_it_waits, require_known

if TYPE_CHECKING:
    from ...engine.record import Login
    from ...engine.result import Result
    from ...engine.summary import Summary
    from ..service import OAuthService
    from ..signed_in import SignedIn

COMMANDS: Final = frozenset({"login", "logout", "status", "token", "resume", "cancel", "list"})
"""The actions of a hint that a command of this group does."""
WAITING: Final = frozenset({"login", "resume"})
"""Those that wait for the user, by a transport that ``--via`` names."""
INTERRUPTED: Final = 130
"""The exit status after Ctrl-C, as a shell has it."""

HELP: Final = {
    "group": "Sign in and out.",
    "login": "Sign in.",
    "resume": "Go on with a saved login; without LOGIN, with the only one that is open.",
    "cancel": "Forget a saved login that is not finished; without LOGIN, the only one that is open.",
    "list": "Show every login that is kept: its id, account and state.",
    "logout": "Sign out: revoke the tokens, and erase them here.",
    "status": "Show who is signed in.",
    "whoami": "Print who signed in.",
    "token": "Print an access token that is good now.",
    "account": "Which of your accounts.",
    "via": "How the answer gets here: auto, loopback, manual, device.",
    "new": "Sign in anew even if already signed in.",
    "scope": "Request this scope instead of the usual ones; repeatable.",
    "no_browser": "Show the address; start no browser.",
    "keep": "Erase the tokens here, and do not revoke them at the provider.",
    "json": "Answer in JSON.",
}
"""What the help pages say."""


class Actions:
    """The commands' work, in the words of the program.

    Attributes:
        provider: The one provider they are about; ``None`` if each command names it.
    """

    def __init__(self, service: OAuthService, provider: str | None) -> None:
        """Work on the logins of ``service``."""
        self._service = service
        self.provider = provider

    def login(
        self,
        group: str,
        provider: str,
        account: str,
        *,
        via: str | None,
        scopes: Sequence[str],
        open_browser: bool,
        new: bool,
    ) -> int:
        """Sign in, and say as whom; who is signed in already is not asked again.

        Args:
            group: How the user calls this group, such as ``acme auth``.
            provider: The provider's name.
            account: The account's name.
            via: The transport; the service chooses if not given.
            scopes: Instead of the configured ones.
            open_browser: Whether to start a browser.
            new: Whether to sign in anew even so.
        """
        chosen: dict[str, Any] = {} if via is None else {"via": via}
        try:
            found = None if new else self._repeated(provider, account, scopes, chosen)
            if found is not None:
                return self._signed_in_already(group, found)
            result = self._service.authenticate(
                provider,
                account=account,
                scopes=tuple(scopes) or None,
                open_browser=open_browser,
                **chosen,
            )
        except StayfastError as error:
            return self._failed(group, self._failure(error))
        except KeyboardInterrupt as stop:
            return self._paused(group, stop)
        return self._signed_in(group, provider, account, result)

    def resume(self, group: str, typed: str | None, *, via: str | None, open_browser: bool) -> int:
        """Go on with a login that was begun, and say who signed in.

        Args:
            group: As for :meth:`login`.
            typed: The beginning of its id; the only open one if not given.
            via: Another transport than before.
            open_browser: As for :meth:`login`.
        """
        chosen: dict[str, Any] = {} if via is None else {"via": via}
        try:
            login = self._chosen(typed)
            result = self._service.resume(login.id, open_browser=open_browser, **chosen)
        except StayfastError as error:
            return self._failed(group, self._failure(error))
        except KeyboardInterrupt as stop:
            return self._paused(group, stop)
        return self._signed_in(group, login.provider, login.account, result)

    def cancel(self, group: str, typed: str | None) -> int:
        """Forget a login that is not finished.

        Args:
            group: As for :meth:`login`.
            typed: As for :meth:`resume`.
        """
        try:
            login = self._chosen(typed)
        except StayfastError as error:
            return self._failed(group, self._failure(error))
        result = self._service.cancel(login.id)
        if isinstance(result, Failure):
            return self._failed(group, result)
        _say(f"Login {login.short_id} to {login.provider} is forgotten")
        return 0

    def list_logins(self, group: str) -> int:
        """Show the logins that are open or signed in, one line each.

        Args:
            group: As for :meth:`login`.
        """
        result = self._service.logins()
        if isinstance(result, Failure):
            return self._failed(group, result)
        kept = [one for one in result.value if self._ours(one) and one.state is not State.IDLE]
        for one in kept:
            who = one.identity.label if one.identity else one.account
            print(printable(f"{one.short_id}  {one.provider}  {who}  {one.state.value}"))
        if not kept:
            _say("No logins are kept here")
        return 0

    def logout(self, group: str, provider: str, account: str, *, revoke: bool) -> int:
        """Sign out; nobody being signed in is no error.

        Args:
            group: As for :meth:`login`.
            provider: The provider's name.
            account: The account's name.
            revoke: Whether the provider is to revoke the tokens, too.
        """
        result = self._service.logout(provider, account=account, revoke=revoke)
        if isinstance(result, Failure):
            return self._failed(group, result)
        _say(f"Signed out of {provider}" if result.value else f"Nobody was signed in to {provider}")
        return 0

    def status(self, group: str, provider: str | None, *, as_json: bool) -> int:
        """Show who is signed in where; 4 if nobody is, or somebody has to sign in again.

        Args:
            group: As for :meth:`login`.
            provider: Only this one; every one if not given.
            as_json: Whether the answer is for programs.
        """
        try:
            found = self._finished(provider)
        except StayfastError as error:
            return self._failed(group, self._failure(error))
        rows = [
            {
                "provider": one.provider,
                "account": one.account,
                "user": one.identity.label if one.identity else None,
                "status": status_of(one, usable=self._usable(one)).value,
            }
            for one in found
        ]
        if as_json:
            print(json.dumps({"logins": rows}))
        for row in [] if as_json else rows:
            user = f" as {row['user']}" if row["user"] else ""
            account = "" if row["account"] == DEFAULT_ACCOUNT else f" ({row['account']})"
            state = str(row["status"]).replace("_", " ")
            print(printable(f"{row['provider']}{account}: {state}{user}"))
        if not rows:
            return self._failed(group, self._failure(self._nobody(provider)))
        lost = any(row["status"] == "token_refresh_failed" for row in rows)
        return AuthRequired.exit_code if lost else 0

    def whoami(self, group: str, provider: str, account: str) -> int:
        """Print who signed in: the name of the ID token, or of UserInfo, or else the account.

        Args:
            group: As for :meth:`login`.
            provider: The provider's name.
            account: The account's name.
        """
        try:
            login = kept_login(self._service.assembly, provider, account)
        except StayfastError as error:
            return self._failed(group, self._failure(error))
        who = login.identity.name if login.identity else None
        if not who:
            said = self._service.identity(provider, account=account)
            asked = said.value if isinstance(said, Success) else None
            known = login.identity.subject if login.identity else login.account
            who = (asked.name or asked.subject) if asked else known
        print(printable(who))
        return 0

    def token(self, group: str, provider: str, account: str) -> int:
        """Print an access token that is good now.

        Args:
            group: As for :meth:`login`.
            provider: The provider's name.
            account: The account's name.
        """
        result = self._service.get_bearer_token(provider, account=account)
        if isinstance(result, Failure):
            return self._failed(group, result)
        print(result.value)
        return self._warned(group, result)

    def _repeated(
        self, provider: str, account: str, scopes: Sequence[str], chosen: Mapping[str, Any]
    ) -> Login | None:
        """The login that there is already, if it has all that is asked for now.

        Raises:
            StayfastError: It cannot be known; or its tokens came and are not in their place yet.
        """
        assembly = self._service.assembly
        try:
            before = assembly.conductor.refresh.find(provider, account)
        except (AuthRequired, Damaged):
            return None  # the one that begins looks the provider up
        granted = before.tokens.scopes if before.tokens else ()
        if not {*scopes} <= {*granted, *before.config.asked_scopes}:
            return None
        config = assembly.config(provider, scopes=scopes or None, account=account, **chosen)
        return repeated(assembly, config, account)

    def _signed_in_already(self, group: str, login: Login) -> int:
        """Say as whom, and how to sign in anew."""
        who = f" as {login.identity.label}" if login.identity else ""
        _say(f"{login.provider} is already signed in{who}")
        _say(f"hint: {self._advice(group, Hint.sign_in(login, '--new'))}")
        return 0

    def _signed_in(self, group: str, provider: str, account: str, result: Result[SignedIn]) -> int:
        """Say as whom, and which account keeps it if that is not ``account``."""
        if isinstance(result, Failure):
            return self._failed(group, result)
        signed_in = result.value
        who = f" as {signed_in.identity.label}" if signed_in.identity else ""
        _say(f"Signed in to {provider}{who}")
        if signed_in.account != account:
            _say(f"Kept as the account {signed_in.account}: {account} is another person's")
        return self._warned(group, result)

    def _paused(self, group: str, stop: KeyboardInterrupt) -> int:
        """Say what Ctrl-C left, and how to go on with it. The status is that of the signal."""
        login_id = interrupted_login(stop)
        login = None
        with suppress(StayfastError, OSError):
            login = self._service.assembly.storage.read(login_id) if login_id is not None else None
        if sys.stderr.isatty():
            _say("")  # the terminal shows ^C in the line
        if login is None:
            _say("Interrupted before the login began")
        elif login.pending:
            _say(f"Paused. Login {login.short_id} to {login.provider} is saved.")
            _say(f"hint: {self._advice(group, Hint('resume', login=login.short_id))}")
        elif login.tokens is not None:
            _say(f"Signed in to {login.provider}")
        return INTERRUPTED

    def _chosen(self, typed: str | None) -> Summary:
        """The login that the user means.

        Raises:
            NotFound: None of this group is meant, or several are.
        """
        if typed is not None:
            return self._service.assembly.chosen(typed)
        logins = self._service.assembly.overview.summaries()
        return choose([one for one in logins if self._ours(one)], None)

    def _ours(self, login: Summary) -> bool:
        return self.provider in {None, login.provider}

    def _finished(self, provider: str | None) -> list[Summary]:
        assembly = self._service.assembly
        found = [
            one
            for one in assembly.overview.summaries()
            if one.holds_tokens and provider in {None, one.provider}
        ]
        if provider is not None and not found:
            require_known(assembly, provider)
        return found

    def _nobody(self, provider: str | None) -> AuthRequired:
        """The error that nobody is signed in, which names a login that waits."""
        try:
            refuse_while_it_waits(self._service.assembly, provider)
        except AuthRequired as error:
            return error
        what = "anything" if provider is None else provider
        return AuthRequired(f"not signed in to {what}", hint=Hint("login", provider))

    def _failure(self, error: StayfastError) -> Failure:
        """``error`` in the words of the program."""
        self._service.words.put_into(error)
        return Failure.of(error)

    def _usable(self, login: Summary) -> bool:
        return self._service.assembly.conductor.refresh.usable(login)

    def _failed(self, group: str, failure: Failure) -> int:
        """Say what went wrong and what to do, and give the exit status."""
        _say(f"error: {failure.error}")
        if failure.hint is not None:
            _say(f"hint: {self._advice(group, failure.hint)}")
        return (failure.cause or AuthFailed("")).exit_code

    def _warned(self, group: str, result: Result[Any]) -> int:
        """Say what went wrong although the call worked: tokens that are not in their place yet."""
        if isinstance(result, Success) and result.warning is not None:
            _say(f"warning: {result.warning.error}")
            if result.warning.hint is not None:
                _say(f"hint: {self._advice(group, result.warning.hint)}")
        return 0

    def _advice(self, group: str, hint: str) -> str:
        """``hint`` as a command of this group, if one of them does it."""
        return (self.line(group, hint) if isinstance(hint, Hint) else None) or hint

    def line(self, group: str, hint: Hint) -> str | None:
        """The command of this group that does what ``hint`` says; ``None`` if none does."""
        if hint.action not in COMMANDS:
            return None
        options = hint.options
        if options and not _has_options(hint):
            return None
        if self.provider is not None and hint.provider not in {None, self.provider}:
            return None
        named = hint.provider if self.provider is None else None
        if hint.action == "login" and named is None and self.provider is None:
            return f"{group} login --help"  # which provider, only its user can say
        line = Hint(hint.action, named, *options, account=hint.account, login=hint.login)
        return f"{group} {line.removeprefix(_OTHERS)}"


def _has_options(hint: Hint) -> bool:
    """Whether the command of this group has the options of ``hint``."""
    if hint.options == ("--new",):
        return hint.action == "login"
    return hint.action in WAITING and hint.options[0] == "--via"


_OTHERS: Final = "stayfast "
"""What a hint begins with that is a line of the command."""


def _say(line: str) -> None:
    print(printable(line), file=sys.stderr)
