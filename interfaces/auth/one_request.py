"""What ``httpx`` and its successor have in common: the headers and the body of one request.

A proof is for one request (RFC 9449 §4.3). Where a redirect leaves the origin, these libraries take the
``Authorization`` header away, and know nothing of proofs. Their auth objects do not see redirects either:
one flow is asked for the first request, and gets the answer to the last. So :func:`attach` keeps a proof
beside the list of headers that they copy for a redirect. The transport that sends the request reads it,
like everybody else, and the copy is without it.
"""

# The classes are those of one of two libraries, found at run time
# pyright: basic

from __future__ import annotations

from functools import cache
from typing import Any

from .bearer import PROOF


def attach(request: Any, headers: dict[str, str]) -> Any:
    """``request`` with ``headers`` of ours; a proof among them does not follow a redirect."""
    given = dict(headers)
    proof = given.pop(PROOF, None)
    request.headers.update(given)
    if proof is not None:
        if not hasattr(request.headers, "proof"):
            kind: Any = type(request.headers)
            request.headers = _with_proof(kind)(request.headers)
        request.headers.proof = proof
    return request


def sendable_again(request: Any, in_memory: type) -> bool:
    """Whether the body of ``request`` can be read once more.

    It can where it is in memory, and where it is a form whose files can be read from their
    beginning, as the library does for each sending. Any other may have been read to its end.

    Args:
        request: The request.
        in_memory: The class of bodies in memory.
    """
    stream = request.stream
    fields = getattr(stream, "fields", None)
    if fields is None:
        return isinstance(stream, in_memory)
    return all(_from_beginning(getattr(field, "file", b"")) for field in fields)


def _from_beginning(file: Any) -> bool:
    if isinstance(file, str | bytes):
        return True
    return bool(getattr(file, "seekable", bool)()) and not getattr(file, "closed", False)


_OfLibrary: Any = object


class _ProofBeside(_OfLibrary):  # type: ignore[misc]  # before a library's own class, one of two
    """Headers with a proof, which copies of their list do not have."""

    proof: str | None = None

    @property
    def _own(self) -> list[tuple[str, str]]:
        return [] if self.proof is None else [(PROOF.lower(), self.proof)]

    @property
    def raw(self) -> Any:
        return [*super().raw, *((PROOF.encode(), one.encode()) for _, one in self._own)]

    def keys(self) -> Any:
        return dict(self.items()).keys()

    def values(self) -> Any:
        return dict(self.items()).values()

    def items(self) -> Any:
        return {**dict(super().items()), **dict(self._own)}.items()

    def multi_items(self) -> Any:
        return [*super().multi_items(), *self._own]

    def get_list(self, key: str, split_commas: bool = False) -> Any:  # noqa: FBT001, FBT002  the library's
        if key.lower() == PROOF.lower() and self.proof is not None:
            return [self.proof]
        return super().get_list(key, split_commas)

    def __getitem__(self, key: str) -> Any:
        if key.lower() == PROOF.lower() and self.proof is not None:
            return self.proof
        return super().__getitem__(key)

    def __setitem__(self, key: str, value: str) -> None:
        if key.lower() == PROOF.lower():
            self.proof = value
        else:
            super().__setitem__(key, value)

    def __delitem__(self, key: str) -> None:
        if key.lower() == PROOF.lower() and self.proof is not None:
            self.proof = None
        else:
            super().__delitem__(key)

    def __contains__(self, key: object) -> bool:
        ours = isinstance(key, str) and key.lower() == PROOF.lower()
        return (ours and self.proof is not None) or super().__contains__(key)

    def __iter__(self) -> Any:
        return iter(self.keys())

    def __len__(self) -> int:
        return int(super().__len__()) + len(self._own)


@cache
def _with_proof(kind: Any) -> Any:
    """The class of headers ``kind``, with a place for a proof."""
    return type("HeadersWithProof", (_ProofBeside, kind), {})
