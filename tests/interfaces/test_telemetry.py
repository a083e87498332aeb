"""Spans and metrics of OpenTelemetry: what an operator sees, and what nobody may see there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from stayfast import Failure, MemoryStorage, OAuthService, Success
from stayfast.interfaces.telemetry import OpenTelemetryObserver
from stayfast.testing.authorization_server import AuthorizationServer
from stayfast.testing.misbehaviour import Fault, FaultKind
from stayfast.testing.user_agent import fetch_only

pytest.importorskip("opentelemetry.sdk")
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter


@pytest.fixture
def server() -> Iterator[AuthorizationServer]:
    with AuthorizationServer() as running:
        yield running


class Operator:
    """What an operator's tools were sent."""

    def __init__(self) -> None:
        self._spans, self._reader = InMemorySpanExporter(), InMemoryMetricReader()
        tracers, meters = TracerProvider(), MeterProvider([self._reader])
        tracers.add_span_processor(SimpleSpanProcessor(self._spans))
        self.observer = OpenTelemetryObserver(tracers, meters)

    @property
    def spans(self) -> list[Any]:
        return list(self._spans.get_finished_spans())

    def metric(self, name: str) -> list[Any]:
        data = self._reader.get_metrics_data()
        found = [] if data is None else data.resource_metrics
        return [
            point
            for resource in found
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
        ]


@pytest.fixture
def operator() -> Operator:
    return Operator()


@pytest.fixture
def service(operator: Operator, server: AuthorizationServer) -> OAuthService:
    return OAuthService(
        app="acme", storage=MemoryStorage(), providers={"demo": server.config()}, environ={},
        observers=[operator.observer],
    )  # fmt: skip


def signed_in(service: OAuthService) -> None:
    begun = service.begin("demo")
    assert isinstance(begun, Success)
    assert isinstance(service.complete(fetch_only(begun.value.address)), Success)


def test_each_step_is_a_span(service: OAuthService, operator: Operator) -> None:
    """With its provider and outcome; an exchange is as long as it took."""
    signed_in(service)
    assert isinstance(service.refresh_tokens("demo"), Success)
    assert [span.name.removeprefix("stayfast.") for span in operator.spans] == [
        "begin", "present", "receive_callback", "accept_tokens", "refresh", "accept_tokens",
    ]  # fmt: skip
    exchange = operator.spans[-1]
    assert exchange.attributes["stayfast.provider"] == "demo"
    assert exchange.attributes["stayfast.outcome"] == "success"
    assert exchange.end_time > exchange.start_time
    (lasted,) = {point.count for point in operator.metric("stayfast.exchange.duration")}
    assert lasted == 2


def test_what_goes_wrong_is_seen(
    service: OAuthService, operator: Operator, server: AuthorizationServer
) -> None:
    """A refused answer is counted, and a refused refresh is a span with an error."""
    signed_in(service)
    assert isinstance(service.complete("https://x.example/?code=c&state=unknown"), Failure)
    (refusal,) = operator.metric("stayfast.refusals")
    assert refusal.attributes["stayfast.reason"] == "wrong_state"
    server.misbehave("token", Fault(kind=FaultKind.ERROR, members={"error": "invalid_grant"}))
    assert isinstance(service.refresh_tokens("demo"), Failure)
    failed = operator.spans[-1]
    assert (failed.status.is_ok, failed.attributes["error.type"]) == (False, "invalid_grant")


def test_no_secret_and_no_person_is_in_them(service: OAuthService, operator: Operator) -> None:
    """Neither a token nor the name of an account."""
    begun = service.begin("demo", account="ada@example.com")
    assert isinstance(begun, Success)
    done = service.complete(fetch_only(begun.value.address))
    assert isinstance(done, Success)
    shown = repr([(span.name, dict(span.attributes)) for span in operator.spans])
    shown += repr(operator.metric("stayfast.transitions"))
    assert "demo" in shown
    for secret in ("ada@example.com", done.value.access_token, begun.value.login_id):
        assert secret not in shown


def test_without_opentelemetry_one_command_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The extra that brings it."""
    del tmp_path
    import sys  # noqa: PLC0415  only here

    from stayfast import ConfigMissing  # noqa: PLC0415  only here

    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(ConfigMissing) as caught:
        OpenTelemetryObserver()
    assert "otel" in str(caught.value.hint)
