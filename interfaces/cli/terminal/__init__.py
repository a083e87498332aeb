"""What the command shows and reads at a terminal."""
