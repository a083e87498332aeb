"""The libraries that only some programs need: each comes with an extra of that name."""

from __future__ import annotations

from importlib import import_module

from ..engine.errors import ConfigMissing


def require(module: str, extra: str) -> None:
    """Load ``module``.

    Args:
        module: The library.
        extra: The extra of this package that installs it.

    Raises:
        ConfigMissing: It is not installed, or does not load.
    """
    try:
        import_module(module)
    except ImportError as error:
        raise ConfigMissing(
            f"this needs {module}, which is not installed",
            hint=f"in a clone of Stayfast: pip install '.[{extra}]'",
        ) from error
