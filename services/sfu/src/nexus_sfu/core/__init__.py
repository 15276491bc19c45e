"""The decisions of the SFU: rooms, participants, tracks and slot tables. It has no await, clock, engine or
SDP text."""
