"""Connections that lead to the public network only, whatever a name says.

A stranger's name may lead to an address of a private network, and to another one a moment later. So
the address is judged where it cannot change any more: it is that of the connection itself, before
anything is sent through it. A proxy looks names up itself, and what lies behind it is not known
here.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from ..engine.errors import ProviderError
from ..engine.oauth.addresses import private_host
from ..engine.reasons import Distrust

if TYPE_CHECKING:
    from collections.abc import Callable


class PublicAdapter(HTTPAdapter):
    """Makes the connections of a session of requests."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """See the base class. A proxy has a manager of its own, which stays as it is."""
        super().init_poolmanager(*args, **kwargs)
        pools: dict[str, Any] = {"http": _HttpPool, "https": _HttpsPool}
        self.poolmanager.pool_classes_by_scheme = pools


def _public(connect: Callable[[], socket.socket], host: str) -> socket.socket:
    """A connection, once its other end is known to be public.

    Raises:
        ProviderError: It is not.
    """
    connected = connect()
    if private_host(str(connected.getpeername()[0])):
        connected.close()
        raise ProviderError(
            f"{host} leads into a private network, which a public resource may not name,"
            " and nothing was sent there",
            reason=Distrust.PRIVATE_ADDRESS.value,
        )
    return connected


class _Http(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        return _public(super()._new_conn, self.host)


class _Https(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        return _public(super()._new_conn, self.host)


class _HttpPool(HTTPConnectionPool):
    ConnectionCls: Any = _Http


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls: Any = _Https
