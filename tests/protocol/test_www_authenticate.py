"""The challenges of resource servers, as they come over the wire."""

from __future__ import annotations

import time

import pytest
from recorded import answer
from stayfast.engine.oauth.www_authenticate import LONGEST, bearer_challenge, read_challenges

PLACE = "https://h.example/.well-known/oauth-protected-resource/mcp"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", []),
        ("Negotiate", [("negotiate", {}, None)]),
        ('Negotiate YII=, Basic realm="a"', [("negotiate", {}, "YII="), ("basic", {"realm": "a"}, None)]),
        (f'Bearer resource_metadata="{PLACE}"', [("bearer", {"resource_metadata": PLACE}, None)]),
        (f"bearer RESOURCE_METADATA={PLACE}", [("bearer", {"resource_metadata": PLACE}, None)]),
        (f"Bearer error=invalid_token, resource_metadata={PLACE}?a=b, scope=a b",
         [("bearer", {"error": "invalid_token", "resource_metadata": f"{PLACE}?a=b", "scope": "a b"}, None)]),
        ('Bearer realm="a \\"b\\", c", scope="x y"', [("bearer", {"realm": 'a "b", c', "scope": "x y"}, None)]),
        ('Basic realm="x, Bearer scope=y", Bearer scope="z"',
         [("basic", {"realm": "x, Bearer scope=y"}, None), ("bearer", {"scope": "z"}, None)]),
        ('Bearer error="a" scope="b" max_age=5', [("bearer", {"error": "a", "scope": "b", "max_age": "5"}, None)]),
        ('Bearer scope = "b" , error\t=\tc', [("bearer", {"scope": "b", "error": "c"}, None)]),
        (',, ,Bearer , scope="a",,', [("bearer", {"scope": "a"}, None)]),
        ('Bearer scope="first", scope="second"', [("bearer", {"scope": "first"}, None)]),
        ('Bearer scope="never closed', [("bearer", {"scope": "never closed"}, None)]),
        ('scope="of no scheme", Bearer error=x', [("bearer", {"error": "x"}, None)]),
        ('DPoP algs="ES256", error="use_dpop_nonce"', [("dpop", {"algs": "ES256", "error": "use_dpop_nonce"}, None)]),
        ("Bearer scope=", [("bearer", {}, "scope=")]),
        ("\u00e9\u00e9 Bearer scope=a", [("bearer", {"scope": "a"}, None)]),
    ],
)  # fmt: skip
def test_every_form_of_a_challenge_is_read(header, expected):
    """Several schemes, quotes or none, escapes, commas in values, names in any case."""
    found = read_challenges(header)
    assert [(one.scheme, dict(one.parameters), one.token68) for one in found] == expected


def test_the_challenge_with_metadata_is_chosen_among_strangers():
    """Of two Bearer challenges the one that says where the metadata are; other schemes never."""
    header = (
        f'Basic resource_metadata="https://x", Bearer error="a", DPoP resource_metadata="{PLACE}"'
    )
    found = bearer_challenge(answer(status=401, **{"www-authenticate": header}))
    assert found is not None
    assert found.resource_metadata == PLACE
    assert bearer_challenge(answer(status=401, **{"www-authenticate": "Basic realm=a"})) is None
    assert bearer_challenge(answer(status=401)) is None


@pytest.mark.parametrize(
    ("header", "scopes", "acr", "age"),
    [
        ('Bearer scope="a  b a"', ("a", "b"), (), None),
        ('Bearer scope="a \x01 b\\\\c \u00e9"', ("a",), (), None),
        (
            'Bearer acr_values="urn:gold urn:silver", max_age="300"',
            (),
            ("urn:gold", "urn:silver"),
            300,
        ),
        ('Bearer max_age="-1"', (), (), None),
        ('Bearer max_age="9999999999999"', (), (), None),
        ('Bearer max_age="\u0665"', (), (), None),
    ],
)
def test_values_that_are_used_are_judged(header, scopes, acr, age):
    """A scope is made of the characters of RFC 6749 §3.3, an age is a number of seconds."""
    (found,) = read_challenges(header)
    assert (found.scopes, found.acr_values, found.max_age) == (scopes, acr, age)


@pytest.mark.parametrize(
    "piece", ["a=b ", "a ", 'a="b" ', ",", "a=", '"', "\\", "Bearer x==,", "= "]
)
def test_a_long_header_costs_little(piece):
    """Whatever is repeated, reading is linear; and of 100 kB nothing is read."""
    begun = time.process_time()  # other processes do not count
    read_challenges(("Bearer " + piece * LONGEST)[:LONGEST])
    assert time.process_time() - begun < 2
    assert read_challenges("Bearer scope=" + "a" * 100_000) == []
