"""A foreign client on GStreamer's webrtcbin: `client.py`, run by the system's Python."""
