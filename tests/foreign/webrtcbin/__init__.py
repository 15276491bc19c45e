"""A foreign client on GStreamer's webrtcbin: `client.py`, which the system's Python runs."""
