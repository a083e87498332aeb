"""Spans and metrics of OpenTelemetry (extra ``otel``), made from the events that observers get.

An :class:`OpenTelemetryObserver` is given to ``OAuthService(observers=[…])``. Each transition becomes a
span, as long as the step took, and counts. So an operator sees how many users sign in, what the provider
refuses, and how long a refresh takes. No token, no secret, and no name of a user is in them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .extras import require

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

    from ..engine.audit.events import Recorded, Scalar
    from ..engine.record import Login

_NAME: Final = "stayfast"
_EXCHANGE: Final = "exchanging"
# what may be an attribute: few values each, and nothing that names a person
_ATTRIBUTES: Final = {
    "provider": "stayfast.provider",
    "trigger": "stayfast.trigger",
    "to": "stayfast.state",
    "outcome": "stayfast.outcome",
    "reason": "stayfast.reason",
    "transport": "stayfast.transport",
    "oauth_error": "error.type",
    "http_status": "http.response.status_code",
}
_COUNTED_BY: Final = frozenset({"provider", "trigger", "outcome", "reason"})
_NANOSECONDS: Final = 1_000_000_000


class OpenTelemetryObserver:
    """Makes a span and counts for each event of a login.

    ``stayfast.transitions`` counts steps of logins, ``stayfast.refusals`` what was refused and changed
    nothing, and ``stayfast.exchange.duration`` is a histogram of the seconds from a code or refresh token
    to its answer.
    """

    def __init__(
        self,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
    ) -> None:
        """Make instruments.

        Args:
            tracer_provider: Makes the spans; the global one if not given.
            meter_provider: Makes the metrics; the global one if not given.

        Raises:
            ConfigMissing: OpenTelemetry is not installed.
        """
        require("opentelemetry", "otel")
        from opentelemetry import metrics, trace  # noqa: PLC0415  few programs need it

        self._error = trace.Status(trace.StatusCode.ERROR)
        self._tracer = trace.get_tracer(_NAME, tracer_provider=tracer_provider)
        meter = metrics.get_meter(_NAME, meter_provider=meter_provider)
        self._transitions = meter.create_counter(
            "stayfast.transitions", unit="{transition}", description="Steps of logins."
        )
        self._refusals = meter.create_counter(
            "stayfast.refusals",
            unit="{input}",
            description="Inputs that were refused and changed nothing.",
        )
        self._exchanges = meter.create_histogram(
            "stayfast.exchange.duration",
            unit="s",
            description="From sending a code or refresh token to saving the answer.",
        )

    def observe(self, recorded: Sequence[Recorded], login: Login | None) -> None:
        """See :meth:`stayfast.engine.ports.Observer.observe`."""
        del login
        for one in recorded:
            members = one.members
            if members.get("event") == "login.refused":
                self._refusals.add(1, _attributes(members, _COUNTED_BY))
            elif members.get("event") == "login.transition":
                self._observe(members)

    def _observe(self, members: Mapping[str, Scalar]) -> None:
        self._transitions.add(1, _attributes(members, _COUNTED_BY))
        duration, time = members.get("duration"), members.get("time")
        seconds = float(duration) if isinstance(duration, int | float) else 0.0
        if members.get("from") == _EXCHANGE:
            self._exchanges.record(seconds, _attributes(members, _COUNTED_BY))
        if not isinstance(time, int | float):
            return
        # a user's hesitation is no work: only a step of ours has a length
        began = time - seconds if members.get("from") == _EXCHANGE else time
        span = self._tracer.start_span(
            f"stayfast.{members.get('trigger')}",
            attributes=_attributes(members, frozenset(_ATTRIBUTES)),
            start_time=int(began * _NANOSECONDS),
        )
        if members.get("outcome") == "failure":
            span.set_status(self._error)
        span.end(int(time * _NANOSECONDS))


def _attributes(members: Mapping[str, Scalar], wanted: frozenset[str]) -> dict[str, str | int]:
    return {
        name: value
        for field, name in _ATTRIBUTES.items()
        if field in wanted and isinstance(value := members.get(field), str | int)
    }
