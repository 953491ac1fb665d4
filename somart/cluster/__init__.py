"""Many processes as one: membership, the bus, the ring, replication (docs/decisions/012)."""
