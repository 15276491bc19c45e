"""The recorder: it keeps the tracks of rooms, and makes files from them."""
