"""The interpreter of the table: one machine of ``transitions`` for all records.

The machine is built once. It works on a small model that exists for one call and is never
registered, so 100,000 logins need no more memory than their records (a machine for each would take
25 kB). No callback has an effect: the machine says what is legal, the ledger saves it, and only
then does anything happen outside.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from functools import cache
from typing import TYPE_CHECKING, Final

from .errors import IllegalTransition
from .hints import Hint
from .table import TABLE, Guard, State, Trigger

if TYPE_CHECKING:
    import logging

    from transitions import Machine

    from .record import Login


def _polls(login: Login) -> bool:
    return login.presentation is not None and login.presentation.device is not None


def _pushed(login: Login) -> bool:
    return login.presentation is not None and login.presentation.pushed is not None


def _sends_code(login: Login) -> bool:
    return login.exchange is not None and login.exchange.kind == "code"


def _needs_no_user(login: Login) -> bool:
    return login.config.needs_no_user


def _sends_grant(login: Login) -> bool:
    return login.tokens is None and login.sends_grant


def _gets_first_tokens(login: Login) -> bool:
    return _sends_code(login) or _sends_grant(login)


def _renews_tokens(login: Login) -> bool:
    if login.exchange is None or login.exchange.kind == "code":
        return False
    return login.exchange.kind == "refresh" or login.tokens is not None


def _can_ask_again(login: Login) -> bool:
    return login.tokens is not None and login.config.can_ask_again


def _has_refresh_token(login: Login) -> bool:
    return login.tokens is not None and login.tokens.refresh_token is not None


GUARDS: Final[Mapping[Guard, Callable[[Login], bool]]] = {
    Guard.NEEDS_NO_USER: _needs_no_user,
    Guard.POLLS: _polls,
    Guard.PUSHED: _pushed,
    Guard.SENDS_CODE: _sends_code,
    Guard.SENDS_GRANT: _sends_grant,
    Guard.GETS_FIRST_TOKENS: _gets_first_tokens,
    Guard.RENEWS_TOKENS: _renews_tokens,
    Guard.HAS_REFRESH_TOKEN: _has_refresh_token,
    Guard.CAN_ASK_AGAIN: _can_ask_again,
}
"""The test of each guard of the table. It is defined nowhere else."""


def allows(guard: Guard | None, login: Login) -> bool:
    """Whether ``login`` meets ``guard``. A row without a guard is always allowed."""
    return guard is None or GUARDS[guard](login)


class _Model:
    """The object that ``transitions`` changes: a state. The guards look at the login itself."""

    __slots__ = ("state",)

    def __init__(self, state: State) -> None:
        self.state: str = state.value


at_work: Final[ContextVar[bool]] = ContextVar("at_work", default=False)
"""Whether ``transitions`` works for us right now: what it logs then is for nobody."""


def _of_the_program(record: logging.LogRecord) -> bool:
    """Whether a line of ``transitions`` is about a machine of the program that embeds ours.

    Our own voice is the audit log. The program's log must not have lines of a library inside ours.
    """
    del record
    return not at_work.get()


@cache
def _machine() -> Machine:
    # many processes look at logins and change none: they need not wait for the interpreter
    import logging  # noqa: PLC0415

    from transitions import Machine  # noqa: PLC0415

    logging.getLogger("transitions.core").addFilter(_of_the_program)
    # auto_transitions would add a trigger to_STATE for every state; with queued=True a trigger
    # returns True although its guard is false. Either would be a way around the table.
    return Machine(
        model=None,
        states=[state.value for state in State],
        transitions=[
            {
                "trigger": row.trigger.value,
                "source": row.source.value,
                "dest": row.dest.value,
                "conditions": [GUARDS[row.guard]] if row.guard else [],
            }
            for row in TABLE
        ],
        initial=State.IDLE.value,
        auto_transitions=False,
        queued=False,
    )


def next_state(login: Login, trigger: Trigger) -> State:
    """The state that ``trigger`` leads ``login`` to.

    Raises:
        IllegalTransition: The table has no such row, or the row's guard is false.
    """
    from transitions import MachineError  # noqa: PLC0415  see _machine

    model = _Model(login.state)
    quiet = at_work.set(True)
    try:
        moved = _machine().events[trigger.value].trigger(model, login)
    except MachineError:
        moved = False
    finally:
        at_work.reset(quiet)
    # a false guard is not an error for ``transitions``, it just returns False; for us it is one
    if not moved:
        msg = f"a login that is {login.state.value} cannot {trigger.value.replace('_', ' ')}"
        raise IllegalTransition(msg, hint=Hint("status", login.provider))
    return State(model.state)
