"""The decisions of the recorder: the states of recordings, timelines, segments and names. It has no await,
clock, files or network."""
