"""Slots: tables in memory, their properties, and how values are stored."""
