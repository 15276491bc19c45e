/** A media transform that only records what it is attached to. */
import type { TrackKind } from "../core/model.js";
import type { MediaTransform } from "../edge/media_transform.js";

export class FakeMediaTransform implements MediaTransform {
  /** In the order of the calls, with repetitions. */
  readonly senders: (readonly [RTCRtpSender, TrackKind])[] = [];
  readonly receivers: (readonly [RTCRtpReceiver, TrackKind])[] = [];

  attachSender(sender: RTCRtpSender, kind: TrackKind): void {
    this.senders.push([sender, kind]);
  }

  attachReceiver(receiver: RTCRtpReceiver, kind: TrackKind): void {
    this.receivers.push([receiver, kind]);
  }
}
