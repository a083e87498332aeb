"""What an audit log says, and how it is proved complete."""
