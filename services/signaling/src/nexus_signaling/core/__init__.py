"""The decisions of signaling, without I/O: sessions, order of events, limits, bounded queues. It has no
await, clock or socket."""
