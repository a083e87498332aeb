"""The interpreter of the table: ``transitions``, lent to one record at a time.

One machine is built once and used with throw-away models that are never registered with it, so
100,000 logins cost no more memory than their records. No callback has an effect: the machine says
what is legal, the ledger saves it, and only then does anything happen outside.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Final

from transitions import Machine, MachineError

from .errors import IllegalTransition
from .table import TABLE, Guard, State, Trigger

if TYPE_CHECKING:
    from .record import Login


def _polls(login: Login) -> bool:
    return login.presentation is not None and login.presentation.device is not None


def _sends_code(login: Login) -> bool:
    return login.exchange is not None and login.exchange.kind == "code"


def _sends_refresh_token(login: Login) -> bool:
    return login.exchange is not None and login.exchange.kind == "refresh"


def _has_refresh_token(login: Login) -> bool:
    return login.tokens is not None and login.tokens.refresh_token is not None


GUARDS: Final[Mapping[Guard, Callable[[Login], bool]]] = {
    Guard.POLLS: _polls,
    Guard.SENDS_CODE: _sends_code,
    Guard.SENDS_REFRESH_TOKEN: _sends_refresh_token,
    Guard.HAS_REFRESH_TOKEN: _has_refresh_token,
}


class _Bearer:
    """What the machine moves: a state, and the record its guards look at."""

    __slots__ = ("login", "state")

    def __init__(self, login: Login) -> None:
        self.login = login
        self.state: str = login.state.value

    def polls(self) -> bool:
        return _polls(self.login)

    def sends_code(self) -> bool:
        return _sends_code(self.login)

    def sends_refresh_token(self) -> bool:
        return _sends_refresh_token(self.login)

    def has_refresh_token(self) -> bool:
        return _has_refresh_token(self.login)


@cache
def _machine() -> Machine:
    # auto_transitions would add a to_STATE() jump for every state; queued=True would answer True
    # to a guard that said no. Both are ways around the table.
    return Machine(
        model=None,
        states=[state.value for state in State],
        transitions=[
            {
                "trigger": row.trigger.value,
                "source": row.source.value,
                "dest": row.dest.value,
                "conditions": [row.guard.value] if row.guard else [],
            }
            for row in TABLE
        ],
        initial=State.IDLE.value,
        auto_transitions=False,
        queued=False,
    )


def next_state(login: Login, trigger: Trigger) -> State:
    """The state ``trigger`` leads ``login`` to.

    Raises:
        IllegalTransition: The table has no such row, or the row's guard said no.
    """
    bearer = _Bearer(login)
    try:
        moved = _machine().events[trigger.value].trigger(bearer)
    except MachineError:
        moved = False
    if not moved:
        msg = f"a login that is {login.state.value} cannot {trigger.value.replace('_', ' ')}"
        raise IllegalTransition(msg, hint=f"stayfast status {login.provider}")
    return State(bearer.state)
