from __future__ import annotations

import signal

from hypothesis import HealthCheck, settings

# Tests run three at a time on machines that do other things: how long an example takes says
# nothing about our code there.
settings.register_profile("stayfast", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("stayfast")


def _nothing(number: int, frame: object) -> None:
    del number, frame


# `nohup make test` and `make test &` hand down signals that are ignored, and what the tests start would
# ignore them too: Python and our command leave an ignored signal alone. Handlers in place of "ignore"
# end at exec, so that whatever is started has the defaults; a hangup still does not end the suite.
for _name, _handler in (("SIGINT", signal.default_int_handler), ("SIGHUP", _nothing)):
    if (_number := getattr(signal, _name, None)) and signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _handler)
