"""The HTTP client, against servers that misbehave."""

from __future__ import annotations

import contextlib
import gzip
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from certificates import lax_context, server_context
from cryptography.hazmat.primitives import serialization
from freezegun import freeze_time
from misbehaving import drip, echo, hang_up, misbehaving, raw, reply, reset, silence
from stayfast.engine.errors import ConfigInvalid, ConfigMissing, NetworkError
from stayfast.engine.ports import HttpRequest
from stayfast.interfaces.http import BODY_LIMIT, RequestsHttp
from stayfast.interfaces.http_failure import explain
from stayfast.interfaces.http_settings import proxy_for

SECRET = "canary-code"
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    """No proxy and no certificates of the user who runs the tests."""
    for name in (*PROXIES, "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def post(url):
    """A token request."""
    return HttpRequest(
        method="POST",
        url=url,
        headers={"Accept": "application/json", "Authorization": "Basic eDp5"},
        body=f"code={SECRET}".encode(),
    )


def fails(http, request):
    """The error of a request that gets no answer; it gives nothing away, and says what to do."""
    with pytest.raises(NetworkError) as caught:
        http.send(request)
    error = caught.value
    assert SECRET not in f"{error} {error.hint} {error.__cause__!r}"
    assert error.__cause__ is None
    assert error.hint
    return error.message


def test_a_request_arrives_as_it_was_built():
    """Method, headers and body; our name; an encoding we need not undo."""
    with misbehaving(reply(b"{}")) as server:
        RequestsHttp().send(post(server.url()))

    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "POST /token HTTP/1.1"
    assert "Accept: application/json" in lines
    assert "Authorization: Basic eDp5" in lines
    assert "Accept-Encoding: identity" in lines
    assert any(line.startswith("User-Agent: stayfast/") for line in lines)
    assert body == f"code={SECRET}".encode()


def test_an_answer_comes_back_as_it_is():
    """Status, headers by lower-case name, body, and when it came."""
    with misbehaving(reply(b"<html>", "500 Oops", "Date: now", "X-Odd: 1")) as server:
        before = time.time()
        answer = RequestsHttp().send(post(server.url()))

    assert (answer.status, answer.body) == (500, b"<html>")
    assert (answer.headers["date"], answer.headers["x-odd"]) == ("now", "1")
    assert before <= answer.received_at <= time.time()
    assert "html" not in repr(answer)


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"])
def test_no_redirect_is_followed(status):
    """A secret goes where it was meant to go, and nowhere else."""
    with misbehaving(reply()) as elsewhere:
        target = f"Location: {elsewhere.url()}"
        with misbehaving(reply(b"", status, target)) as server:
            answer = RequestsHttp().send(post(server.url()))

    assert answer.status == int(status[:3])
    assert elsewhere.requests == []


def test_a_body_that_says_it_is_too_large_is_not_read():
    """Ten megabytes of something."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 10485760\r\n\r\n"
    with misbehaving(drip(head)) as server:
        message = fails(RequestsHttp(total=20), post(server.url()))

    assert "larger" in message


def test_a_body_that_turns_out_too_large_is_cut_off():
    """Ten megabytes of something, in pieces nobody counted."""
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    with misbehaving(
        raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk * 160)
    ) as server:
        message = fails(RequestsHttp(), post(server.url()))

    assert "larger" in message


def test_a_body_of_the_limit_is_read():
    """One mebibyte, to the octet; one more is too much."""
    with misbehaving(reply(b"x" * BODY_LIMIT)) as server:
        assert len(RequestsHttp().send(post(server.url())).body) == BODY_LIMIT
    with misbehaving(reply(b"x" * (BODY_LIMIT + 1))) as server:
        fails(RequestsHttp(), post(server.url()))


def test_a_compressed_body_is_bounded_by_what_comes_out():
    """Servers compress unasked; a small body may hold a large one."""
    small = gzip.compress(b'{"access_token":"a"}')
    with misbehaving(reply(small, "200 OK", "Content-Encoding: gzip")) as server:
        assert RequestsHttp().send(post(server.url())).body == b'{"access_token":"a"}'
    bomb = gzip.compress(b"x" * (BODY_LIMIT * 10))
    with misbehaving(reply(bomb, "200 OK", "Content-Encoding: gzip")) as server:
        assert "larger" in fails(RequestsHttp(), post(server.url()))
    with misbehaving(reply(b"no gzip", "200 OK", "Content-Encoding: gzip")) as server:
        fails(RequestsHttp(), post(server.url()))


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-Endless: ",
        b"HTTP/1.1 200 O",
    ],
)
def test_a_slow_drip_ends_at_the_bound_of_the_whole(head):
    """Every octet is in time, and the answer is not: in the body, a header, the status."""
    with misbehaving(drip(head)) as server:
        started = time.monotonic()
        fails(RequestsHttp(read=5.0, total=0.3), post(server.url()))

    assert time.monotonic() - started < 20


def test_silence_ends_at_the_bound_of_a_read():
    """The request may have been acted upon all the same."""
    with misbehaving(silence) as server:
        started = time.monotonic()
        fails(RequestsHttp(read=0.2, total=120.0), post(server.url()))

    assert time.monotonic() - started < 20


def test_bounds_hold_while_a_test_has_frozen_the_clock():
    """Time-outs are the system's; only the date of an answer is the test's."""
    with freeze_time("2027-01-15 08:00:00"):
        with misbehaving(drip(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n")) as server:
            fails(RequestsHttp(total=0.2), post(server.url()))
        with misbehaving(reply(b"{}")) as server:
            assert RequestsHttp().send(post(server.url())).received_at == 1_800_000_000.0


@pytest.mark.parametrize(
    "behave",
    [
        reset,
        hang_up,
        raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc"),
        raw(b"not http at all\r\n\r\n"),
        raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
        raw(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 500 + b"\r\n"),
        raw(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n"),
    ],
    ids=["reset", "hang up", "cut short", "no HTTP", "bad chunk", "500 headers", "long header"],
)
def test_an_answer_that_is_cut_off_or_none_is_a_network_error(behave):
    """Never an exception of another kind, and nothing is sent twice."""

    def once(connection, over, request):
        behave(connection, over, request)
        if behave is reset:
            connection.close()
        else:
            connection.shutdown(socket.SHUT_RDWR)

    with misbehaving(once) as server:
        fails(RequestsHttp(read=2.0), post(server.url()))

    assert len(server.requests) == 1


def test_nobody_listening_is_told_apart_from_no_such_name():
    """Each failure has a sentence of its own."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    refused = fails(RequestsHttp(), post(f"http://127.0.0.1:{port}/"))
    unknown = fails(RequestsHttp(), post("https://nobody.invalid/"))

    assert refused != unknown
    assert "nobody.invalid" in unknown


def test_tls_is_verified(tmp_path, monkeypatch):
    """A certificate nobody vouches for is refused, and the variable that helps is named."""
    with misbehaving(reply(b"{}"), server_context(tmp_path)) as server:
        url = server.url(scheme="https")
        with pytest.raises(NetworkError) as caught:
            RequestsHttp().send(post(url))
        assert server.requests == []
        assert caught.value.hint == "export REQUESTS_CA_BUNDLE=/path/to/your-authority.pem"

        trusted = str(tmp_path / "certificate.pem")
        assert RequestsHttp(certificates=trusted).send(post(url)).status == 200
        for name in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
            with monkeypatch.context() as patch:
                patch.setenv(name, trusted)
                assert RequestsHttp().send(post(url)).status == 200
        answered = len(server.requests)
        with pytest.raises(NetworkError) as caught:  # another name of this machine
            RequestsHttp(certificates=trusted).send(post(server.url("127.1", "https")))
        assert caught.value.hint == "curl -v https://127.1/"  # to trust more would not help
        assert len(server.requests) == answered


def test_a_certificate_that_only_a_strict_python_refuses_is_no_matter_of_trust(tmp_path):
    """Python 3.13 checks RFC 5280: the authority is trusted, and to trust it again would not help."""
    context = lax_context(tmp_path)
    shake_hands(context, tmp_path / "certificate.pem", strict=False)
    with pytest.raises(ssl.SSLCertVerificationError) as caught:
        shake_hands(context, tmp_path / "certificate.pem", strict=True)
    explained = explain(caught.value, "company.example")
    assert "RFC 5280" in explained.message
    assert explained.hint.startswith("openssl s_client -x509_strict -connect company.example:443")
    assert not explained.sent


def shake_hands(context, trusted, *, strict):
    """A client, which trusts that file, and a server of ``context`` meet in memory."""
    asking = ssl.create_default_context(cafile=str(trusted))
    asking.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if strict:
        asking.verify_flags |= ssl.VERIFY_X509_STRICT
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = asking.wrap_bio(back, there, server_hostname="127.0.0.1")
    server = context.wrap_bio(there, back, server_side=True)
    for end in (client, server, client, server):
        with contextlib.suppress(ssl.SSLWantReadError):
            end.do_handshake()
    assert client.version()


def test_an_expired_certificate_asks_about_the_clock(tmp_path):
    """Half of them are not expired at all."""
    http = RequestsHttp(certificates=str(tmp_path / "certificate.pem"))
    context = server_context(tmp_path, expired=True)
    with misbehaving(reply(b"{}"), context) as server, pytest.raises(NetworkError) as caught:
        http.send(post(server.url(scheme="https")))

    assert caught.value.hint == "date -u"


def test_a_server_without_tls_is_told_apart(tmp_path):
    """As is a bundle that is not there."""
    with misbehaving(raw(b"HTTP/1.1 400 no\r\n\r\n")) as server:
        url = server.url(scheme="https")
        plain = fails(RequestsHttp(read=2.0), post(url))
        no_bundle = fails(RequestsHttp(certificates=str(tmp_path / "absent.pem")), post(url))

    assert plain != no_bundle


@pytest.mark.parametrize(
    "url",
    [
        "http://login.acme.example/token",
        "http://192.168.0.1/token",
        "http://127.0.0.1.evil.example/",
        "http://127.0.0.1@evil.example/",
        "http://evil.example\\@127.0.0.1/",
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
        "127.0.0.1",
        "",
        "https://",
        "https://[::1",
        "https://a.example:99999/",
        "https://" + "a" * 70 + ".example/",
        "https://a..example/",
    ],
)
def test_a_secret_goes_nowhere_unsafe(url):
    """Plain http only to this machine, and no address two readers would read differently."""
    with pytest.raises(ConfigInvalid):
        RequestsHttp().send(post(url))


def test_a_header_with_a_line_break_is_refused():
    """A setting must not smuggle a second header in."""
    request = HttpRequest(method="GET", url="https://a.example/", headers={"X": "a\r\nY: b"})

    with pytest.raises(ConfigInvalid):
        RequestsHttp().send(request)


def test_no_proxy_stands_between_us_and_this_machine(monkeypatch):
    """A proxy would resolve 127.0.0.1 to itself, and read the secret."""
    with misbehaving(reply(b"proxied")) as proxy, misbehaving(reply(b"direct")) as server:
        for name in ("http_proxy", "all_proxy"):
            monkeypatch.setenv(name, proxy.url(path=""))
        answer = RequestsHttp().send(post(server.url()))

    assert answer.body == b"direct"
    assert proxy.requests == []


def test_a_proxy_is_used_for_other_hosts(monkeypatch):
    """As with any other program; the request itself stays under TLS."""
    with misbehaving(reply(b"", "403 Forbidden")) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url(path=""))
        message = fails(RequestsHttp(), post("https://login.acme.invalid/token"))
        asked = proxy.requests[0]

    assert asked.startswith(b"CONNECT login.acme.invalid:443 ")
    assert SECRET.encode() not in asked
    assert "proxy" in message


def test_the_environment_of_a_program_is_asked_and_not_that_of_the_process(monkeypatch):
    """A client with an environment of its own uses its proxy; without one there it uses none."""
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
    with misbehaving(reply(b"", "403 Forbidden")) as proxy:
        http = RequestsHttp(environ={"HTTPS_PROXY": proxy.url(path="")})
        fails(http, post("https://login.acme.invalid/token"))
        assert proxy.requests[0].startswith(b"CONNECT login.acme.invalid:443 ")
    alone = fails(RequestsHttp(environ={}), post("https://login.acme.invalid/token"))
    assert "proxy" not in alone
    bad = fails(RequestsHttp(environ={"ALL_PROXY": "ftp://x"}), post("https://a.invalid/"))
    assert "ALL_PROXY" in bad


@pytest.mark.parametrize("scheme", ["https", "http"])
@pytest.mark.parametrize("host", ["a.example", "b.a.example", "10.1.2.3", "a.example:8443"])
@pytest.mark.parametrize("proxies", [{"https_proxy": "http://p:1"}, {"ALL_PROXY": "http://p:2"},
    {"https_proxy": "", "HTTPS_PROXY": "http://p:3"}, {"http_proxy": "http://p:4", "all_proxy": "http://p:5"}])  # fmt: skip
@pytest.mark.parametrize(
    "exempt",
    [None, "", "*", "a.example", ".a.example", "b.a.example, c", "example.com", "10.0.0.0/8",
     "10.1.2.3", "A.EXAMPLE", "a.example:8443", "a.example:9"],
)  # fmt: skip
def test_the_same_variables_name_the_same_proxy_wherever_they_stand(
    monkeypatch, scheme, host, proxies, exempt
):
    """In the process, where requests reads them, and in the environment of a program."""
    named = {**proxies, **({} if exempt is None else {"no_proxy": exempt})}
    url = f"{scheme}://{host}/token"
    apart = proxy_for(url, named)
    for name, value in named.items():
        monkeypatch.setenv(name, value)
    assert proxy_for(url) == apart


def test_a_part_of_a_name_sends_nothing_past_the_proxy():
    """Older versions of requests look at the end of the text alone."""
    environ = {"https_proxy": "http://p:1", "no_proxy": "le"}
    assert proxy_for("https://a.example/token", environ) is not None


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])
@pytest.mark.parametrize(
    "value",
    [
        "socks9://user:canary-code@p.example:1",
        "ftp://canary-code.example:1",
        "http://canary-code.example:99999",
        "http://canary-code.example:abc",
        "http://canary-code.example:0",
        "http://[canary-code",
        "http://",
        "://canary-code",
        "http:///canary-code",
        "http://canary code:1",
        f"http://{'a' * 70}.example:1",
    ],
)
def test_a_proxy_that_cannot_be_one_is_named_by_its_variable(monkeypatch, name, value):
    """Nothing is sent, and the value, which may hold a password, is not shown."""
    monkeypatch.setenv(name, value)
    message = fails(RequestsHttp(), post("https://login.acme.invalid/token"))

    assert name in message
    assert "canary" not in message


@pytest.mark.parametrize("kind", ["socks4", "socks5", "socks5h"])
def test_a_socks_proxy_without_its_package_says_which(monkeypatch, kind):
    """The package is named as what is to be installed."""
    monkeypatch.setenv("all_proxy", f"{kind}://127.0.0.1:1080")
    monkeypatch.setitem(sys.modules, "socks", None)
    with pytest.raises(NetworkError) as caught:
        RequestsHttp().send(post("https://login.acme.invalid/token"))

    assert "all_proxy" in caught.value.message
    assert caught.value.hint == "pip install PySocks"


def test_a_proxy_counts_without_the_blanks_around_it(monkeypatch):
    """A variable that was read from a file has its line end."""
    with misbehaving(reply(b"", "403 Forbidden")) as proxy:
        monkeypatch.setenv("https_proxy", f" {proxy.url(path='')}\n")
        message = fails(RequestsHttp(), post("https://login.acme.invalid/token"))

    assert len(proxy.requests) == 1
    assert "https_proxy" in message


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
@pytest.mark.parametrize(
    "octets", [None, b"", b"no certificate", b"-----BEGIN CERTIFICATE-----\nAA", b"\xff\x00"]
)
def test_a_broken_file_of_certificates_is_named_with_its_variable(
    tmp_path, monkeypatch, name, octets
):
    """Absent, empty, cut off or something else: variable and path are in the sentence."""
    path = tmp_path / "bundle.pem"
    if octets is not None:
        path.write_bytes(octets)
    monkeypatch.setenv(name, str(path))
    context = server_context(tmp_path)
    with misbehaving(reply(b"{}"), context) as server, pytest.raises(NetworkError) as caught:
        RequestsHttp().send(post(server.url(scheme="https")))

    assert name in caught.value.message
    assert str(path) in caught.value.message
    assert caught.value.hint == f"unset {name}"


def test_a_good_file_of_certificates_is_not_blamed(tmp_path, monkeypatch):
    """Where it can be read, and does not vouch for the server, the server's certificate is the matter."""
    (tmp_path / "other").mkdir()
    server_context(tmp_path / "other")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "other" / "certificate.pem"))
    context = server_context(tmp_path)
    with misbehaving(reply(b"{}"), context) as server, pytest.raises(NetworkError) as caught:
        RequestsHttp().send(post(server.url(scheme="https")))

    assert "SSL_CERT_FILE" not in caught.value.message


def test_a_request_is_sent_where_no_thread_can_be_started(monkeypatch):
    """At the limit of processes it is sent by the thread at hand."""
    begin = threading.Thread.start

    def refuse(thread):
        if thread.name == "stayfast-http":
            raise RuntimeError("can't start new thread")
        begin(thread)

    with misbehaving(reply(b"{}")) as server:
        monkeypatch.setattr(threading.Thread, "start", refuse)
        assert RequestsHttp().send(post(server.url())).body == b"{}"


def test_netrc_does_not_replace_the_clients_credentials(tmp_path, monkeypatch):
    """The library would put a password of this host over our own header."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login ada password hunter2\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with misbehaving(reply(b"{}")) as server:
        RequestsHttp().send(post(server.url()))

    assert b"Authorization: Basic eDp5\r\n" in server.requests[0]


def test_no_cookie_is_kept():
    """Two logins of one process are not one to the provider."""
    with misbehaving(reply(b"{}", "200 OK", "Set-Cookie: id=1; Path=/")) as server:
        http = RequestsHttp()
        http.send(post(server.url()))
        http.send(post(server.url()))

    assert b"cookie" not in server.requests[1].lower()


class SteppingClock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> float:
        return self.seconds

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


def test_a_connection_is_used_again_but_not_after_a_pause():
    """What has been idle may be dead without our knowing, and a lost answer costs a login."""
    clock = SteppingClock()
    http = RequestsHttp(clock=clock)
    with misbehaving(reply(b"{}")) as server:
        http.send(post(server.url()))
        http.send(post(server.url()))
        assert server.connections == 1

        clock.sleep(60)
        http.send(post(server.url()))
        assert server.connections == 2


def test_threads_share_a_client():
    """Sixteen at a time, each gets its own answer."""
    http = RequestsHttp()
    with misbehaving(echo) as server, ThreadPoolExecutor(16) as pool:
        bodies = [str(number).encode() for number in range(64)]
        requests = [HttpRequest(method="POST", url=server.url(), body=body) for body in bodies]
        answers = [answer.body for answer in pool.map(http.send, requests)]

    assert answers == bodies


def test_a_fork_does_not_share_a_connection():
    """Parent and child on one connection would read each other's answers."""
    with misbehaving(reply(b"{}")) as server:
        script = (
            "import os, sys\n"
            "from stayfast.engine.ports import HttpRequest\n"
            "from stayfast.interfaces.http import RequestsHttp\n"
            "http = RequestsHttp()\n"
            f"request = HttpRequest(method='GET', url={server.url()!r})\n"
            "assert http.send(request).status == 200\n"
            "child = os.fork()\n"
            "status = http.send(request).status\n"
            "if not child:\n"
            "    os._exit(0 if status == 200 else 1)\n"
            "sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
        )
        done = subprocess.run([sys.executable, "-c", script], check=False, timeout=120)

    assert done.returncode == 0
    assert server.connections == 2


def test_abandoned_work_ends_by_itself():
    """A drip that outlasts the bound holds no thread for long."""
    others = set(threading.enumerate())
    with misbehaving(drip(b"HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\n")) as server:
        fails(RequestsHttp(total=0.2), post(server.url()))
        workers = [t for t in set(threading.enumerate()) - others if t.name == "stayfast-http"]
        for worker in workers:
            worker.join(2)
        assert not any(worker.is_alive() for worker in workers)


def test_requests_is_imported_only_when_something_is_sent():
    """A cached token is printed without it."""
    script = "import sys, stayfast.interfaces.http; sys.exit('requests' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], check=False, timeout=120, env={**os.environ}
    )

    assert done.returncode == 0


def test_the_client_shows_its_certificate_where_it_has_one(tmp_path):
    """RFC 8705 §2: with it the server answers, without it there is no connection."""
    for folder in ("server", "client"):
        (tmp_path / folder).mkdir(mode=0o700)
    context = server_context(tmp_path / "server")
    server_context(tmp_path / "client")
    certificate, key = tmp_path / "client" / "certificate.pem", tmp_path / "client" / "key.pem"
    key.chmod(0o600)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(certificate)
    http = RequestsHttp(certificates=str(tmp_path / "server" / "certificate.pem"))
    with misbehaving(reply(b"{}"), context) as server:
        bare = post(server.url(scheme="https"))
        shown = replace(bare, certificate=(str(certificate), str(key)))

        assert http.send(shown).status == 200
        fails(http, bare)
        both = tmp_path / "client" / "both.pem"
        both.write_text(certificate.read_text() + key.read_text())
        both.chmod(0o600)
        assert http.send(replace(bare, certificate=(str(both), None))).status == 200


@pytest.mark.parametrize("broken", ["absent", "empty", "no key", "open to others", "encrypted"])
def test_a_certificate_that_cannot_be_used_is_an_error_of_ours(tmp_path, broken):
    """Before anything is sent, and without a question at the terminal."""
    server_context(tmp_path)
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    key.chmod(0o600)
    if broken == "absent":
        certificate.unlink()
    elif broken == "empty":
        certificate.write_text("")
    elif broken == "no key":
        key.unlink()
    elif broken == "open to others":
        key.chmod(0o666)
    else:
        loaded = serialization.load_pem_private_key(key.read_bytes(), None)
        key.write_bytes(
            loaded.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.BestAvailableEncryption(b"a passphrase"),
            )
        )
    with pytest.raises((ConfigInvalid, ConfigMissing)) as caught:
        RequestsHttp().send(
            replace(post("https://nobody.invalid/"), certificate=(str(certificate), str(key)))
        )
    assert caught.value.hint
