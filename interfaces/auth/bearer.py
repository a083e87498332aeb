"""The rules of an auth object that every HTTP library shares: which token, for which request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, TypeVar
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from ...engine.errors import (
    AuthFailed,
    ConfigInvalid,
    StayfastError,
    StepUpRequired,
    TokenExpired,
)
from ...engine.hints import Hint
from ...engine.oauth.addresses import loopback_host
from ...engine.oauth.dpop import usable_nonce
from ...engine.oauth.www_authenticate import (
    INSUFFICIENT_AUTHENTICATION,
    INSUFFICIENT_SCOPE,
    challenge_for_token,
)
from ...engine.result import Failure
from ...engine.summary import DEFAULT_ACCOUNT

if TYPE_CHECKING:
    from ...engine.oauth.tokens import OAuthTokens
    from ...engine.oauth.www_authenticate import AuthChallenge
    from ...engine.result import Result
    from ..tokens_at_hand import TokensAtHand
    from ..words import Words

T = TypeVar("T")
E = TypeVar("E", bound=StayfastError)

PROOF: Final = "DPoP"
"""The header of a proof, and the scheme of a token that needs one."""
_ABOUT_PROOF: Final = ("use_dpop_nonce", "invalid_dpop_proof")
_STRONGER: Final = frozenset({INSUFFICIENT_SCOPE, INSUFFICIENT_AUTHENTICATION})
_PORTS: Final = {"http": 80, "https": 443}


class TokenSource(Protocol):
    """What an auth object needs of :class:`stayfast.OAuthService`."""

    words: Words

    @property
    def at_hand(self) -> TokensAtHand | None:
        """The tokens that memory has, if it can have any."""
        ...

    def request_headers(
        self, service: str, method: str, url: str, *, account: str = ..., nonce: str | None = ...
    ) -> Result[dict[str, str]]:
        """The headers by which one request carries an access token that is good now."""
        ...

    def refresh_tokens(
        self, service: str, *, account: str = ..., rejected: str | OAuthTokens | None = ...
    ) -> Result[OAuthTokens]:
        """Tokens other than those that were rejected."""
        ...


class Origin(NamedTuple):
    """Where a request goes (RFC 6454 §4).

    Attributes:
        scheme: In lower case.
        host: In lower case; an international name in its ASCII form.
        port: As connected to.
    """

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, address: str) -> Origin:
        """The origin of an absolute address.

        Raises:
            ConfigInvalid: It has no host, or a port that is no number.
        """
        try:
            parts = urlsplit(address)
            port = parts.port
        except ValueError:
            parts, port = urlsplit(""), None
        if not parts.hostname:
            raise ConfigInvalid(
                "a request without a host gets no token", hint="write https://HOST/…"
            )
        return cls(parts.scheme, parts.hostname, port or _PORTS.get(parts.scheme, 0))


@dataclass(frozen=True, slots=True)
class AllowedHost:
    """One of the hosts that a token is for; a part that is ``None`` may be anything.

    Attributes:
        scheme: ``https`` or ``http``.
        host: In lower case.
        port: Its port.
    """

    scheme: str | None
    host: str
    port: int | None

    @classmethod
    def of(cls, text: str) -> AllowedHost:
        """The host that ``text`` names: ``HOST``, ``HOST:PORT`` or ``SCHEME://HOST[:PORT]``.

        Raises:
            ConfigInvalid: It is none of these.
        """
        scheme, mark, rest = text.strip().rpartition("://")
        try:
            parts = urlsplit(f"//{rest}")
            host, port = parts.hostname, parts.port
        except ValueError:
            host, port, parts = None, None, urlsplit("")
        bare = rest.removesuffix("/") == parts.netloc and "@" not in rest and text.isascii()
        if not host or not bare or not text.isprintable() or (mark and scheme not in _PORTS):
            raise ConfigInvalid(
                f"{text[:80]!r} is not a host that a token can be for",
                hint="write api.example.com, or https://api.example.com:8443",
            )
        if mark and port is None:
            port = _PORTS[scheme]
        return cls(scheme or None, host, port)

    def covers(self, origin: Origin) -> bool:
        """Whether a request to ``origin`` goes to this host."""
        return (
            self.host == origin.host
            and self.port in {None, origin.port}
            and self.scheme in {None, origin.scheme}
        )


@dataclass(slots=True, repr=False)
class ServerMemory:
    """What the servers said about the tokens of one account.

    Attributes:
        refused_fresh: The token that each refused although it had just been renewed.
        nonces: What each wants in the next proof (RFC 9449 §8.2).
    """

    refused_fresh: dict[Origin, str] = field(default_factory=dict[Origin, str])
    nonces: dict[Origin, str] = field(default_factory=dict[Origin, str])


# A program may make an auth object for each request: what servers said is kept with the service, or
# each of these objects would refresh once at a server that refuses every token.
_memories: WeakKeyDictionary[TokenSource, dict[tuple[str, str], ServerMemory]] = WeakKeyDictionary()


@dataclass(repr=False)
class Bearer:
    """Chooses the token of each request, for any number of threads.

    Attributes:
        source: Hands out tokens.
        provider: Whose tokens.
        account: Which of several accounts.
        hosts: The hosts that may get a token; empty for every host.
        memory: What the servers said.
    """

    source: TokenSource
    provider: str
    account: str = DEFAULT_ACCOUNT
    hosts: tuple[AllowedHost, ...] = ()
    memory: ServerMemory = field(default_factory=ServerMemory)

    @classmethod
    def for_hosts(
        cls, source: TokenSource, provider: str, account: str, hosts: str | Sequence[str]
    ) -> Bearer:
        """Tokens of ``provider`` for ``hosts``; one text is split at its blanks.

        Raises:
            ConfigInvalid: One of ``hosts`` is not a host.
        """
        names = hosts.split() if isinstance(hosts, str) else hosts
        allowed = tuple(AllowedHost.of(name) for name in names)
        memories = _memories.setdefault(source, {})
        memory = memories.setdefault((provider, account), ServerMemory())
        return cls(source, provider, account, allowed, memory)

    def headers(self, method: str, url: str) -> dict[str, str] | None:
        """The headers of one request to ``url``; ``None`` if no token is for that host.

        Raises:
            ConfigInvalid: The request would carry the token over plain ``http`` to another machine.
            StayfastError: As :meth:`stayfast.OAuthService.request_headers` fails.
        """
        if (kept := self.kept_headers(url)) is not None or not self._meant_for(url):
            return kept
        return _given(
            self.source.request_headers(
                self.provider,
                method,
                url,
                account=self.account,
                nonce=self.memory.nonces.get(Origin.of(url)),
            )
        )

    def kept_headers(self, url: str) -> dict[str, str] | None:
        """As :meth:`headers`, from memory alone; ``None`` also where the storage is to be asked.

        Raises:
            ConfigInvalid: As there.
        """
        if not self._meant_for(url):
            return None
        at_hand = self.source.at_hand
        kept = None if at_hand is None else at_hand.bearer(self.provider, self.account)
        return None if kept is None else {"Authorization": f"Bearer {kept.value}"}

    def _meant_for(self, url: str) -> bool:
        """Whether a request to ``url`` may have the token.

        Raises:
            ConfigInvalid: It would carry it over plain ``http`` to another machine.
        """
        origin = Origin.of(url)
        named = [host for host in self.hosts if host.covers(origin)]
        if self.hosts and not named:
            return False
        plain = origin.scheme != "https" and not loopback_host(origin.host)
        if plain and not any(host.scheme for host in named):
            raise ConfigInvalid(
                f"a token is not sent over plain http to {origin.host}",
                hint=f"use https, or name http://{origin.host} among the hosts of the auth object",
            )
        return True

    def proved_anew(
        self, method: str, url: str, sent: Mapping[str, str], answer: Mapping[str, str]
    ) -> dict[str, str] | None:
        """The headers to send once more, where a 401 was about the proof and not about the token.

        A resource server asks for a nonce in this way (RFC 9449 §9), and so ends a redirect, which
        takes the proof of another address with it.

        Args:
            method: The method of the refused request.
            url: Its address.
            sent: Its headers.
            answer: The headers of the 401.
        """
        said = answer.get("WWW-Authenticate", "")
        proved = PROOF in sent or sent.get("Authorization", "").startswith(f"{PROOF} ")
        if not proved or not any(error in said for error in _ABOUT_PROOF):
            return None
        return self.headers(method, url)

    def heard(self, url: str, answer: Mapping[str, str]) -> None:
        """Remember the nonce that a resource server wants in the next proof (RFC 9449 §8.2)."""
        nonce = answer.get("DPoP-Nonce")
        if nonce is not None and usable_nonce(nonce):
            self.memory.nonces[Origin.of(url)] = nonce

    def require_enough(self, status: int, answer: Mapping[str, str]) -> None:
        """Make sure that an answer does not ask for a stronger login than the present one.

        Refreshing would not help, and signing in is the program's to decide. So this ends the
        request, and nothing loops.

        Args:
            status: The HTTP status of the answer.
            answer: Its headers.

        Raises:
            StepUpRequired: It asks for more scopes (RFC 6750 §3.1), or for a newer or stronger
                sign-in (RFC 9470 §3).
        """
        wanted = stronger(status, answer.get("WWW-Authenticate", ""))
        if wanted is not None:
            raise self.step_up(wanted)

    def step_up(self, wanted: AuthChallenge, hint: Hint | None = None) -> StepUpRequired:
        """The error that says what the API wants, in the words of the program."""
        challenge = wanted.header()
        error = StepUpRequired(
            f"the API asks for more than the present login to {self.provider} has",
            challenge=challenge,
            scopes=wanted.scopes,
            acr_values=wanted.acr_values,
            max_age=wanted.max_age,
            hint=hint
            or Hint("login", self.provider, "--challenge", challenge, account=self.account),
        )
        self.source.words.put_into(error)
        return _advising(error)

    def another(self, refused: str, method: str, url: str) -> dict[str, str] | None:
        """The headers with a token other than ``refused``, which was answered with 401.

        ``None`` if there is none, or if refreshing is known not to help there.

        Raises:
            StayfastError: As :meth:`stayfast.OAuthService.refresh_tokens` fails, but for a login
                without a refresh token.
        """
        origin = Origin.of(url)
        if self.memory.refused_fresh.get(origin) == refused:
            return None
        try:
            tokens = _given(
                self.source.refresh_tokens(self.provider, account=self.account, rejected=refused)
            )
        except TokenExpired:
            return None
        if tokens.access_token == refused:
            return None
        return self.headers(method, url)

    def refused_again(self, fresh: Mapping[str, str], url: str) -> None:
        """Note that ``fresh`` was refused too, the answer of :meth:`another`."""
        token = token_in(fresh.get("Authorization"))
        if token is not None:
            self.memory.refused_fresh[Origin.of(url)] = token


def stronger(status: int, header: str) -> AuthChallenge | None:
    """The challenge of an answer that asks for more scopes, or another way of signing in."""
    if status not in {400, 401, 403} or not header:
        return None
    found = challenge_for_token(header)
    return found if found is not None and found.error in _STRONGER else None


def token_in(value: str | None) -> str | None:
    """The token in an ``Authorization`` header of ours (RFC 6750 §2.1, RFC 9449 §7.1)."""
    scheme, _, token = (value or "").partition(" ")
    return token if scheme in {"Bearer", PROOF} and token else None


def _given(result: Result[T]) -> T:
    if isinstance(result, Failure):
        raise _advising(result.cause or AuthFailed(result.error, hint=result.hint))
    return result.value


def _advising(error: E) -> E:
    """``error``, whose traceback shows the hint: a script that catches nothing is helped, too."""
    if error.hint is not None:
        error.add_note(f"hint: {error.hint}")
    return error
