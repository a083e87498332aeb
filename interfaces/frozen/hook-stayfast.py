"""What PyInstaller cannot see: names that are imported at first use, the catalogue, the metadata."""

from __future__ import annotations

from PyInstaller.utils.hooks import collect_data_files, collect_submodules, copy_metadata


def _of_a_program(name: str) -> bool:
    others = ("stayfast.testing", "stayfast.interfaces.frozen", "stayfast.interfaces.pytest_plugin")
    return not name.startswith(others)


hiddenimports = collect_submodules("stayfast", filter=_of_a_program)
# the metadata say the version, and which transports are installed
datas = [*collect_data_files("stayfast"), *copy_metadata("stayfast")]
