"""somart: the runtime that generated packages import."""
