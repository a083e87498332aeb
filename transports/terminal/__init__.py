"""What is typed or pasted at a terminal."""
