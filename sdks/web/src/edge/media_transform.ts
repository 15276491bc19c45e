/**
 * The seam at which encoded frames can be transformed between codec and RTP, as end-to-end encryption does
 * (W3C webrtc-encoded-transform, `RTCRtpScriptTransform`).
 *
 * A sender or receiver keeps its transform for life: across re-offers, replaced tracks, and the tracks that a slot carries
 * one after another. The transform is therefore attached to each exactly once, in the turn that creates its transceiver, so
 * that no frame is processed before. A transceiver is used in one direction only; its other half gets no transform.
 */
import type { TrackKind } from "../core/model.js";

/** Transforms the encoded frames of senders and receivers. @internal */
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
