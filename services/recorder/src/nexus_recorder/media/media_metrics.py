"""Counters of the media half. Labels are closed sets."""

from nexus_runtime import MetricSet


class MediaMetrics:
    def __init__(self, metrics: MetricSet) -> None:
        counter, gauge = metrics.counter, metrics.gauge
        self.tracks = gauge("tracks", "Tracks that are recorded at the moment.")
        self.tracks_ended = counter("tracks_ended", "Recordings of tracks that ended, by reason.", "reason")
        self.frames = counter("frames", "Frames received.")
        self.frames_refused = counter("frames_refused", "Frames that no container took.")
        self.segments_stored = counter("segments_stored", "Segments that are in their store.")
        self.stored_bytes = counter("stored_bytes", "Bytes of segments and journals that are in their store.")
        self.late_segments = counter(
            "late_segments", "Segments removed from the spool, because the files were made without them."
        )
        self.upload_failures = counter(
            "upload_failures", "Uploads that failed and were tried again.", "error"
        )
        self.spool_refusals = gauge("spool_refusals", "Writes that the bound of the spool refused.")
        self.spool_bytes = gauge("spool_bytes", "Bytes of segments that are not in their store yet.")
