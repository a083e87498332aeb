"""The command ``stayfast``."""
