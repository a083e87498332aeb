from __future__ import annotations

import copy
import json
import logging
import pickle
import traceback

import pytest
from stayfast.engine.secret import HIDDEN, Secret

VALUE = "canary-4711"


@pytest.mark.parametrize(
    "show",
    [
        repr,
        str,
        format,
        "{}".format,
        "{!r:>40}".format,
        "{:>40}".format,
        lambda secret: f"{secret}",
        lambda secret: f"{secret!s:^20}",
        lambda secret: "%s" % secret,  # noqa: UP031 - logging formats this way
        lambda secret: repr([secret, {"a": secret}, (secret,)]),
        ascii,
    ],
)
def test_no_way_of_showing_it_shows_it(show):
    """However a secret is turned into text, the value is not in it."""
    assert VALUE not in show(Secret(VALUE))


def test_what_is_shown_does_not_depend_on_the_value():
    """Nor does its length."""
    assert repr(Secret(VALUE)) == repr(Secret("")) == str(Secret("x" * 99)) == HIDDEN


def test_a_traceback_that_shows_locals_hides_it():
    """Even a traceback with every local variable in it has no value."""
    secret = Secret(VALUE)
    try:
        _ = {}[secret]
    except KeyError as error:
        shown = "".join(
            traceback.TracebackException.from_exception(error, capture_locals=True).format()
        )
    assert "secret = " in shown
    assert VALUE not in shown


def test_a_log_line_hides_it(caplog):
    """A secret handed to the logger by mistake is hidden there too."""
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("test").debug("value %s and %r", Secret(VALUE), [Secret(VALUE)])

    assert VALUE not in caplog.text
    assert HIDDEN in caplog.text


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_it_is_not_pickled(protocol):
    """A secret does not travel in a pickle, alone or inside something."""
    with pytest.raises(TypeError):
        pickle.dumps(Secret(VALUE), protocol)
    with pytest.raises(TypeError):
        pickle.dumps({"a": [Secret(VALUE)]}, protocol)


@pytest.mark.parametrize("way", [copy.copy, copy.deepcopy])
def test_its_copy_is_the_same_object(way):
    """No second object holds the value."""
    secret = Secret(VALUE)
    assert way(secret) is secret
    assert way([secret])[0] is secret


def test_an_empty_one_may_travel():
    """What has nothing to hide stands in the place of a secret that stayed behind."""
    assert pickle.loads(pickle.dumps(Secret(""))) == Secret("")


def test_it_is_not_json():
    """A secret does not slip into JSON."""
    with pytest.raises(TypeError):
        json.dumps({"a": Secret(VALUE)})


def test_it_has_no_attributes_to_print():
    """There is no `__dict__` for a careless dump of an object."""
    with pytest.raises(TypeError):
        vars(Secret(VALUE))


def test_the_value_is_there_for_those_who_ask():
    """`reveal` is the one way, and length and truth say only that."""
    assert Secret(VALUE).reveal() == VALUE
    assert len(Secret(VALUE)) == len(VALUE)
    assert Secret(VALUE)
    assert not Secret("")


@pytest.mark.parametrize("value", ["", "a", "ä", "\ud83d", "x" * 10_000])
def test_equality_is_that_of_the_values(value):
    """Equal values are equal, also where they are no plain text; a string is no secret."""
    assert Secret(value) == Secret(value)
    assert hash(Secret(value)) == hash(Secret(value))
    assert Secret(value) != Secret(value + "!")
    assert Secret(value) != value


def test_values_are_compared_in_constant_time(monkeypatch):
    """The comparison sees both whole values, and takes no longer the more of them is right."""
    seen = []

    def compared(one, other):
        seen.append((bytes(one), bytes(other)))
        return bytes(one) == bytes(other)

    monkeypatch.setattr("hmac.compare_digest", compared)
    assert Secret("right") != Secret("wrong")
    assert seen == [(b"right", b"wrong")]
