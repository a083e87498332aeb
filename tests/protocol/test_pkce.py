"""Proof Key for Code Exchange."""

from __future__ import annotations

import re

from stayfast.engine.oauth.pkce import PKCEChallenge, new_nonce, new_state, new_verifier

# RFC 7636, appendix B
OCTETS = bytes([116, 24, 223, 180, 151, 153, 224, 37, 79, 250, 96, 125, 216, 173, 187, 186,
                22, 212, 37, 77, 105, 214, 191, 240, 91, 88, 5, 88, 83, 132, 141, 121])  # fmt: skip
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


class Fixed:
    """Randomness that is not."""

    def __init__(self, octets: bytes) -> None:
        self.octets_left = octets

    def octets(self, count: int) -> bytes:
        taken, self.octets_left = self.octets_left[:count], self.octets_left[count:]
        return taken


def test_the_verifier_of_the_rfc_comes_from_its_octets():
    """32 octets become the 43 characters of RFC 7636, appendix B."""
    assert new_verifier(Fixed(OCTETS)).reveal() == VERIFIER


def test_the_challenge_of_the_rfc_comes_from_its_verifier():
    """The challenge is the one of RFC 7636, appendix B, and always S256."""
    pair = PKCEChallenge.from_verifier(VERIFIER)

    assert (pair.code_challenge, pair.code_challenge_method) == (CHALLENGE, "S256")


def test_one_time_values_are_43_unreserved_characters_and_differ():
    """Verifier, state and nonce each take 32 octets of their own."""
    source = Fixed(bytes(range(96)))
    values = [mint(source).reveal() for mint in (new_verifier, new_state, new_nonce)]

    assert len(set(values)) == 3
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{43}", value) for value in values)


def test_repr_hides_the_verifier():
    """A pair can be logged without giving the verifier away."""
    assert VERIFIER not in repr(PKCEChallenge.from_verifier(VERIFIER))
