"""What `doctor` looks at, one check after the other: each says what is, and what to do if it is wrong.

A check changes nothing. It gives details that may be pasted anywhere: no secret, no token, no name of
a person, and the home directory only as ``~``.
"""

from __future__ import annotations

import os
import platform
import socket
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from ...engine.errors import ConfigMissing, Damaged, StayfastError, StorageError
from ...engine.hints import Hint
from ...engine.oauth.metadata import apply_metadata, discover
from ...engine.oauth.provider_response import server_date
from ...engine.table import State
from ...storage.capabilities import capabilities_of
from ...storage.keys.keyring import KeyringKey
from ...storage.keys.window import seconds_of, why_not
from ...storage.paths import UNLOCK_WINDOW, config_dir, state_dir
from ...storage.private_file import check_directory
from ...transports.choice import Environment, choose
from ...transports.loopback.redirect import broken_rule, redirect_of
from ..http import RequestsHttp
from ..http_settings import proxy_for, trust_of
from ..provider_file import ProviderFile
from ..settings_files import FILE_NAME
from .accounts import chosen_default
from .commands.verify import verified
from .first_contact import whole_issuer
from .terminal.formatting import span

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...engine.oauth.metadata import ServerMetadata
    from ...engine.oauth.provider import OAuthConfig
    from ...engine.ports import HttpRequest, HttpResponse
    from ...engine.summary import Summary
    from .app import App

OK, WARN, FAIL, SKIP = "ok", "warn", "fail", "skip"
_CLOCK_OFF: Final = 60.0  # seconds; ID tokens and signed requests are refused beyond
_MOST: Final = 8  # providers that are asked, each with a patience of its own
_SECONDS: Final = 5.0
_RETIRED: Final = (3, 11)
_UNITS: Final = ((3600, "h"), (60, "min"), (1, "s"))


@dataclass(frozen=True, slots=True)
class Check:
    """What one look found.

    Attributes:
        name: What was looked at.
        result: ``ok``, ``warn``, ``fail`` or ``skip``.
        detail: What is, or why it was not looked at.
        next: The command or setting that mends it.
    """

    name: str
    result: str
    detail: str
    next: str | None = None


class _Watching:
    """The ``Http`` of the checks: it also notes how far the clock of each host is from ours."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._http = RequestsHttp(
            connect=_SECONDS, read=_SECONDS, total=2 * _SECONDS, environ=environ
        )
        self.off: dict[str, float] = {}

    def send(self, request: HttpRequest) -> HttpResponse:
        response = self._http.send(request)
        date = server_date(response)
        if date is not None:
            host = urlsplit(request.url).hostname or ""
            self.off.setdefault(host, response.received_at - date)
        return response


class Checkup:
    """Looks at this machine, this user's settings and the providers."""

    def __init__(self, app: App, provider: str | None, *, offline: bool) -> None:
        """Look at ``provider`` alone, or at all that are configured or signed in."""
        self._app = app
        self._environ = app.settings()
        self._provider = provider
        self._offline = offline
        self._summaries: list[Summary] | None = None  # ``None`` while no look could read them

    def checks(self) -> Iterator[Check]:
        """Every check, as it is made; one cause fails one check, and what hangs on it is skipped."""
        failed: dict[str, str] = {}
        for one in self._all():
            if one.result == FAIL:
                cause = failed.setdefault(one.detail, one.name)
                if cause != one.name:
                    yield Check(
                        one.name, SKIP, f"not known before the failure of {cause} is mended"
                    )
                    continue
            yield one

    def _all(self) -> Iterator[Check]:
        looks: tuple[tuple[str, Callable[[], Iterator[Check]]], ...] = (
            ("python", self._python),
            ("config", self._config),
            ("directories", self._directories),
            ("unlock window", self._window),  # causes first
            ("keyring", self._keyring),
            ("store", self._store),
            ("audit", self._audit),
            ("logins", self._logins),
            ("environment", self._variables),
            ("tls", self._tls),
            ("providers", self._providers),
            ("ports", self._ports),
        )
        for name, look in looks:
            try:
                yield from look()
            except StayfastError as error:
                yield Check(name, FAIL, error.message, error.hint)
            except Exception as error:  # noqa: BLE001  one look must not hide the others
                yield Check(name, FAIL, f"the check itself failed: {type(error).__name__}")

    def _python(self) -> Iterator[Check]:
        version = platform.python_version()
        if sys.version_info < _RETIRED:
            yield Check("python", FAIL, f"{version} is too old", "python3.11 -m pip install .")
        else:
            yield Check("python", OK, version)

    def _config(self) -> Iterator[Check]:
        directory = config_dir(self._environ)
        path = os.path.join(directory, FILE_NAME)
        names = ProviderFile(directory).names()  # raises what is wrong with the file
        if not os.path.exists(path):
            yield Check("config", OK, f"no providers of your own in {path}")
            return
        mode = stat.S_IMODE(os.stat(path).st_mode)
        many = f"{len(names)} provider{'' if len(names) == 1 else 's'}"
        yield Check("config", OK, f"{many}, {path}, mode {mode:04o}")
        try:
            catalogue = self._app.assembly().catalogue
        except StayfastError:  # a setting of the storage; a later look says which
            return
        for name in names:
            try:
                catalogue.provider(name)
            except StayfastError as error:
                yield Check("config", FAIL, error.message, error.hint)

    def _directories(self) -> Iterator[Check]:
        for directory, variable in (
            (state_dir(self._environ), "STAYFAST_STATE_DIR"),
            (config_dir(self._environ), "STAYFAST_CONFIG_DIR"),
        ):
            if not os.path.isdir(directory):
                yield Check("directories", OK, f"{directory} is not there yet")
                continue
            try:
                check_directory(directory, variable)
            except StorageError as error:
                yield Check("directories", FAIL, error.message, error.hint)
                continue
            mode = stat.S_IMODE(os.stat(directory).st_mode)
            yield Check("directories", OK, f"{directory}, mode {mode:04o}")

    def _store(self) -> Iterator[Check]:
        storage = self._app.assembly().storage
        vault = capabilities_of(storage).vault
        if vault is not None:
            info = vault.about()
            if info.key is None:
                self._summaries = []
                yield Check("store", SKIP, "there is no vault yet; the first login makes one")
                return
            problems = vault.problems()
            for problem in problems[:_MOST]:
                yield Check("store", FAIL, problem, Hint("store mend"))
            if info.quarantined:
                aside = f"{len(info.quarantined)} rows that did not open are set aside"
                yield Check("store", WARN, aside, Hint("store info"))
            if problems:
                with suppress(StorageError):  # one that opens is known all the same
                    self._summaries = list(storage.summaries())
                return
            kept = f"{vault.description.partition(':')[0]}, format {info.format}"
        else:
            kept = storage.description
        self._summaries = list(storage.summaries())
        storage.probe()
        yield Check("store", OK, f"{kept}; every login opens, and a commit would succeed")

    def _keyring(self) -> Iterator[Check]:
        wanted = self._environ.get("STAYFAST_STORE") or "auto"
        try:
            vault = capabilities_of(self._app.assembly().storage).vault
            present = vault.about().key if vault is not None else None
        except StayfastError:  # the next look says why
            yield Check("keyring", SKIP, "not known while the vault cannot be opened")
            return
        if wanted not in {"auto", "keyring"} or (present is not None and present != "keyring"):
            yield Check("keyring", SKIP, "the key of the vault is not kept in it")
            return
        keyring = KeyringKey(environ=self._environ)
        try:
            keyring.read(os.urandom(16), "doctor")
        except Damaged:  # it answered that it has no such item
            yield Check("keyring", OK, f"{keyring.name} answers")
        except StorageError as error:
            needed = present == "keyring" or wanted == "keyring"
            onward = "" if needed else "; a new vault uses a key file"
            yield Check(
                "keyring",
                FAIL if needed else WARN,
                f"{error.message}{onward}",
                error.hint if needed else "export STAYFAST_STORE=file",
            )
        else:
            yield Check("keyring", OK, f"{keyring.name} answers")

    def _window(self) -> Iterator[Check]:
        lasts = seconds_of(self._environ)
        if not lasts:
            return
        why = why_not()
        if why:
            yield Check("unlock window", WARN, f"{why}; no key is kept", f"unset {UNLOCK_WINDOW}")
            return
        detail = (
            f"the key of a vault stays in the kernel for {_exactly(lasts)} after it was opened; any program of "
            "this session can use it till then (stayfast store lock ends it)"
        )
        yield Check("unlock window", OK, detail)

    def _audit(self) -> Iterator[Check]:
        log = capabilities_of(self._app.assembly().storage).log
        if log is None:
            yield Check("audit", SKIP, "the log of this storage has no links to check")
            return
        found = verified(self._app, log)
        if found.findings:
            many = len(found.findings)
            more = f", and {many - 1} more" if many > 1 else ""
            detail = f"{found.findings[0].message}{more}"
            yield Check("audit", FAIL, detail, Hint("audit verify"))
        else:
            yield Check("audit", OK, f"{found.records:,} records, chain unbroken")

    def _logins(self) -> Iterator[Check]:
        if self._summaries is None:
            yield Check("logins", SKIP, "not known while the vault cannot be opened")
            return
        now = self._app.assembly().clock.now()
        pending = [one for one in self._summaries if one.pending]
        over = [one for one in pending if one.deadline is not None and one.deadline < now]
        waiting = [one for one in pending if one not in over]
        ended = f", {len(over)} whose time is over (the next command ends them)" if over else ""
        named = f" ({', '.join(one.short_id for one in waiting[:_MOST])})" if waiting else ""
        signed_in = sum(one.holds_tokens for one in self._summaries)
        yield Check("logins", OK, f"{signed_in} signed in, {len(waiting)} open{named}{ended}")
        for one in self._summaries:
            if one.state is State.REFRESH_FAILED:
                why = one.oauth_error or one.reason or "no reason is known"
                detail = f"{one.provider} needs a new sign-in: {why}"
                yield Check("logins", WARN, detail, Hint.sign_in(one))

    def _variables(self) -> Iterator[Check]:
        if self._environ.get("STAYFAST_TOKEN", "").strip():
            detail = "STAYFAST_TOKEN is set and used instead of every login"
            yield Check("environment", WARN, detail, "unset STAYFAST_TOKEN")
        known = self._summaries or ()
        for one in sorted({login.provider for login in known if login.holds_tokens}):
            chosen = chosen_default(self._app, one)
            there = {x.account for x in known if x.provider == one and x.holds_tokens}
            if chosen is not None and chosen not in there:
                detail = f"the account that was chosen for {one} is not signed in"
                yield Check("environment", WARN, detail, Hint("account list", one))

    def _tls(self) -> Iterator[Check]:
        trust = trust_of(self._environ)
        problem = trust.problem() if trust is not None else None
        if trust is None:
            yield Check("tls", OK, "the usual certificate authorities")
        elif problem is not None:
            yield Check("tls", FAIL, problem.message, problem.hint)
        else:
            yield Check("tls", OK, f"certificate authorities of {trust.variable}: {trust.path}")

    # --- providers ---------------------------------------------------------------------------------

    def _providers(self) -> Iterator[Check]:
        catalogue = self._app.assembly().catalogue
        if self._provider is not None:
            catalogue.require(self._provider)
            names = [self._provider]
        else:
            own = ProviderFile(config_dir(self._environ)).names()
            used = {login.provider for login in self._summaries or () if login.holds_tokens}
            known = set(catalogue.names())
            names = [*own, *sorted((used & known) - set(own))][:_MOST]
        if not names:
            detail = "none is configured by you; those that are shipped need a client id"
            yield Check("providers", WARN, detail, Hint("provider list"))
        watching = _Watching(self._environ)
        for name in names:
            try:
                config = catalogue.lookup(name)
            except ConfigMissing as error:
                yield Check("client", FAIL, error.message, error.hint)
                continue
            except StayfastError as error:
                if self._provider is not None:  # else the file was looked at already
                    yield Check("client", FAIL, error.message, error.hint)
                continue
            yield from self._proxy(config)
            yield from self._discovery(config, watching)
        for host, off in watching.off.items():
            if abs(off) > _CLOCK_OFF:
                detail = f"{span(off)} {'ahead of' if off > 0 else 'behind'} {host}"
                yield Check("clock", FAIL, detail, "sudo timedatectl set-ntp true")
            else:
                yield Check("clock", OK, f"within {max(1, round(abs(off)))} s of {host}")

    def _proxy(self, config: OAuthConfig) -> Iterator[Check]:
        with suppress(ImportError):
            proxy = proxy_for(config.issuer or config.token_url, self._environ)
            if proxy is not None:
                yield Check("proxy", OK, f"{config.service_name}: as {proxy.variable} says")

    def _discovery(self, config: OAuthConfig, watching: _Watching) -> Iterator[Check]:
        name = config.service_name
        if self._offline or not config.issuer or config.discovers == "no":
            why = "no issuer: its endpoints are configured" if not config.issuer else "--offline"
            if config.discovers == "no":
                why = "its metadata are not read: its endpoints are configured"
            yield Check("discovery", SKIP, f"{name}: {why}")
        else:
            try:
                found = discover(
                    watching,
                    config.issuer,
                    template=config.issuer_template,
                    pkce=config.pkce != "off",
                )
            except StayfastError as error:
                hint = whole_issuer(error.hint, name)
                yield Check("discovery", FAIL, f"{name}: {error.message}", hint)
            else:
                yield from _published(name, found)
                config = apply_metadata(config, found)
        if config.pkce == "off":
            yield Check("pkce", WARN, f"{name}: off, as it is configured (RFC 7636)")
        yield from self._way(config)

    def _way(self, config: OAuthConfig) -> Iterator[Check]:
        """The transport that a login would use, and the browser and the port that it needs."""
        name = config.service_name
        environment = Environment.current(config, None)
        choice = choose(environment)
        detail = f"{name}: {choice.transport}, because {choice.reason} (row {choice.row})"
        yield Check("transport", OK, detail)
        broken = broken_rule(config)
        if broken is not None:
            hint = Hint("provider edit", name, "--redirect-uri", "http://…")
            yield Check("redirect", WARN, f"{name}: {broken}", hint)
        if choice.transport != "loopback":
            yield Check("browser", SKIP, f"{name}: {choice.transport} starts none here")
        elif not environment.browser:
            yield Check(
                "browser",
                WARN,
                "none can be started; the address is shown instead",
                "export BROWSER=PROGRAM",
            )
        elif not environment.display and sys.platform.startswith("linux"):
            detail = "there is no screen: DISPLAY and WAYLAND_DISPLAY are unset"
            yield Check("browser", WARN, detail, "export STAYFAST_VIA=manual")
        else:
            yield Check("browser", OK, "one can be started")
        ports = [port for port in redirect_of(config).ports if port]
        taken = [port for port in ports if not _free(port)]
        if taken and len(taken) == len(ports):
            detail = (
                f"{name}: {', '.join(map(str, taken))}, which its redirect address needs, is taken"
            )
            again = Hint("login", name, "--via", "manual")
            yield Check("ports", FAIL if choice.transport == "loopback" else WARN, detail, again)

    def _ports(self) -> Iterator[Check]:
        families = {"127.0.0.1": socket.AF_INET, "::1": socket.AF_INET6}
        works = [host for host, family in families.items() if _free(0, host, family)]
        if "127.0.0.1" not in works:
            detail = "nothing can listen on 127.0.0.1"
            yield Check("ports", FAIL, detail, "export STAYFAST_VIA=manual")
        else:
            more = "" if "::1" in works else "; ::1 is not there"
            yield Check("ports", OK, f"a login can listen on {' and '.join(works)}{more}")


def _exactly(seconds: int) -> str:
    """A setting in its largest unit that has no remainder."""
    fitting = ((seconds // unit, word) for unit, word in _UNITS if seconds % unit == 0)
    return "{} {}".format(*next(fitting))


def _published(name: str, found: ServerMetadata) -> Iterator[Check]:
    """What the metadata of a provider say of how safe a login can be."""
    named = {
        "authorization": found.authorization_endpoint,
        "token": found.token_endpoint,
        "device": found.device_authorization_endpoint,
        "revocation": found.revocation_endpoint,
    }
    has = ", ".join(what for what, where in named.items() if where)
    yield Check("discovery", OK, f"{name}: {has or 'no endpoint'}")
    if found.iss_supported:
        yield Check("issuer", OK, f"{name}: callbacks name it (RFC 9207)")
    else:
        detail = f"{name}: callbacks do not name it (RFC 9207), so servers could be mixed up"
        yield Check("issuer", WARN, detail)
    methods = found.pkce_methods
    if methods is None:
        yield Check("pkce", WARN, f"{name}: does not say whether it checks S256 (RFC 7636)")
    elif "S256" in methods:
        yield Check("pkce", OK, f"{name}: S256 offered")
    else:
        yield Check("pkce", FAIL, f"{name}: offers no S256, only {', '.join(methods) or 'nothing'}")


def _free(port: int, host: str = "127.0.0.1", family: int = socket.AF_INET) -> bool:
    """Whether something could listen on ``port`` now."""
    try:
        with socket.socket(family, socket.SOCK_STREAM) as one:
            if os.name == "posix":
                one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.bind((host, port))
            one.listen(1)
    except OSError:
        return False
    return True
