"""The WebSocket gateway between clients and SFUs."""
