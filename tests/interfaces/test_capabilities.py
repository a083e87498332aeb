"""What a storage says it can do is what the rest relies on; its class does not matter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stayfast.interfaces.audit.choice import audit_sinks
from stayfast.interfaces.audit.file import AUDIT_FILE, AuditFile
from stayfast.interfaces.couriers.channel import EventForwarder
from stayfast.interfaces.couriers.choice import choose_courier
from stayfast.interfaces.couriers.saving import InlineCourier
from stayfast.interfaces.http import RequestsHttp
from stayfast.storage import MemoryStorage
from stayfast.storage.capabilities import Capabilities, capabilities_of
from transitions_of import vault_in


class Another:
    """A storage of somebody else, which keeps its logins in a vault of ours."""

    def __init__(self, place: Path, **can: Any) -> None:
        self._vault = vault_in(str(place))
        self.capabilities = Capabilities(**{name: can[name](self._vault) for name in can})

    def __getattr__(self, name: str) -> Any:
        return getattr(self._vault, name)


def test_a_storage_that_says_nothing_keeps_logins_and_no_more(tmp_path: Path) -> None:
    """Its log has no file, and no other process carries its jobs."""
    for storage in (MemoryStorage(), Another(tmp_path)):
        assert capabilities_of(storage)._replace(entries=None, glance=None) == Capabilities()
        assert audit_sinks(storage, {}) == []
        courier = choose_courier(storage, RequestsHttp(), EventForwarder(()), {})
        assert isinstance(courier, InlineCourier)


def test_a_storage_of_any_class_may_be_a_vault(tmp_path: Path) -> None:
    """Its audit file lies beside it, and another process may carry its jobs."""
    storage = Another(tmp_path, vault=lambda vault: vault, close=lambda vault: vault.close)
    (file,) = audit_sinks(storage, {})
    assert isinstance(file, AuditFile)
    storage.probe()
    file.catch_up()
    assert Path(storage.directory, AUDIT_FILE).exists()
    courier = choose_courier(storage, RequestsHttp(), EventForwarder(()), {})
    assert not isinstance(courier, InlineCourier)
