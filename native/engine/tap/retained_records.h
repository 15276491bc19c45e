// The records of a named tap until they are acknowledged. They outlive a reader: the next one continues after
// any position that is still kept. Beyond a bound of time or memory the oldest are dropped, and a gap reports
// them to a reader that has not received them.
#pragma once

#include <deque>
#include <optional>
#include <vector>

#include "engine/tap/tap_settings.h"

namespace nexus {

class RetainedRecords {
 public:
  RetainedRecords(Duration retention, size_t max_bytes, uint64_t first_position);

  // Numbers the records of the batch and keeps them. The state of an ended track is kept with its last batch.
  void Push(TapBatch batch, Timestamp now);
  // The next batch for the reader. It stays here until it is acknowledged.
  std::optional<TapBatch> Next();
  // A reader begins after this position: it receives the source and mute state of that place first. Positions
  // are ends of batches; within a batch, the whole batch is delivered again.
  void ResumeAfter(uint64_t position);
  void Acknowledge(uint64_t position);
  // Drops what has been kept for longer than the retention.
  void Expire(Timestamp now);
  // Drops the oldest batch; false if none is kept.
  bool DropOldest();

  size_t bytes() const { return bytes_; }
  uint64_t record_count() const { return record_count_; }
  // Number of the last record.
  uint64_t position() const { return position_; }
  // Packets dropped without acknowledgement, over the life of the tap.
  uint64_t packets_dropped() const { return packets_dropped_; }
  // The track that feeds the tap has ended. Another track may take its place.
  bool ended() const { return ended_; }
  // It has ended, and the reader has received everything.
  bool finished() const { return ended_ && delivered_ >= position_; }
  void Continue() { ended_ = false; }

 private:
  // A range of records that was dropped without acknowledgement.
  struct Dropped {
    uint64_t position = 0;  // of its last record
    uint64_t packets = 0;
    int64_t first_sequence = 0;
    int64_t last_sequence = 0;
    bool numbered = false;
    int64_t media_time_before_us = 0;
    int64_t media_time_after_us = 0;
  };
  // The last source and mute records before a place.
  struct State {
    std::vector<uint8_t> source;
    std::vector<uint8_t> muted;
    void Pass(const TapBatch& batch);
  };
  struct Kept {
    TapBatch batch;
    Timestamp since;
  };

  TapBatch Forget();
  void NoteDropped(const TapBatch& batch);
  std::optional<Dropped> Undelivered() const;
  State StateAt(uint64_t position) const;

  Duration retention_;
  size_t max_bytes_;
  std::deque<Kept> kept_;
  State before_;                      // before the first kept batch
  int64_t media_time_before_us_ = 0;  // of the last packet before the first kept batch
  std::deque<Dropped> dropped_;       // not acknowledged, bounded by joining the oldest two
  size_t bytes_ = 0;
  uint64_t record_count_ = 0;
  uint64_t position_;
  uint64_t delivered_;    // position up to which the reader has received everything
  bool resumed_ = false;  // the reader needs the state first
  bool ended_ = false;
  uint64_t packets_dropped_ = 0;
};

}  // namespace nexus
