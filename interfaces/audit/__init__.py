"""The audit log outside the vault: lines, sinks, exports, and help for a program's own log."""
