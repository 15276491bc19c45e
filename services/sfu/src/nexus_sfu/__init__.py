"""The SFU service: Python makes the decisions, the C++ engine forwards media."""
