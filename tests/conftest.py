from __future__ import annotations

from hypothesis import HealthCheck, settings

# Tests run three at a time on machines that do other things: how long an example takes says
# nothing about our code there.
settings.register_profile("stayfast", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("stayfast")
