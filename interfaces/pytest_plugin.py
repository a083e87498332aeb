"""Fixtures of pytest for programs that embed the library: a server, a browser, a service, signed in.

Installed with the extra ``testing``, they are there without an import::

    def test_my_program(stayfast_server, stayfast_signed_in):
        my_program = MyProgram(stayfast_signed_in)
        stayfast_server.change(token_lifetime=1)
        ...

Everything is in memory and on this machine. No test reads or writes the settings or logins of the person
who runs it, and each begins with nobody signed in anywhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final, Protocol

import pytest

if TYPE_CHECKING:
    from ..testing.authorization_server import AuthorizationServer
    from ..testing.scripted_browser import ScriptedBrowser
    from .service import OAuthService

# a plugin is loaded with every run of pytest where this package is installed: what it needs for a
# fixture is loaded with the fixture

PROVIDER: Final = "demo"
"""The name of the server among the providers of ``stayfast_service``."""


class ServiceMaker(Protocol):
    """Makes services; the value of the fixture ``stayfast_service_for``."""

    def __call__(self, *providers: str, app: str = "tests", **settings: Any) -> OAuthService:
        """A service whose providers have these names, and are all the embedded server.

        Args:
            providers: Their names.
            app: The name of the program.
            settings: Fields of :class:`stayfast.OAuthConfig` with other values.
        """
        ...


@pytest.fixture
def stayfast_server() -> Iterator[AuthorizationServer]:
    """An authorization server that runs for one test: strict, and as bad as the test wants.

    Its ``/me`` is a resource that takes its tokens; ``counts`` says what was asked of it.
    """
    from .extras import require  # noqa: PLC0415  see above

    require("authlib", "testing")
    from ..testing.authorization_server import AuthorizationServer  # noqa: PLC0415  see above

    with AuthorizationServer() as server:
        yield server


@pytest.fixture
def stayfast_browser() -> Iterator[ScriptedBrowser]:
    """The browser of ``stayfast_service``. Its user approves; ``user`` makes them decline, or leave."""
    from ..testing.scripted_browser import ScriptedBrowser  # noqa: PLC0415  see above

    with ScriptedBrowser() as browser:
        yield browser


@pytest.fixture
def stayfast_service_for(
    stayfast_server: AuthorizationServer, stayfast_browser: ScriptedBrowser
) -> ServiceMaker:
    """Makes services with providers of other names: ``stayfast_service_for("acme")``."""
    from ..storage import MemoryStorage  # noqa: PLC0415  see above
    from .service import OAuthService  # noqa: PLC0415  see above

    def make(*providers: str, app: str = "tests", **settings: Any) -> OAuthService:
        configs = {
            name: stayfast_server.config(service_name=name, **settings) for name in providers
        }
        return OAuthService(
            storage=MemoryStorage(),
            app=app,
            providers=configs,
            browser=stayfast_browser,
            conversation=stayfast_browser,
            audit="none",
            environ={},
        )

    return make


@pytest.fixture
def stayfast_service(stayfast_service_for: ServiceMaker) -> OAuthService:
    """A service whose one provider, ``demo``, is ``stayfast_server``; nobody is signed in."""
    return stayfast_service_for(PROVIDER)


@pytest.fixture
def stayfast_signed_in(
    stayfast_service: OAuthService, stayfast_browser: ScriptedBrowser
) -> OAuthService:
    """``stayfast_service``, whose user has signed in with the browser."""
    from ..engine.result import Failure  # noqa: PLC0415  see above

    signed_in = stayfast_service.authenticate(PROVIDER)
    stayfast_browser.close()
    if isinstance(signed_in, Failure):
        pytest.fail(f"the sign-in of the fixture failed: {signed_in.error}", pytrace=False)
    return stayfast_service
