"""What a request must carry that can only be made when it is sent.

A signature names a moment, and most servers take each one once. So a request is built without it,
may wait, and may be sent twice; :class:`Prover` signs at each sending. The HTTP client has one.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from ..errors import ConfigInvalid, ConfigMissing
from ..hints import Hint
from .client_authentication import ASSERTING, authentication_method
from .private_keys import PrivateKey, read_private_key, shared_key

if TYPE_CHECKING:
    from ..ports import Clock, HttpRequest, Randomness
    from .provider import OAuthConfig

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_LASTS: Final = 60.0  # seconds that an assertion is good for


class Prover:
    """Signs requests, with keys that it is handed or reads."""

    def __init__(
        self, clock: Clock, randomness: Randomness, read_key: Callable[[str], str]
    ) -> None:
        """Date signatures by ``clock`` and number them by ``randomness``.

        Args:
            clock: The time.
            randomness: What makes each signature one of its kind.
            read_key: The text of a key file. It raises ``ConfigInvalid`` or ``ConfigMissing``.
        """
        self._clock = clock
        self._randomness = randomness
        self._read_key = read_key

    def proved(self, request: HttpRequest) -> HttpRequest:
        """``request`` with what it must carry now.

        Raises:
            ConfigMissing, ConfigInvalid: A key is absent or cannot be used.
        """
        config = request.client
        if config is None:
            return request
        return _with_members(request, self._assertion(config))

    def require(self, config: OAuthConfig) -> None:
        """Make sure that the client of ``config`` can prove itself.

        Raises:
            ConfigMissing, ConfigInvalid: A key is absent or cannot be used.
        """
        if authentication_method(config) in ASSERTING:
            self._signer(config)

    def _assertion(self, config: OAuthConfig) -> dict[str, str]:
        """The client assertion (RFC 7523 §2.2, §3)."""
        key, algorithm = self._signer(config)
        now = self._clock.now()
        claims = {
            "iss": config.client_id,
            "sub": config.client_id,
            # the issuer, and nothing that a server of somebody else's could choose
            "aud": config.client_assertion_audience or config.issuer or config.token_url,
            "jti": self.number(),
            "iat": int(now),
            "exp": int(now + _LASTS),
        }
        header = {"kid": key.key_id} if key.key_id else {}
        return {
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": key.sign(algorithm, header, claims),
        }

    def number(self) -> str:
        """A ``jti`` that was never used (RFC 7519 §4.1.7)."""
        return urlsafe_b64encode(self._randomness.octets(24)).decode("ascii")

    def _signer(self, config: OAuthConfig) -> tuple[PrivateKey, str]:
        """The key of the client, and the algorithm that both sides can.

        Raises:
            ConfigMissing, ConfigInvalid: There is none.
        """
        try:
            key = self.client_key(config)
        except (ConfigInvalid, ConfigMissing) as error:
            error.hint = error.hint or Hint(
                "provider edit", config.service_name, "--client-key", "FILE"
            )
            raise
        algorithm = key.algorithm(config.client_assertion_algorithms)
        if algorithm is None:
            listed = ", ".join(config.client_assertion_algorithms)[:80]
            raise ConfigInvalid(
                f"the client key of {config.title} signs with {', '.join(key.algorithms) or 'nothing'},"
                f" and the server takes {listed or 'nothing of that'}",
                hint=Hint("provider edit", config.service_name, "--client-key", "FILE"),
            )
        return key, algorithm

    def client_key(self, config: OAuthConfig) -> PrivateKey:
        """The key that the client of ``config`` signs with.

        Raises:
            ConfigMissing, ConfigInvalid: There is none, or it cannot be read.
        """
        if authentication_method(config) == "client_secret_jwt":
            return shared_key(config.client_secret or "")
        text = config.client_key
        if text is None and config.client_key_file:
            text = self._read_key(config.client_key_file)
        if text is None:
            raise ConfigMissing(
                f"{config.title} wants a client key and none is configured",
                hint=Hint("provider edit", config.service_name, "--client-key", "FILE"),
            )
        return read_private_key(text, key_id=config.client_key_id)


def _with_members(request: HttpRequest, members: Mapping[str, str]) -> HttpRequest:
    """``request`` with ``members`` in its body, a form or a JSON object."""
    if request.headers.get("Content-Type") == "application/json":
        body: dict[str, Any] = {**json.loads(request.body), **members}
        return replace(request, client=None, body=json.dumps(body).encode())
    joined = b"&".join(part for part in (request.body, urlencode(members).encode()) if part)
    return replace(request, client=None, body=joined)
