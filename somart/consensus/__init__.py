"""Raft (Ongaro 2014): a core without I/O, and what drives it."""
