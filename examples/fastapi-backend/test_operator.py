"""What an operator of the backend sees of a login: spans, and no secret. It needs opentelemetry-sdk, too."""

from __future__ import annotations

import httpx
import pytest
from backend import LOGIN, SESSION, make_app  # type: ignore[import-not-found]  # pytest finds it here
from stayfast import OpenTelemetryObserver
from stayfast.testing.authorization_server import AuthorizationServer
from test_backend import (  # type: ignore[import-not-found]  # pytest finds it here
    HERE,
    Browser,
    answer,
    provider,
)

__all__ = ["provider"]  # the fixture


def test_an_operator_sees_each_step_and_no_secret(provider: AuthorizationServer) -> None:
    """As spans; no token, no code, and nothing that is in a visitor's cookies."""
    pytest.importorskip("opentelemetry.sdk")
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415  only here
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor  # noqa: PLC0415
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import (  # noqa: PLC0415
        InMemorySpanExporter,
    )

    spans, tracers = InMemorySpanExporter(), TracerProvider()
    tracers.add_span_processor(SimpleSpanProcessor(spans))
    config = provider.config(redirect_uri=f"{HERE}/callback")
    api = f"{provider.issuer}/userinfo"
    ada = Browser(make_app(config, api, [OpenTelemetryObserver(tracers)]))
    back = answer(ada, "ada")
    begun = ada.cookies[LOGIN]
    ada.get(back)
    assert ada.get("/me").status_code == 200
    seen = [span.to_json() for span in spans.get_finished_spans()]
    assert [span.name for span in spans.get_finished_spans()] == [
        f"stayfast.{step}" for step in ("begin", "present", "receive_callback", "accept_tokens")
    ]
    issued = provider.state.tokens[-1]
    sent = dict(httpx.URL(back).params)
    for secret in (issued.access_token, issued.refresh_token, sent["code"], sent["state"],
                   begun, ada.cookies[SESSION]):  # fmt: skip
        assert secret
        assert not any(secret in span for span in seen)
