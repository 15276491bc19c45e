/**
 * The seam at which encoded frames can be transformed between codec and RTP, as end-to-end encryption does
 * (W3C webrtc-encoded-transform, `RTCRtpScriptTransform`).
 *
 * A sender or receiver keeps its transform for life: across re-offers, replaced tracks, and the tracks that a slot carries
 * one after another. Each is therefore passed exactly once, in the turn that creates its transceiver, so that no frame is
 * processed before the transform is in place. A transceiver is used in one direction only; its other half is not passed.
 */
import type { TrackKind } from "../core/model.js";

/** @internal */
export interface MediaTransform {
  /** The sender of a new publication. A later publication may use the same sender. */
  attachSender(sender: RTCRtpSender, kind: TrackKind): void;
  /** The receiver of a new slot. The CSRC of a frame names the track that it belongs to. */
  attachReceiver(receiver: RTCRtpReceiver, kind: TrackKind): void;
}

/** Leaves all media as it is. @internal */
export const NO_TRANSFORM: MediaTransform = {
  attachSender: () => undefined,
  attachReceiver: () => undefined,
};
