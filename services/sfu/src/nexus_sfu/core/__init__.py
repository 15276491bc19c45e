"""What the SFU decides: rooms, participants, tracks, slot tables. No await, no clock, no engine, no SDP
text."""
