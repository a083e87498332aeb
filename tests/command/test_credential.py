"""Tokens for git, kubectl, docker and Bazel: by the programs themselves, and by their protocols."""

from __future__ import annotations

import ipaddress
import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from certificates import server_context
from command import STAYFAST, Done, World
from credential_callers import GitServer, Guarded, require
from hypothesis import given
from hypothesis import strategies as st
from stayfast.engine.errors import ConfigInvalid
from stayfast.engine.oauth.id_token import claims_of
from stayfast.engine.record import Login
from stayfast.interfaces.cli.credential_protocols import (
    NotAsked,
    bazel_server,
    git_question,
    server_of,
)
from stayfast.interfaces.cli.setups import Wanted
from stayfast.testing.storage_contract import finished, saved

V1 = "client.authentication.k8s.io/v1"
V1BETA1 = "client.authentication.k8s.io/v1beta1"


@pytest.fixture
def signed_in(world: World) -> World:
    """A login at the server itself."""
    assert world.run("login", "demo", "--via", "loopback").code == 0
    return world


def live(world: World) -> Callable[[str], bool]:
    """Whether the provider takes a token."""

    def good(token: str) -> bool:
        issued = world.server.state.by_access_token(token)
        return issued is not None and world.server.state.valid(issued)

    return good


def end_token(world: World) -> None:
    """Let the stored access token be over, here and at the provider; its refresh token stays."""
    (login,) = world.logins()
    assert login.tokens is not None
    issued = world.server.state.by_access_token(login.tokens.access_token)
    assert issued is not None
    issued.issued_at -= 100_000
    aged = replace(login.tokens, issued_at=login.tokens.issued_at - 100_000)
    saved(world.assembly.storage, [replace(login, version=login.version + 1, tokens=aged)])


def ask(world: World, kind: str, *words: str, stdin: str = "", **env: str) -> Done:
    return world.run("credential", kind, "--provider", "demo", *words, stdin=stdin, env=env)


# --- git -----------------------------------------------------------------------------------------


@pytest.fixture
def git(signed_in: World, tmp_path: Path) -> Iterator[GitServer]:
    root = tmp_path / "git"
    root.mkdir()
    with GitServer(live(signed_in), root) as server:
        yield server


def clone(world: World, server: GitServer, name: str) -> subprocess.Popen[str]:
    """Git cloning from ``server``, with our helper and no terminal."""
    helper = f"!{STAYFAST} credential git --provider demo"
    return subprocess.Popen(
        ["git", "-c", "credential.helper=", "-c", f"credential.http://{server.host}.helper={helper}",
         "clone", "-q", server.url, str(world.place / name)],
        env={**world.environ, "GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_GLOBAL": os.devnull,
             "GIT_CONFIG_NOSYSTEM": "1"},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_git_clones_with_the_token_and_with_the_next_one(signed_in: World, git: GitServer) -> None:
    """Ten clones at once after the token has ended send one refresh."""
    first = clone(signed_in, git, "first")
    assert (first.communicate(timeout=180), first.returncode) == (("", ""), 0)
    end_token(signed_in)
    before = signed_in.server.counts["token:refresh_token"]

    clones = [clone(signed_in, git, f"clone-{number}") for number in range(10)]
    assert [(one.communicate(timeout=100), one.returncode) for one in clones] == [
        (("", ""), 0)
    ] * 10
    assert signed_in.server.counts["token:refresh_token"] - before == 1
    assert {good for _, good in git.seen} == {True}
    assert (signed_in.place / "clone-9" / ".git").is_dir()


QUESTION = "protocol=https\nhost=git.acme.dev\n"


def attributes(text: str) -> dict[str, str]:
    """The attributes of an answer, which ends with a blank line."""
    assert text.endswith("\n\n")
    return dict(line.split("=", 1) for line in text.splitlines() if line)


def keep(world: World, **fields: Any) -> Login:
    """A login that is not refreshed: no provider is asked."""
    login = finished("demo", token="the-token")
    assert login.tokens is not None
    tokens = replace(login.tokens, issued_at=float(int(time.time())), refresh_token="canary-rt")
    kept = replace(login, **{"tokens": tokens, **fields})
    saved(world.assembly.storage, [kept])
    return kept


def test_git_gets_a_password_with_its_end_and_never_the_refresh_token(world: World) -> None:
    """Git ignores what has ended, and would give a refresh token to helpers that store it."""
    login = keep(world)
    answer = attributes(ask(world, "git", "get", stdin=f"{QUESTION}\n").out)
    assert login.tokens is not None
    assert answer == {
        "username": "oauth2",
        "password": "the-token",
        "password_expiry_utc": str(int(login.tokens.issued_at + 3600)),
    }
    for words in ((), ("get",)):
        named = ask(world, "git", *words, stdin=f"{QUESTION}username=ada\n\n")
        assert attributes(named.out)["username"] == "ada"
    assert attributes(ask(world, "git", "--username", "x", stdin=QUESTION).out)["username"] == "x"
    by_url = ask(world, "git", "get", stdin="url=https://ada@git.acme.dev/p.git\n\n")
    assert attributes(by_url.out)["password"] == "the-token"


@pytest.mark.parametrize(
    ("challenges", "bearer"),
    [((), True), (("Bearer realm=x",), True), (('Basic realm="GitHub"',), False),
     (("Basic realm=x", "bearer"), True)],
)  # fmt: skip
def test_git_that_knows_schemes_gets_a_bearer_where_the_server_takes_one(
    world: World, challenges: tuple[str, ...], bearer: bool
) -> None:
    """A server that asks for a password gets one."""
    keep(world)
    asked = "".join(f"wwwauth[]={one}\n" for one in challenges)
    stdin = f"capability[]=authtype\ncapability[]=state\n{QUESTION}{asked}\n"
    answer = attributes(ask(world, "git", "get", stdin=stdin).out)
    if bearer:
        assert next(iter(answer)) == "capability[]"
        assert (answer["capability[]"], answer["authtype"]) == ("authtype", "Bearer")
        assert (answer["credential"], answer["ephemeral"]) == ("the-token", "1")
        assert "password" not in answer
    else:
        assert answer["password"] == "the-token"
        assert "authtype" not in answer


@pytest.mark.parametrize(
    ("words", "stdin"),
    [
        (("store",), f"{QUESTION}username=a\npassword=b\n\n"),
        (("erase",), f"{QUESTION}\n"),
        (("of-a-later-git",), "anything"),
        (("get", "--url", "https://other.acme.dev"), f"{QUESTION}\n"),
        (("get",), "protocol=http\nhost=git.acme.dev\n\n"),
        (("get",), "protocol=ftp\nhost=git.acme.dev\n\n"),
        (("get",), ""),
        (("get",), "\0\xff=\n[]=\nhost\n\n"),
    ],
)
def test_git_gets_nothing_where_there_is_nothing_to_say(
    world: World, words: tuple[str, ...], stdin: str
) -> None:
    """No error either: git asks every helper it has, about every host."""
    keep(world)
    done = ask(world, "git", *words, stdin=stdin)
    assert (done.code, done.out) == (0, "")
    assert world.logins()[0].tokens is not None


TWO_READINGS = [
    "evil.com\\@localhost", "127.0.0.1#@evil.com", "localhost/@evil.com", "localhost?@evil.com",
    "localhost @evil.com", "a@localhost", "[::1", "a]b", "[a]", "localhost:", "localhost:99999",
    "local%68ost", "",
]  # fmt: skip


ENTRANCES: dict[str, Callable[[str], object]] = {
    "docker": server_of,
    "bazel": lambda address: bazel_server(json.dumps({"uri": address})),
    "git": lambda address: git_question(f"url={address}\n\n".encode()),
    "setup": lambda address: Wanted(kind="git", provider="demo", url=address).server(),
}


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("host", TWO_READINGS)
def test_what_can_be_read_as_two_hosts_gets_no_token(host: str, scheme: str) -> None:
    """Where git names the host apart."""
    with pytest.raises(NotAsked):
        server_of(host, scheme)


@pytest.mark.parametrize(
    "address",
    ["https://evil.com\\@ghcr.io", "https://[::1", "http://127.0.0.1#@evil.com", "https://a b/",
     "https://ghcr.io?@evil.com", "https://", "https://a@b@c", "https:///a",
     "https://ghcr.io/\\x"],
)  # fmt: skip
@pytest.mark.parametrize("kind", ENTRANCES)
def test_an_address_of_two_hosts_is_refused_wherever_it_enters(kind: str, address: str) -> None:
    """By every helper, and by setup before it writes."""
    with pytest.raises((NotAsked, ConfigInvalid)):
        ENTRANCES[kind](address)


@pytest.mark.parametrize(
    ("text", "scheme", "host"),
    [("ghcr.io", "https", "ghcr.io"), ("HTTPS://ada:x@GHCR.io:5000/v2/@a/b", "https", "ghcr.io:5000"),
     ("http://[::1]:80/", "http", "[::1]:80"), ("registry_1:5000", "https", "registry_1:5000"),
     ("bücher.example", "https", "bücher.example")],
)  # fmt: skip
def test_an_address_of_one_host_is_read(text: str, scheme: str, host: str) -> None:
    """With its port; a bare host is asked by https."""
    server = server_of(text)
    assert (server.scheme, server.host) == (scheme, host)


SCHEME = r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://"
USER = r"(?:[A-Za-z0-9._~%!$&'()*+,;=:-]*@)?"
HOST = r"(?P<name>\[[0-9A-Fa-f:.]+\]|[\w-]+(?:\.[\w-]+)*\.?)(?::(?P<port>[0-9]{1,5}))?"
ADDRESS = re.compile(rf"(?:{SCHEME}{USER})?{HOST}(?:/[^\\\s\x00-\x1f\x7f]*)?")
ALONE = re.compile(HOST)
PIECES = st.sampled_from(
    ["https", "http", "a1+-.", "://", ":/", "/", "//", "@", ":", "a", "a.example", ".", "..", "-", "_", "[", "]",
     "[::1]", "::1", "1.2.3.4", "80", "443", "0", "65536", "123456", "\u0663", "\u00b2", "\u00e4", "\u01c5", "\\", " ", "\n", "\x7f",
     "\x85", "\u2028", "\0", "%", "!", "#", "?", "\u3002", "\ud800"]
)  # fmt: skip


@given(st.lists(PIECES | st.characters(), max_size=9).map("".join), st.booleans())
def test_an_address_is_what_its_grammar_says(text: str, whole: bool) -> None:
    """What is read by hand is what the expressions say, of every text."""
    found = (ADDRESS if whole else ALONE).fullmatch(text)
    right = found and found["name"] and (not found["port"] or 0 < int(found["port"]) < 65536)
    if right and found["name"].startswith("["):
        try:
            right = ipaddress.ip_address(found["name"][1:-1]).version == 6
        except ValueError:
            right = False
    try:
        server = server_of(text, None if whole else "https")
    except NotAsked:
        assert not right
    else:
        assert right
        assert server.scheme == (found["scheme"] or "https" if whole else "https").lower()
        assert (server.name, server.port) == (found["name"].lower(), found["port"])


@pytest.mark.parametrize(
    ("words", "stdin", "code"),
    [(("git",), "protocol=http\nhost=evil.com\\@localhost\n\n", 2), (("git",), "url=http://[::1\n\n", 2),
     (("git", "--url", "a]b"), QUESTION, 2), (("docker", "--url=ghcr.io"), "http://ghcr.io", 1)],
)  # fmt: skip
def test_a_request_that_is_refused_gets_one_line(
    world: World, words: tuple[str, ...], stdin: str, code: int
) -> None:
    """And no token."""
    keep(world)
    done = ask(world, *words, stdin=stdin)
    assert (done.code, len(done.err.splitlines())) == (code, 1)
    assert "the-token" not in done.out


def test_a_host_that_is_named_is_answered(world: World) -> None:
    """With its port, in any case, as an address or alone; loopback hosts also by http."""
    keep(world)
    for url in ("git.acme.dev", "https://git.acme.dev/x", "HTTPS://GIT.ACME.DEV"):
        assert "the-token" in ask(world, "git", "--url", url, stdin=QUESTION).out
    here = "protocol=http\nhost=127.0.0.1:8080\n"
    assert "the-token" in ask(world, "git", "--url", "127.0.0.1:8080", stdin=here).out
    assert ask(world, "git", "--url", "127.0.0.1:8081", stdin=here).out == ""


def test_git_learns_what_the_helper_can(world: World) -> None:
    """The operation capability answers without any login."""
    assert ask(world, "git", "capability").out == "version 0\ncapability authtype\n"


# --- whatever asks -------------------------------------------------------------------------------

ASKING = {
    "git": (("git", "get"), f"{QUESTION}\n"),
    "kubectl": (("kubectl",), ""),
    "docker": (("docker", "get"), "registry.acme.dev"),
    "bazel": (("bazel", "get"), '{"uri":"https://cache.acme.dev/x"}'),
}
by_each = pytest.mark.parametrize(("words", "stdin"), ASKING.values(), ids=ASKING)


@by_each
def test_a_login_that_is_needed_is_said_in_one_line(
    world: World, words: tuple[str, ...], stdin: str
) -> None:
    """On standard error, with the command; standard output keeps to the protocol."""
    done = ask(world, *words, stdin=stdin)
    assert done.code != 0
    (line,) = done.err.splitlines()
    assert "stayfast login demo" in line
    assert done.out == ("credentials not found in native keychain\n" if "docker" in words else "")


@by_each
def test_the_account_that_is_named_answers(
    world: World, words: tuple[str, ...], stdin: str
) -> None:
    """And a token of the environment before any."""
    keep(world, account="default")
    other = finished("demo", token="token-of-work")
    assert other.tokens is not None
    tokens = replace(other.tokens, issued_at=time.time())
    saved(world.assembly.storage, [replace(other, account="work", tokens=tokens)])
    kind, *operation = words
    assert "token-of-work" in ask(world, kind, "--account", "work", *operation, stdin=stdin).out
    given = ask(world, kind, *operation, stdin=stdin, STAYFAST_TOKEN="given")
    assert "given" in given.out
    assert len(given.err.splitlines()) == 1


# --- kubectl -------------------------------------------------------------------------------------


def info(version: str, **spec: Any) -> str:
    return json.dumps(
        {"apiVersion": version, "kind": "ExecCredential", "spec": {"interactive": False, **spec}}
    )


@pytest.mark.parametrize("version", [V1, V1BETA1])
def test_kubectl_gets_the_version_it_asked_for(world: World, version: str) -> None:
    """With the end of the token, in UTC; a client that says nothing gets the older one."""
    login = keep(world)
    assert login.tokens is not None
    cluster = {"cluster": {"server": "https://k8s.acme.dev", "config": None}}
    answer = ask(world, "kubectl", KUBERNETES_EXEC_INFO=info(version, **cluster)).json
    assert (answer["apiVersion"], answer["kind"]) == (version, "ExecCredential")
    ends = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(login.tokens.issued_at + 3600))
    assert answer["status"] == {"token": "the-token", "expirationTimestamp": ends}
    assert ask(world, "kubectl").json["apiVersion"] == V1BETA1


@pytest.mark.parametrize(
    "said", ["nonsense", "[]", '{"kind":"x"}', info("client.authentication.k8s.io/v1alpha1"),
             info("v9"), '{"apiVersion":7}', "[" * 5000],
)  # fmt: skip
def test_kubectl_that_asks_otherwise_gets_a_reason(world: World, said: str) -> None:
    """One line, and no answer that it would take for a credential."""
    keep(world)
    done = ask(world, "kubectl", KUBERNETES_EXEC_INFO=said)
    assert (done.code, done.out, len(done.err.splitlines())) == (1, "", 1)


def test_a_cluster_that_trusts_a_provider_gets_the_id_token(signed_in: World) -> None:
    """A fresh one after it has ended, by one refresh; without one, what to do."""
    answer = ask(signed_in, "kubectl", "--id-token", KUBERNETES_EXEC_INFO=info(V1)).json
    claims = claims_of(answer["status"]["token"])
    assert claims["iss"] == signed_in.server.issuer
    assert answer["status"]["token"] != signed_in.run("token", "demo").out.strip()

    (login,) = signed_in.logins()
    assert login.tokens is not None
    none = replace(
        login, version=login.version + 1, tokens=replace(login.tokens, id_token="a.e30.b")
    )
    saved(signed_in.assembly.storage, [none])
    again = ask(signed_in, "kubectl", "--id-token", KUBERNETES_EXEC_INFO=info(V1)).json
    assert claims_of(again["status"]["token"])["iss"] == signed_in.server.issuer
    assert signed_in.server.counts["token:refresh_token"] >= 1


def test_kubectl_itself_is_let_in(signed_in: World) -> None:
    """The real program asks an API server that demands the token."""
    kubectl = require("kubectl")
    with Guarded(live(signed_in), server_context(signed_in.place)) as server:
        config = signed_in.place / "kubeconfig"
        trusted = str(signed_in.place / "certificate.pem")
        user = {"exec": {"apiVersion": V1, "command": STAYFAST, "interactiveMode": "Never",
                         "args": ["credential", "kubectl", "--provider", "demo"]}}  # fmt: skip
        config.write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{"name": "k", "cluster": {"server": f"https://{server.host}", "certificate-authority": trusted}}],
            "users": [{"name": "u", "user": user}],
            "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
        }))  # fmt: skip
        done = subprocess.run(
            [kubectl, "--kubeconfig", str(config), "get", "--raw", "/version"],
            env=signed_in.environ, capture_output=True, text=True, timeout=180, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["major"] == "1"
        assert set(server.seen) == {("Bearer", True)}


# --- docker --------------------------------------------------------------------------------------


def test_docker_gets_stores_erases_and_lists(world: World) -> None:
    """As docker-credential-helpers do; nothing that docker says signs anybody out."""
    keep(world)
    got = ask(world, "docker", "get", stdin="registry.acme.dev\n").json
    assert got == {"ServerURL": "registry.acme.dev", "Username": "oauth2", "Secret": "the-token"}
    credential = json.dumps({"ServerURL": "registry.acme.dev", "Username": "u", "Secret": "s"})
    assert ask(world, "docker", "store", stdin=credential).code == 0
    assert ask(world, "docker", "erase", stdin="registry.acme.dev").code == 0
    assert ask(world, "docker", "list").json == {}
    named = ask(world, "docker", "--url", "registry.acme.dev", "list").json
    assert named == {"registry.acme.dev": "oauth2"}
    assert ask(world, "docker", "version").out.startswith("docker-credential-stayfast ")
    assert "the-token" in ask(world, "docker", "get", stdin="registry.acme.dev").out


@pytest.mark.parametrize(
    ("operation", "stdin", "answer"),
    [
        ("get", "", "no credentials server URL"),
        ("erase", " \n", "no credentials server URL"),
        ("store", '{"Username":"u"}', "no credentials server URL"),
        ("store", '{"ServerURL":"x"}', "no credentials username"),
        ("store", "[", "the credential to store is not JSON"),
    ],
)
def test_docker_gets_the_words_it_compares(
    world: World, operation: str, stdin: str, answer: str
) -> None:
    """On standard output, with the status 1."""
    keep(world)
    done = ask(world, "docker", operation, stdin=stdin)
    assert (done.code, done.out) == (1, f"{answer}\n")


def test_docker_does_not_get_it_for_another_registry(world: World) -> None:
    """Where registries are named, others have no credential here."""
    keep(world)
    done = ask(world, "docker", "--url", "registry.acme.dev", "get", stdin="docker.io")
    assert (done.code, done.out) == (1, "credentials not found in native keychain\n")


def test_docker_itself_is_let_in(signed_in: World) -> None:
    """The real client asks a registry that demands the token; signing out there is not ours."""
    docker = require("docker")
    with Guarded(live(signed_in), server_context(signed_in.place)) as server:
        programs = signed_in.place / "bin"
        programs.mkdir()
        helper = programs / "docker-credential-probe"
        helper.write_text(f'#!/bin/sh\nexec {STAYFAST} credential docker --provider demo "$@"\n')
        helper.chmod(0o755)
        config = signed_in.place / "docker"
        config.mkdir()
        (config / "config.json").write_text(json.dumps({"credHelpers": {server.host: "probe"}}))
        environ = {**signed_in.environ, "DOCKER_CONFIG": str(config)}
        environ["PATH"] = f"{programs}:{environ['PATH']}"
        for words in (["logout", server.host],
                      ["manifest", "inspect", "--insecure", f"{server.host}/acme/app:1"]):  # fmt: skip
            subprocess.run(
                [docker, *words], env=environ, capture_output=True, timeout=180, check=False,
                stdin=subprocess.DEVNULL,
            )  # fmt: skip
        assert set(server.seen) == {("Basic", True)}


# --- Bazel ---------------------------------------------------------------------------------------


def test_bazel_gets_headers_with_their_end(world: World) -> None:
    """Unknown members of the request do not matter; addresses by http get nothing."""
    login = keep(world)
    assert login.tokens is not None
    stdin = '{"uri":"https://cache.acme.dev/x","of-later":[1]}'
    answer = ask(world, "bazel", "get", stdin=stdin).json
    assert answer["headers"] == {"Authorization": ["Bearer the-token"]}
    assert answer["expires"].endswith("Z")
    for uri in ("grpcs://cache.acme.dev", "https://cache.acme.dev"):
        assert "the-token" in ask(world, "bazel", "get", stdin=json.dumps({"uri": uri})).out
    for uri in ("http://cache.acme.dev", "grpc://cache.acme.dev", "file:///etc"):
        assert ask(world, "bazel", "get", stdin=json.dumps({"uri": uri})).json == {"headers": {}}


@pytest.mark.parametrize("stdin", ["", "{}", "[]", '{"uri":7}', "[" * 5000])
def test_bazel_that_names_no_address_gets_a_reason(world: World, stdin: str) -> None:
    """One line on standard error, and a status that is not 0."""
    keep(world)
    done = ask(world, "bazel", "get", stdin=stdin)
    assert (done.code, done.out, len(done.err.splitlines())) == (2, "", 1)
