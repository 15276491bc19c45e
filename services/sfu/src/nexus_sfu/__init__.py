"""The SFU: Python decides, the C++ engine forwards."""
