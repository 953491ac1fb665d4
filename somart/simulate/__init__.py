"""The production node code, N times in one process, under virtual time and faults from one seed."""
