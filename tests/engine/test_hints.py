from __future__ import annotations

import copy
import pickle
import shlex

import pytest
from stayfast.engine import cbor
from stayfast.engine.errors import AuthRequired
from stayfast.engine.hints import Hint
from stayfast.interfaces.couriers.wire import pack_outcome, unpack_outcome

HINTS = [
    Hint("login", "acme", "--via", "device", account="work"),
    Hint("resume", None, "--callback-url", "-", login="4f2a"),
    Hint("help providers"),
    Hint.note("df -h"),
]


@pytest.mark.parametrize(
    "again",
    [lambda hint: pickle.loads(pickle.dumps(hint)), copy.copy, copy.deepcopy],
    ids=["pickle", "copy", "deepcopy"],
)
@pytest.mark.parametrize("hint", HINTS, ids=str)
def test_a_copy_of_a_hint_has_its_data(hint, again):
    """A hint that crosses a process, or is copied, keeps its sentence and its data."""
    made = again(hint)

    assert (str(made), type(made), made.members()) == (str(hint), Hint, hint.members())


@pytest.mark.parametrize("hint", HINTS, ids=str)
def test_a_hint_of_a_courier_has_its_data(hint):
    """An error that a courier reports keeps what is to be done as data."""
    packed = pack_outcome(AuthRequired("not signed in", hint=hint))

    with pytest.raises(AuthRequired) as caught:
        unpack_outcome(cbor.decode(packed))

    assert caught.value.hint == hint
    assert caught.value.hint is not None
    assert caught.value.hint.members() == hint.members()


def test_plain_text_is_a_note():
    """An error takes a plain sentence for a hint; it is one without an action."""
    hint = AuthRequired("no", hint="df -h").hint

    assert isinstance(hint, Hint)
    assert (hint, hint.action, hint.members()) == ("df -h", "", {})


def test_other_words_keep_the_data():
    """A program words a hint anew; what is to be done stays the same, and the first is as it was."""
    hint = HINTS[0]
    other = hint.worded("please sign in")

    assert str(other) == "please sign in"
    assert other.members() == hint.members()
    assert str(hint) == "stayfast login acme --account work --via device"


def test_a_hint_does_not_change():
    """A hint is shared between errors, so nobody can change it."""
    with pytest.raises(AttributeError):
        HINTS[0].provider = "other"


@pytest.mark.parametrize(
    "account", ["work", "a b", "it's", "-x", "--account", "$(id)", "ä", "", "*", "a\nb", "''"]
)
def test_the_line_is_quoted_for_a_shell(account):
    """Whatever an account is called, a shell passes its name on as one word."""
    words = shlex.split(str(Hint("login", "acme", account=account)))

    assert words[:3] == ["stayfast", "login", "acme"]
    assert "=".join(words[3:]).removeprefix("--account=") == account


def test_the_usual_account_is_not_named():
    """The account that a user never named is not in the line, nor in the data."""
    assert Hint("login", "acme", account="default") == "stayfast login acme"
    assert "account" not in Hint("login", "acme", account="default").members()
