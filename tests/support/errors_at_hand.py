"""One error of each class."""

from __future__ import annotations

import inspect

from logins import fresh_login
from stayfast.engine.errors import StayfastError

EXTRA = {
    "reason": "wrong_state",
    "challenge": 'Bearer error="insufficient_scope"',
    "login": fresh_login(),
}
"""What some errors ask for besides their sentence."""


def make_error(
    kind: type[StayfastError], message: str = "it went wrong", **named: object
) -> StayfastError:
    """An error of a class, with the further arguments that class asks for."""
    asked = inspect.signature(kind).parameters
    return kind(
        message, **{name: value for name, value in (EXTRA | named).items() if name in asked}
    )
