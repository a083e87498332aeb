"""Where logins are kept and locked: the sealed vault, memory, and views for other contracts."""
