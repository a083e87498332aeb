"""The log of a program that embeds the library."""

from __future__ import annotations

import logging

import pytest
from stayfast.engine.result import Success
from stayfast.interfaces.service import OAuthService
from stayfast.storage import MemoryStorage
from transitions import Machine


def test_it_has_no_lines_of_our_state_machine_and_keeps_its_own(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """At any level; a machine that the program makes with the same package is still logged."""
    caplog.set_level(logging.DEBUG)
    begun = OAuthService(storage=MemoryStorage()).begin("github", client_id="x")
    assert isinstance(begun, Success)
    assert [one for one in caplog.records if one.name.startswith("transitions")] == []
    model = Machine(states=["off", "on"], initial="off")
    model.add_transition("press", "off", "on")
    model.trigger("press")
    assert [one for one in caplog.records if one.name.startswith("transitions")] != []
