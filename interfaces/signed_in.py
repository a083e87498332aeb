"""What a login gives to the program: its tokens, and who signed in; and what signing out came to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

from ..engine.oauth.id_token import claims_of
from ..engine.oauth.token_extras import api_url
from ..engine.oauth.tokens import OAuthTokens
from ..engine.result import Failure

if TYPE_CHECKING:
    from ..engine.flows.logout import LogoutResult
    from ..engine.oauth.end_session import EndSession
    from ..engine.oauth.token_status import Revocation
    from ..engine.record import Login
    from ..engine.summary import Identity


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class SignedIn(OAuthTokens):
    """The tokens of a login that has just been finished, and whose they are.

    It is equal to its tokens alone: :meth:`to_dict` and a comparison leave out who signed in.

    Attributes:
        login_id: The full id of the login.
        account: The account that the login is kept under. It differs from the one that was asked
            for, if that one is another person's.
        identity: Who signed in; ``None`` unless a validated ID token said so.
        claims: All claims of that ID token (OpenID Connect Core §2). Empty without one.
        api_url: Where the API is that the tokens are for, if the provider's answer said so and a
            token may go there (Salesforce: ``instance_url``).
    """

    login_id: str
    account: str
    identity: Identity | None = None
    claims: Mapping[str, Any] = field(default_factory=dict[str, Any])
    api_url: str | None = None

    @classmethod
    def of(cls, login: Login, tokens: OAuthTokens) -> SignedIn:
        """What ``login`` gives, which holds ``tokens``."""
        # an ID token that was not validated is not kept, but a program may have imported one
        checked = tokens.id_token if login.identity is not None else None
        return cls(
            **_members(tokens),
            login_id=login.id,
            account=login.account,
            identity=login.identity,
            claims=claims_of(checked) if checked else {},
            api_url=api_url(login.config, tokens),
        )

    @property
    def tokens(self) -> OAuthTokens:
        """The tokens alone."""
        return OAuthTokens(**_members(self))

    def to_dict(self) -> dict[str, Any]:
        """The fields of the tokens, as :meth:`OAuthTokens.to_dict` has them."""
        return self.tokens.to_dict()

    def __eq__(self, other: object) -> bool:
        """Whether the tokens are equal."""
        if not isinstance(other, OAuthTokens):
            return NotImplemented
        return _members(self) == _members(other)

    def __hash__(self) -> int:
        return hash(self.access_token)

    def __repr__(self) -> str:
        shown = f"login_id={self.login_id!r}, account={self.account!r}, tokens={self.tokens!r}"
        return f"SignedIn({shown})"


def _members(tokens: OAuthTokens) -> dict[str, Any]:
    return {one.name: getattr(tokens, one.name) for one in fields(OAuthTokens)}


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedOut:
    """What came of signing out. The tokens are erased here in every case.

    Attributes:
        signed_in: Whether anybody was signed in.
        revocations: What the provider answered of each token, the refresh token first
            (:class:`stayfast.engine.oauth.token_status.Revocation`).
        revoked: Whether it confirmed all that was asked; ``None`` where nothing was asked.
        refresh_token_valid: Whether a refresh token may still be good there.
        access_token_valid: Whether the access token may still be good there.
        valid_until: When the access token ends by itself, POSIX seconds, if it may be good and that
            is known.
        problem: Why the provider did not confirm; its ``hint`` says how to go on.
        browser: What ends the session of a browser at the provider, by its ``address``: a web
            backend redirects its user there, and compares the ``state`` that comes back
            (OpenID Connect RP-Initiated Logout §2, §3). ``None`` where the provider has no such thing.
        returned: Whether this machine's browser came back from there; ``None`` if it was not sent.
    """

    signed_in: bool = False
    revocations: tuple[Revocation, ...] = ()
    revoked: bool | None = None
    refresh_token_valid: bool = False
    access_token_valid: bool = False
    valid_until: float | None = None
    problem: Failure | None = None
    browser: EndSession | None = None
    returned: bool | None = None

    @classmethod
    def of(
        cls, ended: LogoutResult, browser: EndSession | None, *, returned: bool | None
    ) -> SignedOut:
        """What ``ended`` says, with what a browser may do and did."""
        return cls(
            signed_in=True,
            revocations=ended.revocations,
            revoked=ended.revoked,
            refresh_token_valid=ended.refresh_token and ended.refresh_token_valid,
            access_token_valid=ended.access_token_valid,
            valid_until=ended.valid_until,
            problem=Failure.of(ended.problem) if ended.problem else None,
            browser=browser,
            returned=returned,
        )


def revocations_of(ended: LogoutResult) -> dict[str, Any]:
    """The answers of the provider as plain data, for JSON."""
    return {
        "revoked": ended.revoked,
        "refresh_token_valid": ended.refresh_token_valid if ended.refresh_token else None,
        "access_token_valid": ended.access_token_valid,
        "tokens": [
            {name: value for name, value in asdict(one).items() if value is not None}
            for one in ended.revocations
        ],
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """A storage that can be read and written.

    Attributes:
        storage: Its kind and place.
        seconds: How long a write took that was rolled back.
    """

    storage: str
    seconds: float
