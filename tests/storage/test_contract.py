"""Every storage of ours holds the contract."""

from __future__ import annotations

from pathlib import Path

import pytest
from stayfast.engine.ports import Storage
from stayfast.storage import EncryptedFileStorage, MemoryStorage
from stayfast.testing.storage_contract import StorageContract


class TestMemory(StorageContract):
    @pytest.fixture
    def storage(self) -> Storage:
        return MemoryStorage()


class TestKeyFile(StorageContract):
    @pytest.fixture
    def storage(self, tmp_path: Path) -> Storage:
        tmp_path.chmod(0o700)
        return EncryptedFileStorage(str(tmp_path / "s"), config_dir=str(tmp_path / "c"), environ={})


class TestPassphrase(StorageContract):
    @pytest.fixture
    def storage(self, tmp_path: Path) -> Storage:
        tmp_path.chmod(0o700)
        return EncryptedFileStorage(str(tmp_path / "s"), passphrase=lambda: "correct", environ={})
