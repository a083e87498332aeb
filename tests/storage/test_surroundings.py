"""The machine a storage finds itself on: its clock, and the file systems it is refused on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from stayfast.engine.errors import StorageError
from stayfast.storage import EncryptedFileStorage
from stayfast.storage import private_file as network_fs
from stayfast.storage.private_file import file_system_among
from stayfast.testing.storage_contract import finished, saved

MOUNTS = rb"""21 1 254:0 / / rw,relatime shared:1 - ext4 /dev/root rw
22 21 0:5 / /proc rw - proc proc rw
30 21 0:40 / /home rw,relatime shared:9 - nfs4 server:/home rw
31 30 254:1 / /home/ada/local rw - ext4 /dev/vdb rw
32 21 0:41 / /mnt/two\040words rw - cifs //server/share rw
33 21 0:42 / /mnt/gr\303\251 rw - fuse.sshfs host: rw
34 21 0:43 / /mnt/twice rw - ext4 /dev/vdc rw
35 34 0:44 / /mnt/twice rw - 9p share rw
36 21 0:45 / /mnt/a\134040b rw - nfs server:/b rw
torn line
""".replace(rb"\303\251", b"\xc3\xa9")


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/lib/x", "ext4"),
        ("/home", "nfs4"),
        ("/home/ada/.local/state/stayfast", "nfs4"),
        ("/home/ada/local/x", "ext4"),
        ("/homely", "ext4"),
        ("/mnt/two words/x", "cifs"),
        ("/mnt/gr\u00e9/x", "fuse.sshfs"),
        ("/mnt/twice/x", "9p"),
        ("/mnt/a\\040b/x", "nfs"),
    ],
)
def test_the_innermost_and_latest_mount_counts(path: str, kind: str) -> None:
    """A file system is found by its mount point, whatever characters that has."""
    assert file_system_among(MOUNTS.splitlines(keepends=True), path.encode()) == kind


def test_a_vault_is_kept_off_network_file_systems(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where locks do not hold no vault is made and none is opened, unless that is insisted upon."""
    tmp_path.chmod(0o700)
    mounts = Path("/proc/self/mountinfo").read_bytes().splitlines()
    here = file_system_among(mounts, str(tmp_path.resolve()).encode())
    login = finished()

    def vault(**environ: str) -> EncryptedFileStorage:
        return EncryptedFileStorage(
            str(tmp_path / "s"), config_dir=str(tmp_path / "c"), environ=environ
        )

    with monkeypatch.context() as patched:
        patched.setattr(network_fs, "NETWORKED", {here})
        with pytest.raises(StorageError) as caught:
            saved(vault(), [login])
        assert caught.value.exit_code == 7
        assert not (tmp_path / "s" / "vault.db").exists()
    saved(vault(), [login])
    with monkeypatch.context() as patched:
        patched.setattr(network_fs, "NETWORKED", {here})
        with pytest.raises(StorageError):
            vault().read(login.id)
        assert vault(STAYFAST_ALLOW_NETWORK_FS="1").read(login.id) == login


def test_a_clock_made_in_frozen_time_still_runs() -> None:
    """Deadlines pass even in a process that first loads the storage while freezegun is at work."""
    script = (
        "from freezegun import freeze_time\n"
        "with freeze_time('2030-01-01'):\n"
        "    from stayfast.storage.host import SystemClock\n"
        "    clock = SystemClock()\n"
        "    before = clock.monotonic()\n"
        "    clock.sleep(0.01)\n"
        "    print(clock.monotonic() - before >= 0.01, clock.now() == 1893456000)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["True", "True"]
