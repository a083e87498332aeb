"""The loopback listener against a raw socket: to be ready, to have the code in hand, to be gone."""

import os
import select
import socket
import time
from urllib.parse import parse_qsl

from ratios import measured
from stayfast.engine.oauth.provider import OAuthConfig
from stayfast.engine.ports import Verdict, VerdictKind
from stayfast.storage.host import SystemClock
from stayfast.transports.loopback.transport import LoopbackSession, LoopbackTransport
from wire_talk import NoBrowser, Notices, asking

CONFIG = OAuthConfig(service_name="x", client_id="y", redirect_uri="http://127.0.0.1:0/callback")
ASKING = asking(CONFIG)
TRANSPORT = LoopbackTransport(Notices(), NoBrowser(), SystemClock())
CALLBACK = (
    "GET /callback?code=SplxlOBeZQQYbYS6WxSbIA&state=af0ifjsldkj0123456789 HTTP/1.1\r\n"
    "Host: 127.0.0.1:{}\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\nAccept: text/html\r\n"
    "Accept-Language: en\r\nAccept-Encoding: gzip, deflate, br\r\nConnection: keep-alive\r\n"
    "Upgrade-Insecure-Requests: 1\r\nSec-Fetch-Mode: navigate\r\n\r\n"
)


def prepared() -> LoopbackSession:
    return TRANSPORT.prepare(ASKING)


def port_of(session: LoopbackSession) -> int:
    return int((session.presentation.redirect_uri or "").split(":")[2].partition("/")[0])


def raw_socket() -> socket.socket:
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    one.bind(("127.0.0.1", 0))
    one.listen(128)
    return one


def raw_ready() -> float:
    began = time.perf_counter()
    one = raw_socket()
    took = time.perf_counter() - began
    one.close()
    return took


def our_ready() -> float:
    began = time.perf_counter()
    session = prepared()
    took = time.perf_counter() - began
    session.close()
    return took


def _exchange(port: int, request: bytes) -> bytes:
    answer = b""
    with socket.create_connection(("127.0.0.1", port)) as one:
        one.sendall(request)
        while octets := one.recv(65536):
            answer += octets
    return answer


class Caller:
    """A browser in a process of its own, called by a pipe; says when it set off."""

    def __init__(self) -> None:
        orders, self._sender = os.pipe()
        self._hear, said = os.pipe()
        if os.fork() == 0:
            os.close(self._sender)
            while order := os.read(orders, 16):
                port = int(order)
                request = CALLBACK.format(port).encode()
                time.sleep(0.001)  # by now it is waited for
                began = time.perf_counter()
                answer = _exchange(port, request)
                _, sent_on, rest = answer.partition(b"Location: /")
                if sent_on:
                    page = rest.partition(b"\r\n")[0].decode()
                    assert b" 200 " in _exchange(
                        port, f"GET /{page} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
                    )
                os.write(said, repr(began).encode().ljust(32))
            os._exit(0)
        os.close(orders)

    def call(self, port: int) -> None:
        os.write(self._sender, str(port).encode())

    def began(self) -> float:
        return float(os.read(self._hear, 32))

    def close(self) -> None:
        os.close(self._sender)
        os.wait()


CALLER = Caller()


def raw_code() -> float:
    listening = raw_socket()
    wait = select.poll()
    wait.register(listening, select.POLLIN)
    wait.poll(0)
    CALLER.call(listening.getsockname()[1])
    wait.poll(5000)
    client, _ = listening.accept()
    target = client.recv(16384).split(b" ", 2)[1].decode()
    code = dict(parse_qsl(target.partition("?")[2]))["code"]
    arrived = time.perf_counter()
    assert code.startswith("Splx")
    client.close()
    listening.close()
    return arrived - CALLER.began()


def our_code() -> float:
    session = prepared()
    session.receive(1e-6)  # it has been waiting for a while
    CALLER.call(port_of(session))
    arrival = session.receive(5)
    arrived = time.perf_counter()
    assert arrival is not None
    assert dict(arrival.parameters)["code"].startswith("Splx")
    session.reply(Verdict(kind=VerdictKind.REFUSED))
    session.close()
    return arrived - CALLER.began()


def raw_close() -> float:
    one = raw_socket()
    began = time.perf_counter()
    one.close()
    return time.perf_counter() - began


def our_close() -> float:
    """With a browser that is held until the login is finished, and then gets its page."""
    session = prepared()
    CALLER.call(port_of(session))
    session.receive(5)
    session.reply(Verdict(kind=VerdictKind.ACCEPTED))
    time.sleep(0.01)  # the exchange
    session.reply(Verdict(kind=VerdictKind.SIGNED_IN, who="ada"))
    began = time.perf_counter()
    session.close()
    took = time.perf_counter() - began
    CALLER.began()
    return took


measured("a port bound and ready, against a raw socket", raw_ready, our_ready, 500)
measured("a callback's code in hand, against a raw socket", raw_code, our_code, 500)
measured("a port closed behind a browser, against a bare close", raw_close, our_close, 60)
CALLER.close()
