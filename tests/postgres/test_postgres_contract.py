"""PostgreSQL holds the contract of every storage."""

from __future__ import annotations

import pytest
from postgres_server import Host
from stayfast.engine.ports import Storage
from stayfast.testing.storage_contract import StorageContract


class TestPostgres(StorageContract):
    @pytest.fixture
    def storage(self, host: Host) -> Storage:
        return host()


class TestWithoutLocalLocks(StorageContract):
    """As on a server whose user has no home: the database alone keeps processes apart."""

    @pytest.fixture
    def storage(self, host: Host) -> Storage:
        return host(state_dir="/proc/no-such-place")
