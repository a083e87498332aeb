"""OAuth sign-in for command-line programs that survives Ctrl-C, SSH, crashes and crowds."""
