"""The record of a login: immutable, versioned, and complete, so that any process can go on with it."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from .errors import ConfigInvalid, StorageError
from .secret import Secret
from .summary import SHORT_ID, Identity, Summary, account_alias
from .table import PENDING, State

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .oauth.provider import OAuthConfig
    from .oauth.tokens import OAuthTokens

DEFAULT_TIMEOUT: Final = 600.0
"""Seconds that a login waits for its user, where the caller says nothing of it."""
LONGEST_ACCOUNT: Final = 200
"""The number of characters of an account's name at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """The secrets by which an answer is recognised. Each is erased once it was used.

    Attributes:
        verifier: The PKCE code verifier (RFC 7636 §4.1).
        state: The ``state`` of the authorization request (RFC 6749 §10.12); ``None`` after a
            callback has used it.
        nonce: The ``nonce`` of the ID token (OpenID Connect Core §3.1.2.1).
    """

    verifier: Secret
    state: Secret | None
    nonce: Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceGrant:
    """A device authorization response (RFC 8628 §3.2).

    Attributes:
        device_code: The code that polls send.
        user_code: The code that the user types.
        verification_uri: The address of the page for the code.
        verification_uri_complete: The same with the code in it, for a QR code.
        expires_at: When the codes expire, POSIX seconds.
        interval: The least number of seconds between polls.
    """

    device_code: Secret
    user_code: str = field(repr=False)
    verification_uri: str
    verification_uri_complete: str | None = field(repr=False)
    expires_at: float
    interval: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofKey:
    """The key that the tokens of a login are bound to (DPoP, RFC 9449).

    Attributes:
        key: The private key, as the text of a JWK.
        algorithm: The JWS algorithm of its proofs.
        nonce: What the authorization server wanted in its last proof (§8).
    """

    key: Secret
    algorithm: str
    nonce: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PushedRequest:
    """An authorization request that the server has (RFC 9126 §2.2).

    Attributes:
        request_uri: Its name there, which is good once.
        expires_at: When the name ends, POSIX seconds.
    """

    request_uri: Secret
    expires_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Presentation:
    """How the user was asked to sign in: all that another process needs to go on with the wait.

    Attributes:
        transport: The transport's name.
        redirect_uri: The redirect address of the authorization request; ``None`` for the device flow.
        device: The device code; ``None`` without the device flow.
        pushed: The authorization request, where it was pushed.
    """

    transport: str
    redirect_uri: str | None = None
    device: DeviceGrant | None = None
    pushed: PushedRequest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """What is with the provider right now.

    Attributes:
        kind: Whether a code, another grant or a refresh token was sent.
        started_at: When, POSIX seconds.
        code: The authorization code, erased with the exchange.
        subject: The subject token of a token exchange, or the assertion; likewise.
        actor: The actor token of a token exchange; likewise.
        extras: What came with the code, of the parameters that the provider's settings name
            (:attr:`~.oauth.provider.OAuthProvider.callback_extras`).
    """

    kind: ExchangeKind
    started_at: float
    code: Secret | None = None
    subject: Secret | None = None
    actor: Secret | None = None
    extras: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setback:
    """Why the last refresh brought no tokens. The next tokens erase it.

    Attributes:
        tries: How many refreshes in a row brought none.
        doubts: How many answers may mean that the refresh token is dead, without saying so. An
            answer that means that it is good sets the count to 0; no answer does not.
        lost: Whether the provider may have acted upon a refresh whose answer never came.
        retry_at: When the next refresh may be sent, POSIX seconds, if the provider asked us to wait.
        message: The message that the caller got.
    """

    tries: int
    doubts: int = 0
    lost: bool = False
    retry_at: float | None = None
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadAnswer:
    """A success of the token endpoint that this version cannot read, and that may hold tokens.

    Attributes:
        status: The HTTP status.
        received_at: When it came, POSIX seconds.
        body: Its octets, one character each, up to a limit.
        content_type: What it called itself.
        date: The provider's own clock (HTTP ``Date``).
    """

    status: int
    received_at: float
    body: Secret
    content_type: str | None = None
    date: str | None = None


ExchangeKind: TypeAlias = Literal["code", "refresh", "grant"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """One run of the machine.

    Attributes:
        id: 26 Crockford base-32 characters; people see the first four.
        version: Counts the transitions; 0 has never been saved.
        state: Where it stands in the table.
        config: The provider and client it was begun with.
        account: Which of several accounts at one provider.
        created_at: When it was begun, POSIX seconds.
        changed_at: When it last changed, POSIX seconds.
        deadline: When a pending login ends by itself, POSIX seconds.
        reason: Why it is where it is (:class:`stayfast.engine.reasons.Reason`).
        oauth_error: The provider's last error code, if that is why.
        challenge: The secrets of a pending login.
        presentation: How the user was asked.
        exchange: What is with the provider.
        callback_digest: Which callback brought the code (:func:`.oauth.callback.digest_of`).
        tokens: What the login obtained.
        identity: Whose they are, where an ID token said so.
        replaces: Whether it takes the place of the account's older login, even of another person.
        setback: Why the last refresh brought no tokens.
        proof_key: The key that its tokens are bound to, if they are.
        unread: An answer that may hold tokens. The next tokens, and the end of the login, erase it.
    """

    id: str
    version: int
    state: State
    config: OAuthConfig
    account: str
    created_at: float
    changed_at: float
    deadline: float | None = None
    reason: str | None = None
    oauth_error: str | None = None
    challenge: Challenge | None = None
    presentation: Presentation | None = None
    exchange: Exchange | None = None
    callback_digest: str | None = None
    tokens: OAuthTokens | None = None
    identity: Identity | None = None
    replaces: bool = False
    setback: Setback | None = None
    unread: UnreadAnswer | None = None
    proof_key: ProofKey | None = None

    def __copy__(self) -> Login:
        return self

    def __deepcopy__(self, memo: object) -> Login:
        return self  # it is immutable

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle the login with its tokens and without its other secrets.

        A worker process reports a login in this way. The other secrets stay in the storage, where the
        login is found by its id.
        """
        members = {f.name: getattr(self, f.name) for f in fields(self)}
        shown, exchange = self.presentation, self.exchange
        if shown is not None and shown.device is not None:
            device = replace(shown.device, device_code=Secret(""))
            members["presentation"] = shown = replace(shown, device=device)
        if shown is not None:
            members["presentation"] = replace(shown, pushed=None)
        if exchange is not None:
            members["exchange"] = replace(exchange, code=None, subject=None, actor=None)
        config = self.config.without_secrets()
        return _login_of, (
            {**members, "config": config, "challenge": None, "unread": None, "proof_key": None},
        )

    @property
    def provider(self) -> str:
        """The name of the login's provider."""
        return self.config.service_name

    @property
    def short_id(self) -> str:
        """The part of the id that people are shown."""
        return self.id[:SHORT_ID]

    @property
    def pending(self) -> bool:
        """Whether it is on its way to its first tokens."""
        return self.state in PENDING and self.tokens is None

    @property
    def sends_grant(self) -> bool:
        """Whether a grant that needs no user is with the provider right now."""
        return self.exchange is not None and self.exchange.kind == "grant"

    @property
    def refreshable(self) -> bool:
        """Whether new tokens can be had without the user: by a refresh token, or by asking again."""
        tokens = self.tokens
        return tokens is not None and bool(tokens.refresh_token or self.config.can_ask_again)

    @property
    def alias(self) -> str | None:
        """Another key than the id: the account, or the ``state`` that the login waits for."""
        if self.tokens is not None:
            return account_alias(self.provider, self.account)
        if self.challenge is not None and self.challenge.state is not None:
            return state_alias(self.challenge.state)
        return None

    def summary(self) -> Summary:
        """The part of the login that a list shows. It holds no secret."""
        tokens = self.tokens
        return Summary(
            id=self.id,
            version=self.version,
            state=self.state,
            provider=self.provider,
            account=self.account,
            created_at=self.created_at,
            changed_at=self.changed_at,
            deadline=self.deadline if self.pending else None,
            reason=self.reason,
            oauth_error=self.oauth_error,
            transport=self.presentation.transport if self.presentation else None,
            issuer=self.config.issuer,
            holds_tokens=tokens is not None,
            expires_at=tokens.expires_at if tokens else None,
            issued_at=tokens.issued_at if tokens else None,
            scopes=tokens.scopes if tokens else (),
            refreshable=self.refreshable,
            refresh_expires_at=tokens.refresh_expires_at if tokens else None,
            identity=self.identity,
            plain=tokens is not None and not tokens.extra and self.config.pkce != "off",
        )


def _login_of(members: dict[str, Any]) -> Login:
    return Login(**members)


def require_account_name(account: str) -> None:
    """Make sure that ``account`` can be shown, typed and found again.

    Raises:
        ConfigInvalid: It is empty or blank, too long, or has characters that no line can show.
    """
    if not account.strip() or account != account.strip() or not account.isprintable():
        raise ConfigInvalid(
            f"{account[:40]!r} cannot be the name of an account", hint="--account work"
        )
    if len(account) > LONGEST_ACCOUNT:
        raise ConfigInvalid(
            f"the name of an account has at most {LONGEST_ACCOUNT} characters",
            hint="--account work",
        )


def account_names(identity: Identity) -> tuple[str, ...]:
    """Names for an account of ``identity``, the best first: what can be typed without quotes."""
    made = (
        "".join(c if c.isascii() and (c.isalnum() or c in "@._+-") else "-" for c in text)
        for text in (identity.name or "", identity.subject)
    )
    return tuple(name for name in (text.strip("-")[:100] for text in made) if name)


def state_alias(state: Secret) -> str:
    """The alias of a pending login, by which its callback finds it."""
    return f"state\0{state.reveal()}"


class TokensNotSaved(StorageError):
    """Tokens arrived and could not be saved: they are in this error.

    Attributes:
        login: The login with its tokens, as it would have been saved.
        kept: Where they are kept meanwhile, sealed, for the next process to save.
    """

    code = "STORAGE_TOKENS_NOT_SAVED"

    def __init__(
        self,
        message: str,
        *,
        login: Login,
        kept: str | None = None,
        hint: str | None = None,
    ) -> None:
        """Keep the tokens. The code that can save them again sets :attr:`save_again`."""
        super().__init__(message, hint=hint)
        self.login = login
        self._saving: Callable[[], Login] | None = None
        self.kept = kept

    @property
    def kept_where(self) -> str | None:
        """Where the tokens are meanwhile, in a sentence; ``None`` if nowhere but here."""
        if self.kept is None:
            return None
        return f"they are kept, sealed, in {self.kept}, and the next command saves them"

    @property
    def save_again(self) -> Callable[[], Login]:
        """Tries once more; returns the saved login or raises ``StorageError``."""
        # an error from another process has no function that could save
        saving: Callable[[], Login] | None = vars(self).get("_saving")
        return saving or self._cannot

    @save_again.setter
    def save_again(self, saving: Callable[[], Login]) -> None:
        self._saving = saving

    def _cannot(self) -> Login:
        raise self
