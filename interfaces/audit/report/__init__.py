"""A report of the audit log: one page for a browser, with nothing in it from anywhere else."""

from __future__ import annotations

from .facts import Facts, gather
from .page import render

__all__ = ["Facts", "gather", "render"]
