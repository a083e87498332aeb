"""The auth object for ``requests``."""

from __future__ import annotations

from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from requests import PreparedRequest, RequestException, Response
from requests.auth import AuthBase
from requests.exceptions import UnrewindableBodyError
from requests.structures import CaseInsensitiveDict
from requests.utils import rewind_body

from ...engine.errors import StayfastError
from .bearer import PROOF, token_in

if TYPE_CHECKING:
    from .bearer import Bearer


class _Headers(CaseInsensitiveDict[str]):
    """Headers whose proof goes with the token: a redirect to another origin takes neither there.

    ``requests`` deletes ``Authorization`` from the copy that it sends to the other origin.
    """

    def __delitem__(self, key: str) -> None:
        super().__delitem__(key)
        if key.lower() == "authorization" and PROOF in self:
            super().__delitem__(PROOF)

    def copy(self) -> CaseInsensitiveDict[str]:
        """A copy that does the same."""
        return _Headers(self)


class RequestsAuth(AuthBase):
    """Attaches the access token of a login to requests, and renews it.

    Made by :meth:`stayfast.OAuthService.auth`. Threads and sessions may share one::

        requests.get("https://api.acme.example/me", auth=service.auth("acme"))

    A request raises a :class:`stayfast.StayfastError` if there is no token for it, and
    :class:`stayfast.StepUpRequired` if the API asks for a stronger login.
    """

    def __init__(self, bearer: Bearer) -> None:
        """Attach the tokens of ``bearer``."""
        self._bearer = bearer

    def __call__(self, r: PreparedRequest) -> PreparedRequest:
        """Attach the token to ``r``.

        Raises:
            ConfigInvalid: The token would go over plain ``http`` to another machine.
            StayfastError: There is no token, and none can be had.
        """
        headers = self._bearer.headers(r.method or "", r.url or "")
        if headers is not None:
            r.headers = _Headers(r.headers)
            r.headers.update(headers)
            untyped: Any = r
            untyped.register_hook("response", self._answered)
        return r

    def _answered(self, response: Response, **how: Any) -> Response:
        """``response``, or after a 401 the answer to the same request with another token."""
        # a redirect to another host has lost the header, and must not get one here
        refused = token_in(response.request.headers.get("Authorization"))
        if refused is None:
            return response
        try:
            return self._settled(response, refused, how)
        except StayfastError:
            response.close()
            raise

    def _settled(self, response: Response, refused: str, how: dict[str, Any]) -> Response:
        request = response.request
        method, url = request.method or "", request.url or ""
        self._heard(response)
        if response.status_code != HTTPStatus.UNAUTHORIZED:
            return response
        sent, said = request.headers, response.headers
        proved = self._bearer.proved_anew(method, url, sent, said)
        if proved is not None and _rewound(request):
            response = self._sent_again(response, proved, how)
            if response.status_code != HTTPStatus.UNAUTHORIZED:
                return response
        fresh = self._bearer.another(refused, method, url)
        if fresh is None or not _rewound(request):
            return response
        answer = self._sent_again(response, fresh, how)
        if answer.status_code == HTTPStatus.UNAUTHORIZED:
            self._bearer.refused_again(fresh, url)
        return answer

    def _heard(self, response: Response) -> None:
        """Remember what the server says.

        Raises:
            StepUpRequired: It asks for a stronger login.
        """
        self._bearer.heard(response.request.url or "", response.headers)
        self._bearer.require_enough(response.status_code, response.headers)

    def _sent_again(
        self, response: Response, headers: dict[str, str], how: dict[str, Any]
    ) -> Response:
        """The answer to the request of ``response`` with other ``headers``."""
        with suppress(RequestException):  # read to its end, so that the connection serves again
            _ = response.content
        response.close()
        again = response.request.copy()
        again.headers.update(headers)
        answer: Response = response.connection.send(again, **how)
        answer.history.append(response)
        answer.request = again
        try:
            self._heard(answer)
        except StayfastError:
            answer.close()
            raise
        return answer


def _rewound(request: PreparedRequest) -> bool:
    """Whether the body of ``request`` can be sent again; a file is at its beginning then."""
    body: Any = request.body  # requests also takes files and generators
    if body is None or isinstance(body, str | bytes):
        return True
    try:
        rewind_body(request)
    except UnrewindableBodyError:
        return False
    return True
