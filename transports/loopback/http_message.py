"""One HTTP/1.1 request, read from octets as they come, and one answer, written (RFC 9112).

No socket is touched here. Whatever a hostile or clumsy client sends, :meth:`RequestReader.feed`
gives a complete request, a status to refuse with, or asks for more octets up to a limit.

``http.server`` is not used: it needs a thread for each slow client, and bounds neither the time that
a request takes nor its body.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

HEAD_LIMIT: Final = 32 * 1024  # authorization responses of 8 kB are seen in the field
BODY_LIMIT: Final = 64 * 1024
_FIELDS: Final = 100  # header fields; browsers send about fifteen
# Two of these mean that two readers may understand two different requests (RFC 9112 §3.2, §6.3).
_ONLY_ONCE: Final = frozenset({"host", "content-length"})
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"})


@dataclass(frozen=True, slots=True)
class Request:
    """A complete request.

    Attributes:
        method: As sent.
        path: Without the query.
        query: Without the question mark; not shown by ``repr``.
        headers: By lower-case name; of repeated ones the last.
        body: At most 64 KiB; not shown by ``repr``.
    """

    method: str
    path: str
    query: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def prefetch(self) -> bool:
        """Whether the browser loads this ahead of its user (``Sec-Purpose``)."""
        purpose = self.headers.get("sec-purpose", "") + self.headers.get("purpose", "")
        return "prefetch" in purpose.lower()

    def parameters(self) -> list[tuple[str, str]] | None:
        """The callback parameters: of the query, or of a posted form; ``None`` if unreadable."""
        text = self.query
        if self.method == "POST":
            # form_post sends a form and nothing else. A page of another origin may post text or
            # JSON without asking first; what it sends is not read.
            kind = self.headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind != "application/x-www-form-urlencoded":
                return None
            text = self.body.decode("ascii", "replace")
        try:
            return parse_qsl(text, keep_blank_values=True, max_num_fields=50)
        except ValueError:
            return None


class RequestReader:
    """Collects octets until they are a request."""

    def __init__(self) -> None:
        self._octets = bytearray()
        self._head: tuple[str, str, Mapping[str, str]] | None = None
        self._length = 0

    def feed(self, octets: bytes) -> Request | HTTPStatus | None:
        """Take ``octets``: the request once complete, a status to refuse with, or ``None``."""
        self._octets += octets
        if self._head is None:
            refused = self._read_head()
            if refused is not None or self._head is None:
                return refused
        if len(self._octets) < self._length:
            return None
        method, target, headers = self._head
        path, _, query = target.partition("?")
        return Request(method, path, query, headers, bytes(self._octets[: self._length]))

    def _read_head(self) -> HTTPStatus | None:
        end = self._octets.find(b"\r\n\r\n")
        if end < 0:
            if len(self._octets) > HEAD_LIMIT:
                return HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            # Another protocol (TLS, HTTP/2, a port scan) is refused at its first octets: its
            # client may never send the line end that we would wait for.
            first = bytes(self._octets[:8])
            started = any(f"{m} ".encode().startswith(first[: len(m) + 1]) for m in _METHODS)
            return None if started else HTTPStatus.BAD_REQUEST
        head = bytes(self._octets[: end + 4])
        del self._octets[: end + 4]
        if len(head) > HEAD_LIMIT:
            return HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
        line, *rest = head[:-4].decode("latin-1").split("\r\n")
        breaks = len(rest) + 2
        words = line.split(" ")
        if (
            (len(words) != 3 or words[0] not in _METHODS or not words[2].startswith("HTTP/1."))
            # a CR or LF by itself: some parsers would see the end of a line there, we would not
            or (head.count(b"\n") != breaks or head.count(b"\r") != breaks)
        ):
            return HTTPStatus.BAD_REQUEST
        if len(rest) > _FIELDS:
            return HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
        return self._accept_head(words[0], words[1], rest)

    def _accept_head(self, method: str, target: str, lines: Sequence[str]) -> HTTPStatus | None:
        headers: dict[str, str] = {}
        for line in lines:
            name, colon, value = line.partition(":")
            known = name.lower()
            if not colon or name != name.strip() or (known in headers and known in _ONLY_ONCE):
                # this also refuses a folded line, which starts with a blank (RFC 9112 §5.2)
                return HTTPStatus.BAD_REQUEST
            headers[known] = value.strip(" \t")
        # no browser sends a form in chunks, and a length beside chunks is request smuggling
        if "host" not in headers or "transfer-encoding" in headers:
            return HTTPStatus.BAD_REQUEST
        length = headers.get("content-length", "0")
        if not length.isascii() or not length.isdigit():
            return HTTPStatus.BAD_REQUEST
        length = length.lstrip("0") or "0"  # int() refuses thousands of digits
        if len(length) > 9 or int(length) > BODY_LIMIT:
            return HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        self._length = int(length)
        self._head = (method, target, headers)
        return None


# The address of a page may hold a code: it must not be cached, nor sent on as a referrer. The page
# may name the user: no other site may frame it.
SECURITY_HEADERS: Final = (
    ("Cache-Control", "no-store"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Connection", "close"),
)


def render_response(
    status: HTTPStatus,
    body: str = "",
    headers: Sequence[tuple[str, str]] = (),
    *,
    head_only: bool = False,
) -> bytes:
    """An answer as octets; the connection is closed after it."""
    octets = body.encode("utf-8")
    lines = [f"HTTP/1.1 {status.value} {status.phrase}"]
    lines += [f"{name}: {value}" for name, value in (*SECURITY_HEADERS, *headers)]
    if octets:
        lines.append("Content-Type: text/html; charset=utf-8")
    lines.append(f"Content-Length: {len(octets)}")
    head = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
    return head if head_only else head + octets
