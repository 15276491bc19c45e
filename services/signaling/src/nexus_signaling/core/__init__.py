"""What signaling decides, without I/O: sessions, order of events, limits, bounded queues. No await, no clock,
no socket."""
