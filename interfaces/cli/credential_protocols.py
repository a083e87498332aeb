"""What git, kubectl, docker and Bazel ask a credential helper, and how each wants the answer.

Every function here takes what the program said and gives what it is to get; none reads or prints.

git is answered by the quick way of :mod:`.fast`, so what the others need is loaded for them alone.
"""

from __future__ import annotations

from ...engine.hints import Hint
from ...engine.storage_errors import StayfastError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

KUBERNETES_VERSIONS = (
    "client.authentication.k8s.io/v1",
    "client.authentication.k8s.io/v1beta1",
)
DOCKER_NOT_FOUND = "credentials not found in native keychain"
"""What docker compares the answer with, to go on without credentials."""
DOCKER_NO_SERVER = "no credentials server URL"
DOCKER_NO_USER = "no credentials username"
_LINE_LIMIT = 65_535  # octets; git has the same


class Token:
    """What is handed out.

    Attributes:
        text: The access token, or the ID token.
        expires_at: POSIX seconds, if that is known.
    """

    __slots__ = ("expires_at", "text")

    def __init__(self, text: str, expires_at: float | None) -> None:
        """Keep both."""
        self.text = text
        self.expires_at = expires_at


class NotAsked(StayfastError):
    """The program said something that its own protocol does not have."""

    code = "USAGE"
    exit_code = 2


USUAL_USER = "oauth2"
"""The user name beside a token, where the provider is not known to want another."""
_GIT_USERS = {"github": "x-access-token", "bitbucket": "x-token-auth"}

# git: lines of key=value, see gitcredentials(7) and git-credential(1)


def git_question(asked: bytes) -> dict[str, list[str]]:
    """The attributes that git sent, up to the blank line; a key may come more than once.

    They are octets, and UTF-8 as a rule (:func:`octets_for_git`); no locale changes them.

    Raises:
        NotAsked: Its address names no host.
    """
    found: dict[str, list[str]] = {}
    for octets in asked.replace(b"\r\n", b"\n").split(b"\n"):
        line = octets.decode("utf-8", "surrogateescape")
        if not line:
            break
        key, equals, value = line.partition("=")
        if not equals or "\0" in line or len(octets) > _LINE_LIMIT:
            continue
        if key.endswith("[]") and not value:
            found[key] = []
        elif key.endswith("[]"):
            found.setdefault(key, []).append(value)
        else:
            found[key] = [value]
    if "url" in found:  # the same, in one line
        server = server_of(found["url"][-1])
        found["protocol"], found["host"] = [server.scheme], [server.host]
    return found


def git_server(question: Mapping[str, Sequence[str]]) -> Server | None:
    """The server that git asks about; ``None`` if it names none.

    Raises:
        NotAsked: What it names is no host.
    """
    scheme, host = ((question.get(name) or [""])[-1] for name in ("protocol", "host"))
    return server_of(host, scheme) if scheme and host else None


def git_answer(
    question: Mapping[str, Sequence[str]], token: Token, provider: str, username: str | None
) -> str:
    """The credential for git: a Bearer header where git and the server know it, else a password.

    The refresh token is never in it: git would hand it to the other helpers, to be stored.

    Args:
        question: What git asked.
        token: The token of ``provider``.
        provider: Its name.
        username: The user name beside the token; by default the one that the provider wants.
    """
    lines: list[str] = []
    bearer = "authtype" in question.get("capability[]", ()) and _takes_bearer(
        question.get("wwwauth[]", ())
    )
    if bearer:
        lines += ["capability[]=authtype", "authtype=Bearer", f"credential={token.text}"]
        lines.append("ephemeral=1")
    else:
        given = question.get("username") or [username or _GIT_USERS.get(provider, USUAL_USER)]
        lines += [f"username={given[-1]}", f"password={token.text}"]
    if token.expires_at is not None:
        lines.append(f"password_expiry_utc={int(token.expires_at)}")
    return "\n".join(lines)


def octets_for_git(answer: str) -> bytes:
    """``answer`` as git reads it: what it sent itself comes back to the octet."""
    return answer.encode("utf-8", "surrogateescape")


def _takes_bearer(challenges: Sequence[str]) -> bool:
    """Whether a server that answered with ``challenges`` takes a Bearer header, as far as it says."""
    return not challenges or any(one.strip().lower().startswith("bearer") for one in challenges)


GIT_CAPABILITY = "version 0\ncapability authtype"

# kubectl: an ExecCredential, in one of two versions


def kubernetes_version(environ: Mapping[str, str]) -> tuple[str, bool]:
    """The API version that the client wants, and whether its user may be asked.

    Raises:
        ConfigInvalid: What it says is not an ExecCredential, or of a version that is not known.
    """
    said = environ.get("KUBERNETES_EXEC_INFO")
    if not said:
        return KUBERNETES_VERSIONS[1], False  # as older clients, which say nothing
    import json  # noqa: PLC0415  see the docstring

    from ...engine.errors import ConfigInvalid  # noqa: PLC0415  as above

    try:
        members = json.loads(said)
        version = members["apiVersion"]
        interactive = members.get("spec", {}).get("interactive", False)
    except (ValueError, RecursionError, LookupError, AttributeError, TypeError):
        raise ConfigInvalid(
            "KUBERNETES_EXEC_INFO is not an ExecCredential", hint=Hint("help credentials")
        ) from None
    if version not in KUBERNETES_VERSIONS:
        raise ConfigInvalid(
            f"the client asks by {str(version)[:60]!r}, which is not known here",
            hint=Hint.note(f"apiVersion: {KUBERNETES_VERSIONS[0]}"),
        )
    return version, interactive is True


def kubernetes_answer(version: str, token: Token, *, interactive: bool) -> dict[str, Any]:
    """The ExecCredential of ``token``."""
    from ...engine.moments import rfc3339  # noqa: PLC0415  see the docstring

    status: dict[str, Any] = {"token": token.text}
    if token.expires_at is not None:
        status["expirationTimestamp"] = rfc3339(token.expires_at, "seconds")
    spec = {"interactive": interactive}
    return {"apiVersion": version, "kind": "ExecCredential", "spec": spec, "status": status}


# docker: docker-credential-helpers, where errors go to standard output


def docker_server(text: str) -> str:
    """The server that docker names.

    Raises:
        NotAsked: It names none.
    """
    server = text.strip()
    if not server:
        raise NotAsked(DOCKER_NO_SERVER, hint=Hint("help credentials"))
    return server


def docker_answer(server: str, token: Token, username: str) -> dict[str, str]:
    """The credential for ``server``."""
    return {"ServerURL": server, "Username": username, "Secret": token.text}


def docker_stored(text: str) -> None:
    """Judge what docker wants to be stored.

    Raises:
        NotAsked: It is no credential.
    """
    given = _members(text)
    if given is None:
        raise NotAsked("the credential to store is not JSON", hint=Hint("help credentials"))
    if not given.get("ServerURL"):
        raise NotAsked(DOCKER_NO_SERVER, hint=Hint("help credentials"))
    if not given.get("Username"):
        raise NotAsked(DOCKER_NO_USER, hint=Hint("help credentials"))


# Bazel: the credential helper of EngFlow's proposal


def bazel_server(text: str) -> Server | None:
    """The server that Bazel is about to ask; ``None`` if it asks by neither HTTP nor gRPC.

    Raises:
        NotAsked: It is not said, or names no host.
    """
    uri = (_members(text) or {}).get("uri")
    if not isinstance(uri, str) or not uri:
        raise NotAsked("the request names no uri", hint=Hint("help credentials"))
    scheme, separator, _ = uri.partition("://")
    if not separator or scheme.lower() not in {"http", "https", "grpc", "grpcs"}:
        return None
    server = server_of(uri)
    return Server(server.scheme.replace("grpc", "http"), server.name, server.port)


def bazel_answer(token: Token | None) -> dict[str, Any]:
    """The headers for Bazel; none where there is no token for that address."""
    if token is None:
        return {"headers": {}}
    answer: dict[str, Any] = {"headers": {"Authorization": [f"Bearer {token.text}"]}}
    if token.expires_at is not None:
        from ...engine.moments import rfc3339  # noqa: PLC0415  see the docstring

        answer["expires"] = rfc3339(token.expires_at, "seconds")
    return answer


def _members(text: str) -> dict[str, Any] | None:
    """The object that ``text`` is in JSON; ``None`` if it is none."""
    import json  # noqa: PLC0415  see the docstring

    try:
        members: Any = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return members if type(members) is dict else None  # pyright: ignore[reportUnknownVariableType]


# where a token may go

_SCHEME_SIGNS = frozenset("+.-")  # beside letters and digits: RFC 3986 §3.1
_USER_SIGNS = frozenset("._~%!$&'()*+,;=:-")  # §3.2.1
_IPV6_SIGNS = frozenset("0123456789ABCDEFabcdef:.")  # §3.2.2
_LABEL_SIGNS = frozenset("_-")
_CONTROLS = frozenset(map(chr, (*range(0x20), 0x7F)))
_PORT_DIGITS = 5


class Server:
    """The server of a request, of which every program reads the same.

    Attributes:
        scheme: In lower case.
        name: The host in lower case, without the port; an IPv6 address in brackets.
        port: As it was written; ``None`` if it was not.
    """

    __slots__ = ("name", "port", "scheme")

    def __init__(self, scheme: str, name: str, port: str | None) -> None:
        """Keep the three."""
        self.scheme = scheme
        self.name = name
        self.port = port

    @property
    def host(self) -> str:
        """The host, with the port if one is named."""
        return self.name if self.port is None else f"{self.name}:{self.port}"


def server_of(text: str, scheme: str | None = None) -> Server:
    r"""The server that an address or a bare host names.

    Programs differ in what they take for the host of ``a\@b`` or ``a#@b`` (RFC 3986, section 3.2,
    and the URL Standard), so a token for the one would reach the other. Such a text is refused.

    Args:
        text: An address, or a host with or without its port; the scheme is https if none is named.
        scheme: Named apart; then ``text`` is to be a host and nothing else.

    Raises:
        NotAsked: It is no host, or one that can be read in two ways.
    """
    named, host = (_parts_of(text) or (None, "")) if scheme is None else (scheme, text)
    name, port = _name_and_port(host) or ("", None)
    if not name or not _names_a_host(name, port):
        raise NotAsked(f"{text[:60]!r} is not the address of a host", hint=Hint("help credentials"))
    return Server((named or "https").lower(), name.lower(), port)


# read by hand: to load the module re takes half as long as an idle Python, and git waits for it


def _parts_of(address: str) -> tuple[str | None, str] | None:
    """The scheme of ``address`` if it has one, and its host with the port; ``None`` if it is odd."""
    scheme, sign, rest = address.partition("://")
    if not sign or not _is_scheme(scheme):
        scheme, rest = "", address
    host, _, path = rest.partition("/")
    if any(letter == "\\" or letter.isspace() or letter in _CONTROLS for letter in path):
        return None
    user, at, behind = host.partition("@")
    if at:
        if not scheme or not (user.isascii() and _consists_of(user, _USER_SIGNS)):
            return None
        host = behind
    return scheme or None, host


def _is_scheme(text: str) -> bool:
    return text.isascii() and text[:1].isalpha() and _consists_of(text, _SCHEME_SIGNS)


def _consists_of(text: str, signs: frozenset[str]) -> bool:
    """Whether ``text`` has letters, digits and ``signs`` alone."""
    return all(letter.isalnum() or letter in signs for letter in text)


def _name_and_port(host: str) -> tuple[str, str | None] | None:
    """The two parts of ``host``, as far as their letters tell; ``None`` if it is no host."""
    if host.startswith("["):
        inside, end, behind = host[1:].partition("]")
        if not end or not inside or not _IPV6_SIGNS.issuperset(inside):
            return None
        name, colon, port = f"[{inside}]", behind[:1], behind[1:]
        if colon not in {"", ":"}:
            return None
    else:
        name, colon, port = host.partition(":")
        labels = name.removesuffix(".").split(".")
        if not all(label and _consists_of(label, _LABEL_SIGNS) for label in labels):
            return None
    if not colon:
        return name, None
    if not (port.isascii() and port.isdigit() and len(port) <= _PORT_DIGITS):
        return None
    return name, port


def _names_a_host(name: str, port: str | None) -> bool:
    if port is not None and not 0 < int(port) < 1 << 16:
        return False
    if not name.startswith("["):
        return True
    from ipaddress import ip_address  # noqa: PLC0415  see the docstring

    try:
        return ip_address(name[1:-1]).version == 6
    except ValueError:
        return False


def may_have_it(server: Server, allowed: Sequence[str]) -> bool:
    """Whether a token may be sent to ``server``.

    Args:
        server: By https, or by http on this machine: elsewhere everybody on the way reads it.
        allowed: The hosts that the user named; empty if any.

    Raises:
        NotAsked: One that the user named is no host.
    """
    hosts = {server_of(one).host for one in allowed}
    if server.scheme != "https" and not (server.scheme == "http" and _is_here(server.name)):
        return False
    return not allowed or server.host in hosts


def _is_here(name: str) -> bool:
    if name == "localhost" or name.endswith(".localhost"):
        return True
    from ipaddress import ip_address  # noqa: PLC0415  see the docstring

    try:
        return ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False
