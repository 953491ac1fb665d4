"""Where committed state lives."""
