"""Whether an answer is this login's, and what it says."""

from __future__ import annotations

from dataclasses import replace

import pytest
from logins import BY_BROWSER, CHALLENGE, CODE_EXCHANGE, CONFIG, NOW
from stayfast.engine.errors import CallbackRefused, IllegalTransition
from stayfast.engine.foreign_text import presentable, quotable
from stayfast.engine.oauth.callback import (
    Denial,
    ValidatedCallback,
    saved_callback,
    validate_callback,
)
from stayfast.engine.reasons import Refusal
from stayfast.engine.record import Login, Presentation
from stayfast.engine.secret import Secret
from stayfast.engine.table import State

ISSUER = "https://login.acme.example"
LOGIN = Login(
    id="7F3K0000000000000000000000",
    version=2,
    state=State.AWAITING_CALLBACK,
    config=CONFIG,
    account="default",
    created_at=NOW,
    changed_at=NOW,
    deadline=NOW + 600,
    challenge=CHALLENGE,
    presentation=BY_BROWSER,
)
STRICT = replace(LOGIN, config=replace(CONFIG, iss_required=True))
NAMELESS = replace(LOGIN, config=replace(CONFIG, issuer=None))
STATE = ("state", "canary-state")
CODE = ("code", "the-code")
ISS = ("iss", ISSUER)


def refusal(parameters, login=LOGIN):
    """Why ``parameters`` are refused."""
    with pytest.raises(CallbackRefused) as caught:
        validate_callback(parameters, login)
    assert "canary" not in str(caught.value)
    return Refusal(caught.value.reason)


def test_a_code_with_the_right_state_is_accepted():
    """The code comes out wrapped; other parameters are ignored."""
    answer = validate_callback([CODE, STATE, ("session_state", "x")], LOGIN)

    assert isinstance(answer, ValidatedCallback)
    assert answer.code == Secret("the-code")


def test_an_issuer_at_our_endpoints_host_is_accepted_where_none_is_configured():
    """Some providers say who they are without having been asked (RFC 9207)."""
    assert isinstance(validate_callback([CODE, STATE, ISS], NAMELESS), ValidatedCallback)


@pytest.mark.parametrize(
    ("parameters", "login", "expected"),
    [
        pytest.param([CODE, STATE, ("iss", "https://evil.example")], LOGIN, Refusal.WRONG_ISSUER,
                     id="another issuer, though none was promised"),
        pytest.param([CODE, STATE, ("iss", ISSUER + "/")], LOGIN, Refusal.WRONG_ISSUER,
                     id="issuers are compared to the letter"),
        pytest.param([CODE, STATE, ("iss", "https://evil.example")], NAMELESS, Refusal.WRONG_ISSUER,
                     id="another host's, and our issuer is not known"),
        pytest.param([CODE, STATE], STRICT, Refusal.MISSING_ISSUER, id="promised and absent"),
        pytest.param([("error", "access_denied"), STATE], STRICT, Refusal.MISSING_ISSUER,
                     id="promised and absent in an error"),
        pytest.param([CODE, ("state", "another")], LOGIN, Refusal.WRONG_STATE, id="wrong state"),
        pytest.param([CODE, ("state", "canary-stat")], LOGIN, Refusal.WRONG_STATE, id="cut state"),
        pytest.param([CODE, ("state", "canary-stäte")], LOGIN, Refusal.WRONG_STATE,
                     id="a state that is not ASCII"),
        pytest.param([CODE], LOGIN, Refusal.MISSING_STATE, id="no state"),
        pytest.param([CODE, ("state", "")], LOGIN, Refusal.MISSING_STATE, id="empty state"),
        pytest.param([STATE], LOGIN, Refusal.MISSING_CODE, id="no code"),
        pytest.param([STATE, ("code", "")], LOGIN, Refusal.MISSING_CODE, id="empty code"),
        pytest.param([CODE, CODE, STATE], LOGIN, Refusal.DUPLICATE_PARAMETER, id="code twice"),
        pytest.param([CODE, STATE, STATE], LOGIN, Refusal.DUPLICATE_PARAMETER, id="state twice"),
        pytest.param([CODE, STATE, ISS, ISS], LOGIN, Refusal.DUPLICATE_PARAMETER, id="iss twice"),
        pytest.param([("error", "a"), ("error", "b"), STATE], LOGIN, Refusal.DUPLICATE_PARAMETER,
                     id="error twice"),
        pytest.param([("access_token", "x"), CODE, STATE], LOGIN, Refusal.IMPLICIT_RESPONSE,
                     id="tokens nobody asked for"),
        pytest.param([("error", 'a"b'), STATE], LOGIN, Refusal.MALFORMED_ERROR,
                     id="an error outside its charset"),
        pytest.param([("error", ""), STATE], LOGIN, Refusal.MALFORMED_ERROR, id="empty error"),
        pytest.param([("error", "x" * 101), STATE], LOGIN, Refusal.MALFORMED_ERROR,
                     id="an endless error"),
        pytest.param([("error", "a\n"), STATE], LOGIN, Refusal.MALFORMED_ERROR, id="a line break"),
        pytest.param([CODE, STATE], replace(LOGIN, state=State.CHALLENGE), Refusal.NOT_WAITING,
                     id="not asked yet"),
        pytest.param([CODE, STATE], replace(LOGIN, challenge=replace(CHALLENGE, state=None)),
                     Refusal.NOT_WAITING, id="state spent"),
        pytest.param([CODE, ("state", "")], replace(LOGIN, challenge=None), Refusal.NOT_WAITING,
                     id="no challenge"),
    ],
)  # fmt: skip
def test_everything_else_is_refused_for_its_own_reason(parameters, login, expected):
    """Each mistake has its own reason, and no message shows the state."""
    assert refusal(parameters, login) is expected


def test_the_issuer_is_judged_before_the_state():
    """RFC 9207 §2.4: an answer of another server is not looked at further."""
    assert refusal([("iss", "https://evil.example"), ("state", "no")]) is Refusal.WRONG_ISSUER


def test_the_state_is_judged_before_the_error():
    """An error that anybody could have sent to the port ends no login."""
    assert refusal([("error", "access_denied"), ("state", "no")]) is Refusal.WRONG_STATE
    assert refusal([("error", "access_denied")]) is Refusal.MISSING_STATE


def test_the_error_is_judged_before_leftovers_and_code():
    """An answer that says no, says no, whatever else it carries."""
    answer = validate_callback([CODE, ("error", "access_denied"), ("id_token", "x"), STATE], LOGIN)

    assert answer == Denial("access_denied")


def test_a_description_is_fit_to_be_shown():
    """What a provider says about its no reaches a terminal without anything it would obey."""
    said = "You said no.\x1b[2J\r\n\u202eevil" + "x" * 1000
    answer = validate_callback(
        [("error", "access_denied"), ("error_description", said), STATE, ISS], STRICT
    )

    assert isinstance(answer, Denial)
    assert answer.description is not None
    assert answer.description.startswith("You said no. [2J")
    assert answer.description.isprintable()
    assert len(answer.description) <= 300
    assert presentable("\x00\x07") is None


@pytest.mark.parametrize(
    ("said", "quoted"),
    [
        ("unknown token v1.MjQ0ZjE3YTk5NzE0NDk3Nzk5!", "unknown token ‹hidden›!"),
        ("AADSTS700082: see https://login.example.com/error?code=700082", None),
        ("the authorization_pending_for_a_long_time", None),
    ],
)
def test_what_may_be_a_secret_is_not_quoted(said: str, quoted: str | None) -> None:
    """A provider's sentence is repeated without the token it may quote."""
    assert quotable(said) == (quoted or said)


def test_a_bare_code_is_for_people_at_providers_that_show_codes():
    """Without a state only what a person pasted is accepted, and never what came to a port."""
    shows = replace(LOGIN, config=replace(CONFIG, shows_code=True))
    pasted = Presentation(transport="manual", redirect_uri="https://login.acme.example/code")

    answer = validate_callback([CODE], replace(shows, presentation=pasted))

    assert isinstance(answer, ValidatedCallback)
    assert refusal([CODE], shows) is Refusal.MISSING_STATE
    assert refusal([CODE], replace(LOGIN, presentation=pasted)) is Refusal.MISSING_STATE
    wrong = [CODE, ("state", "no")]
    assert refusal(wrong, replace(shows, presentation=pasted)) is Refusal.WRONG_STATE


def test_only_the_validator_makes_a_validated_callback():
    """The type cannot be had without the checks."""
    with pytest.raises(TypeError):
        ValidatedCallback(object(), Secret("x"))
    assert "the-code" not in repr(validate_callback([CODE, STATE], LOGIN))


def test_a_saved_code_may_be_sent_again():
    """It was validated before it was saved."""
    exchanging = replace(LOGIN, state=State.EXCHANGING, exchange=CODE_EXCHANGE)

    assert saved_callback(exchanging).code == Secret("canary-code")


@pytest.mark.parametrize(
    "login",
    [
        LOGIN,
        replace(LOGIN, exchange=CODE_EXCHANGE),
        replace(LOGIN, state=State.EXCHANGING),
        replace(LOGIN, state=State.EXCHANGING, exchange=replace(CODE_EXCHANGE, code=None)),
    ],
)
def test_a_login_without_a_saved_code_has_none_to_send(login):
    """Only a login that is exchanging a code has one."""
    with pytest.raises(IllegalTransition):
        saved_callback(login)
