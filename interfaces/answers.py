"""How the calls of a service answer: a value or a failure, and what Ctrl-C leaves behind."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from functools import wraps
from typing import TYPE_CHECKING, Concatenate, ParamSpec, Protocol, TypeVar

from ..engine.errors import AuthFailed, AuthRequired, StayfastError
from ..engine.hints import Hint
from ..engine.login_id import interrupted_login
from ..engine.oauth.login_wishes import WISHES
from ..engine.record import TokensNotSaved
from ..engine.result import Failure, Success
from .arguments import OF_CALLS, keywords_of, optional_of, require, require_keywords
from .signed_in import SignedIn

if TYPE_CHECKING:
    from ..engine.oauth.tokens import OAuthTokens
    from ..engine.record import Login
    from ..engine.result import Result
    from .assembly import Assembly
    from .words import Words

P = ParamSpec("P")
T = TypeVar("T")


class Answering(Protocol):
    """What has such calls: a service."""

    words: Words

    @property
    def assembly(self) -> Assembly:
        """The parts behind it."""
        ...


S = TypeVar("S", bound=Answering)


def tokens_of(login: Login) -> OAuthTokens:
    """The tokens that ``login`` holds.

    Raises:
        AuthRequired: It holds none.
    """
    if login.tokens is None:
        msg = f"login {login.short_id} holds no tokens"
        raise AuthRequired(msg, hint=Hint.sign_in(login))
    return login.tokens


def signed_in(login: Login) -> SignedIn:
    """The tokens that ``login`` holds, and whose they are.

    Raises:
        AuthRequired: It holds none.
    """
    return SignedIn.of(login, tokens_of(login))


def refusal_of(error: Exception) -> StayfastError | None:
    """``error`` as one of our own; ``None`` of a mistake, which no caller can do anything about.

    Any call may meet a limit of the process or the system: of open files, of threads, of memory. A call may
    also come while Python ends, as in ``__del__``: then nothing can be loaded any more.
    """
    if isinstance(error, StayfastError):
        return error
    hint = "try again in a while"
    if sys.is_finalizing() or "interpreter shutdown" in str(error):
        why, hint = "this program is ending", "call this before the program ends"
    elif isinstance(error, OSError):
        why = f"the system refused what was needed: {(error.strerror or type(error).__name__).lower()}"
    elif isinstance(error, MemoryError):
        why = "the system refused what was needed: no memory is left"
    elif isinstance(error, RuntimeError) and "new thread" in str(error):
        why = "the system refused what was needed: no further thread can be started"
    elif isinstance(error, ImportError):
        why = f"the module {error.name or 'that was needed'} cannot be loaded"
        hint = "try again in a while; if it stays so, install Stayfast anew"
    else:
        return None
    refused = AuthFailed(why, hint=hint)
    refused.__cause__ = error
    return refused


@contextmanager
def raising_ours() -> Generator[None]:
    """Let what is made in the block fail with a :class:`StayfastError`, also at a limit of the system."""
    try:
        yield
    except Exception as error:
        refused = refusal_of(error)
        if refused is None or refused is error:
            raise
        raise refused from error


def handing_out(
    given: Callable[[Login], T],
) -> Callable[
    [Callable[Concatenate[S, P], T]],
    Callable[Concatenate[S, P], Result[T]],
]:
    """As :func:`answered`; of tokens that are kept elsewhere for now, ``given`` comes with a warning."""

    def decorate(
        method: Callable[Concatenate[S, P], T],
    ) -> Callable[Concatenate[S, P], Result[T]]:
        plain = answered(method)

        @wraps(plain)
        def answer(self: S, /, *args: P.args, **kwargs: P.kwargs) -> Result[T]:
            result = plain(self, *args, **kwargs)
            cause = None if isinstance(result, Success) else result.cause
            if not isinstance(cause, TokensNotSaved) or cause.kept is None:
                return result
            cause.why = cause.kept_where
            self.words.put_into(cause)
            value = given(cause.login)
            return Success(value, Failure.of(cause), hidden=_secret(value))

        return answer

    return decorate


def answered(
    method: Callable[Concatenate[S, P], T],
) -> Callable[Concatenate[S, P], Result[T]]:
    """``method`` with its errors as :class:`Failure` and its value as :class:`Success`.

    A keyword that it does not know is a mistake of the program, and no failure: ``TypeError``.
    """
    shown = inspect.signature(method)
    names, optional = tuple(shown.parameters)[1:], optional_of(shown)
    known = keywords_of(method, WISHES)

    @wraps(method)
    def answer(self: S, /, *args: P.args, **kwargs: P.kwargs) -> Result[T]:
        require_keywords(method.__qualname__, known, kwargs)
        try:
            require(OF_CALLS, [*zip(names, args, strict=False), *kwargs.items()], optional)
            value = method(self, *args, **kwargs)
        except Exception as error:
            refused = refusal_of(error)
            if refused is None:
                raise
            self.words.put_into(refused)
            return Failure.of(refused)
        except KeyboardInterrupt as stop:
            _say_how_to_go_on(self, stop)
            raise
        return Success(value, hidden=_secret(value))

    # help() and signature() would show what the method gives, and not what the caller gets
    returned = f"Result[{shown.return_annotation}]"
    answer.__dict__["__signature__"] = shown.replace(return_annotation=returned)
    answer.__annotations__ = {**method.__annotations__, "return": returned}
    return answer


def _secret(value: object) -> bool:
    """Whether ``value`` is a token, or has one, in plain text: no class of ours hides it."""
    return type(value) in {str, dict}


def _say_how_to_go_on(service: Answering, stop: KeyboardInterrupt) -> None:
    """Note in ``stop`` which login it has paused, and how to go on with it.

    It stays a plain KeyboardInterrupt. Python ends a program by the signal for that class alone, and a
    shell stops its loop for that end alone.
    """
    login_id = interrupted_login(stop)
    login = None
    with suppress(StayfastError, OSError):
        login = service.assembly.storage.read(login_id) if login_id is not None else None
    if login is None:
        return
    if not login.pending:
        if login.tokens is not None:
            stop.add_note(f"login {login.short_id} to {login.provider} is finished and saved")
        return
    hint = service.words.hint(Hint("resume", login=login.short_id))
    stop.add_note(
        f"login {login.short_id} to {login.provider} is saved and waits\n"
        f"hint: {hint}; in a program: resume({login.id!r})"
    )
