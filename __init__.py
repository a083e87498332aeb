"""OAuth sign-in for command-line programs that survives Ctrl-C, SSH, crashes and crowds.

Sign in, and call an API with a token that is always good::

    service = stayfast.OAuthService(app="acme", providers={"acme": stayfast.OAuthConfig(...)})
    result = service.authenticate("acme")     # Success or Failure; .value, .error, .hint
    requests.get("https://api.acme.example/me", auth=service.auth("acme"))

Start with :class:`OAuthService`; ``help(stayfast.OAuthService)`` explains each call. The same for

- asyncio: :class:`AsyncOAuthService`; commands of click or typer: :func:`commands`, :func:`typer_commands`
- providers: :class:`OAuthProvider`, :class:`OAuthConfig`, :data:`OAUTH_PROVIDERS`, :func:`provider_kinds`
- results: :class:`Success`, :class:`Failure`, :class:`SignedIn`, :class:`OAuthTokens`, :class:`Hint`
- errors: :class:`StayfastError` and those below it; each has a message, a hint and a code
- storages: :class:`FileTokenStorage`, :class:`EncryptedFileStorage`, :class:`KeyringStorage`,
  :class:`MemoryStorage`, ``PostgresStorage``; tokens of other programs: :func:`import_tokens`
- meeting the user: :class:`Conversation`, :class:`Browser`, :class:`Answers`, :class:`CancelToken`
- tests: ``python -m stayfast.testing`` runs a server; the extra ``testing`` has fixtures of pytest

A public name is loaded when it is first asked for: ``import stayfast`` costs no more than this file.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .engine.errors import (
        AuthCancelled,
        AuthFailed,
        AuthRequired,
        CallbackRefused,
        ConfigInvalid,
        ConfigMissing,
        Damaged,
        Fenced,
        IllegalTransition,
        LoginBusy,
        LoginPending,
        LoginTimedOut,
        NetworkError,
        NewerFormat,
        NotFound,
        OutcomeUnknown,
        ProviderError,
        StayfastError,
        StepUpRequired,
        StorageConflict,
        StorageError,
        StorageFull,
        TokenExpired,
        TokenRefreshFailed,
        TransportUnavailable,
    )
    from .engine.flows.logins import Started
    from .engine.hints import Hint
    from .engine.oauth.pkce import PKCEChallenge
    from .engine.oauth.provider import OAuthConfig, OAuthProvider
    from .engine.oauth.tokens import OAuthTokens
    from .engine.oauth.userinfo import UserInfo
    from .engine.ports import Answers, Browser, Conversation, Notice, NoticeKind, Storage
    from .engine.record import TokensNotSaved
    from .engine.result import ErrorCode, Failure, Result, Success
    from .engine.summary import Summary
    from .engine.table import TABLE, State, Trigger
    from .interfaces.async_service import AsyncOAuthService
    from .interfaces.audit.processors import audit_processors
    from .interfaces.auth_status import AuthStatus
    from .interfaces.catalogue import OAUTH_PROVIDERS
    from .interfaces.catalogue.kinds import ProviderKind, provider_kinds
    from .interfaces.command_group import commands, typer_commands
    from .interfaces.importers import Source, import_tokens
    from .interfaces.sdk import OAuthClient, create_client
    from .interfaces.service import OAuthService
    from .interfaces.signed_in import Health, SignedIn, SignedOut
    from .interfaces.telemetry import OpenTelemetryObserver
    from .interfaces.transport_maker import TransportName, Via
    from .interfaces.words import Advice
    from .storage import (
        EncryptedFileStorage,
        FileTokenStorage,
        KeyringStorage,
        MemoryStorage,
        MemoryTokenStorage,
        TokenStorageProtocol,
    )
    from .storage import PostgresStorage as PostgresStorage
    from .transports.cancelling import CancelToken

    __version__: str

__all__ = [
    "OAUTH_PROVIDERS",
    "TABLE",
    "Advice",
    "Answers",
    "AsyncOAuthService",
    "AuthCancelled",
    "AuthFailed",
    "AuthRequired",
    "AuthStatus",
    "Browser",
    "CallbackRefused",
    "CancelToken",
    "ConfigInvalid",
    "ConfigMissing",
    "Conversation",
    "Damaged",
    "EncryptedFileStorage",
    "ErrorCode",
    "Failure",
    "Fenced",
    "FileTokenStorage",
    "Health",
    "Hint",
    "IllegalTransition",
    "KeyringStorage",
    "LoginBusy",
    "LoginPending",
    "LoginTimedOut",
    "MemoryStorage",
    "MemoryTokenStorage",
    "NetworkError",
    "NewerFormat",
    "NotFound",
    "Notice",
    "NoticeKind",
    "OAuthClient",
    "OAuthConfig",
    "OAuthProvider",
    "OAuthService",
    "OAuthTokens",
    "OpenTelemetryObserver",
    "OutcomeUnknown",
    "PKCEChallenge",
    "ProviderError",
    "ProviderKind",
    "Result",
    "SignedIn",
    "SignedOut",
    "Source",
    "Started",
    "State",
    "StayfastError",
    "StepUpRequired",
    "Storage",
    "StorageConflict",
    "StorageError",
    "StorageFull",
    "Success",
    "Summary",
    "TokenExpired",
    "TokenRefreshFailed",
    "TokenStorageProtocol",
    "TokensNotSaved",
    "TransportName",
    "TransportUnavailable",
    "Trigger",
    "UserInfo",
    "Via",
    "__version__",
    "audit_processors",
    "commands",
    "create_client",
    "import_tokens",
    "provider_kinds",
    "typer_commands",
]

_HOMES = {
    "engine.hints": ("Hint",),
    "engine.ports": ("Answers", "Browser", "Conversation", "Notice", "NoticeKind", "Storage"),
    "engine.oauth.pkce": ("PKCEChallenge",),
    "engine.oauth.provider": ("OAuthConfig", "OAuthProvider"),
    "engine.record": ("TokensNotSaved",),
    "engine.summary": ("Summary",),
    "engine.result": ("ErrorCode", "Failure", "Result", "Success"),
    "engine.table": ("TABLE", "State", "Trigger"),
    "engine.oauth.tokens": ("OAuthTokens",),
    "engine.oauth.userinfo": ("UserInfo",),
    "interfaces.async_service": ("AsyncOAuthService",),
    "interfaces.audit.processors": ("audit_processors",),
    "interfaces.catalogue": ("OAUTH_PROVIDERS",),
    "interfaces.catalogue.kinds": ("ProviderKind", "provider_kinds"),
    "engine.flows.logins": ("Started",),
    "interfaces.auth_status": ("AuthStatus",),
    "interfaces.signed_in": ("Health", "SignedIn", "SignedOut"),
    "interfaces.command_group": ("commands", "typer_commands"),
    "interfaces.importers": ("Source", "import_tokens"),
    "interfaces.sdk": ("OAuthClient", "create_client"),
    "interfaces.service": ("OAuthService",),
    "interfaces.transport_maker": ("TransportName", "Via"),
    "interfaces.words": ("Advice",),
    "transports.cancelling": ("CancelToken",),
    "interfaces.telemetry": ("OpenTelemetryObserver",),
    "storage": (
        "EncryptedFileStorage",
        "FileTokenStorage",
        "KeyringStorage",
        "MemoryStorage",
        "MemoryTokenStorage",
        "PostgresStorage",
        "TokenStorageProtocol",
    ),
}
"""Where the names live; what is not here is an error."""

_WITH_AN_EXTRA = ("PostgresStorage",)
"""Public as well; not among those of ``import *``, because loading them needs an extra."""


def __getattr__(name: str) -> object:
    if name not in __all__ and name not in _WITH_AN_EXTRA:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    value: object
    if name == "__version__":
        from .storage.version import app_version  # noqa: PLC0415  few callers need it

        value = app_version()
    else:
        from importlib import import_module  # noqa: PLC0415  see the docstring

        home = next((home for home, names in _HOMES.items() if name in names), "engine.errors")
        value = getattr(import_module(f".{home}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    from traceback import walk_stack  # noqa: PLC0415  only where somebody looks

    # pydoc documents whatever dir() and __all__ name: 8,000 lines. It offers no other way to leave
    # classes out of help(stayfast), so it gets this file's text and the names. Its spec names it
    # under ``python -m pydoc``, too.
    specs = (frame.f_globals.get("__spec__") for frame, _ in walk_stack(None))
    if any(getattr(spec, "name", None) == "pydoc" for spec in specs):
        return ["__all__"]
    return sorted({*globals(), *__all__, *_WITH_AN_EXTRA})
