"""What the flows depend on, in one bundle.

A module of its own, because every flow imports it: in the module of any of them it would close
an import circle.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar, overload

from ..errors import ConfigInvalid
from ..oauth.dpop import new_proof_key
from ..oauth.request_object import RequestSigner, no_signer

if TYPE_CHECKING:
    from ..oauth.provider import OAuthConfig
    from ..ports import Clock, Http, Randomness, Storage
    from ..record import ProofKey
    from .job import Courier
    from .ledger import Ledger

Readying: TypeAlias = Callable[["OAuthConfig"], None]
"""Loads what the exchange of a login will need; raises nothing."""
TokenReader: TypeAlias = Callable[[str], str]
"""Reads the file of a subject or actor token; raises ``ConfigMissing`` or ``ConfigInvalid``."""

T = TypeVar("T")


class made_once(Generic[T]):  # noqa: N801  used as a decorator
    """A part of a flow that is made by the first who wants it; if two make it at once, both get the same.

    No lock is held meanwhile, as :func:`functools.cached_property` does up to Python 3.11: a child that is
    forked by another thread would find it held for ever.
    """

    def __init__(self, make: Callable[[Any], T]) -> None:
        self._make = make
        self.__doc__ = make.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, whole: None, owner: type) -> made_once[T]: ...
    @overload
    def __get__(self, whole: object, owner: type | None = None) -> T: ...

    def __get__(self, whole: object, owner: type | None = None) -> Any:
        if whole is None:
            return self
        part: T = whole.__dict__.setdefault(self._name, self._make(whole))
        return part


def no_files(path: str) -> str:
    """Read no file: what a conductor does that was handed no reader.

    Raises:
        ConfigInvalid: Always.
    """
    raise ConfigInvalid(f"the token file {path} cannot be read here")


def ready_as_it_is(config: OAuthConfig) -> None:
    """Load nothing."""
    del config


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependencies:
    """The effects of one conductor.

    Attributes:
        storage: Where logins are kept.
        ledger: What changes them there.
        http: What speaks to providers.
        clock: What time it is.
        randomness: Where secrets come from.
        courier: What carries the stretch that must not be broken.
        new_proof_key: Where the keys of proofs come from.
        sign_request: What signs authorization requests, where that is asked for.
        read_token: What reads the files of subject and actor tokens.
        get_ready: Called when a user has been asked, and is waited for.
    """

    storage: Storage
    ledger: Ledger
    http: Http
    clock: Clock
    randomness: Randomness
    courier: Courier
    new_proof_key: Callable[[OAuthConfig], ProofKey] = new_proof_key
    sign_request: RequestSigner = no_signer
    read_token: TokenReader = no_files
    get_ready: Readying = ready_as_it_is
