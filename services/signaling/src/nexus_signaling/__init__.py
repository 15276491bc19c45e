"""The WebSocket gateway between people and SFUs."""
