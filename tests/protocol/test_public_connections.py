"""A public resource makes us ask nothing in a private network, whatever a name leads to."""

from __future__ import annotations

import socket

import pytest
from recorded import answer
from stayfast.engine.errors import ProviderError
from stayfast.engine.oauth.resource_discovery import BoundedHttp
from stayfast.engine.ports import HttpRequest, HttpResponse
from stayfast.engine.reasons import Distrust
from stayfast.interfaces.http import RequestsHttp
from stayfast.testing.authorization_server import AuthorizationServer

RESOURCE, SERVER = "https://mcp.example/mcp", "https://login.example/x"


class Network:
    """Answers everything; what may go to the public network only is refused at ``private`` hosts."""

    def __init__(self, *private: str) -> None:
        self.private = set(private)
        self.reached: list[str] = []

    def send(self, request: HttpRequest) -> HttpResponse:
        if request.public_only and request.url in self.private:
            raise ProviderError("private", reason=Distrust.PRIVATE_ADDRESS.value)
        self.reached.append(request.url)
        return answer({})


def ask(bounded: BoundedHttp, *urls: str) -> None:
    for url in urls:
        bounded.send(HttpRequest(method="GET", url=url))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_connection_into_a_private_network_sends_nothing(host: str) -> None:
    """The address of the connection counts, not the name; other requests of the client go on."""
    with AuthorizationServer() as server:
        http, url = RequestsHttp(), server.issuer.replace("127.0.0.1", host) + "/jwks"
        if host == "localhost" and socket.getaddrinfo(host, 1, socket.AF_INET) == []:
            pytest.skip("localhost has no IPv4 address here")
        for _ in range(2):  # also once the other session keeps a connection to that place
            with pytest.raises(ProviderError) as refused:
                http.send(HttpRequest(method="GET", url=url, public_only=True))
            assert refused.value.reason == Distrust.PRIVATE_ADDRESS
            before = server.counts["jwks"]
            assert http.send(HttpRequest(method="GET", url=url)).status == 200
            assert server.counts["jwks"] == before + 1
        assert server.counts["jwks"] == 2


def test_the_server_of_a_public_resource_is_public() -> None:
    """A name that leads into a private network is refused, and asked nothing."""
    network = Network(SERVER)
    bounded = BoundedHttp(network, RESOURCE)
    ask(bounded, RESOURCE)
    with pytest.raises(ProviderError):
        ask(bounded, SERVER)
    assert network.reached == [RESOURCE]


def test_a_resource_in_a_private_network_has_its_server_there() -> None:
    """As in a company whose names all lead inside, and on this machine."""
    network = Network(RESOURCE, SERVER)
    ask(BoundedHttp(network, RESOURCE), RESOURCE, SERVER)
    assert network.reached == [RESOURCE, SERVER]
    here = Network("http://127.0.0.1:2/x")
    ask(BoundedHttp(here, "http://127.0.0.1:1/mcp"), "http://127.0.0.1:2/x")
    assert here.reached == ["http://127.0.0.1:2/x"]


def test_a_name_that_moves_inside_later_changes_nothing() -> None:
    """The first answer of the resource decides for good (DNS rebinding)."""
    network = Network()
    bounded = BoundedHttp(network, RESOURCE)
    ask(bounded, RESOURCE)
    network.private = {RESOURCE, SERVER}
    for url in (RESOURCE, SERVER):
        with pytest.raises(ProviderError):
            ask(bounded, url)
    assert network.reached == [RESOURCE]
