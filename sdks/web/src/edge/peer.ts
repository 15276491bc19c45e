/**
 * The one RTCPeerConnection of a session: always the offerer, `max-bundle`, publications and receive-only slots.
 *
 * Pairing is by order: an audio section directly followed by a video section is a pair (docs/architecture/contracts.md),
 * so slots are only ever added as [audio, video] for pairs and then [audio] for lone ones.
 */
import { orderCodecs } from "../core/codec_choice.js";
import type { Mid, Offer, Publication, SlotCount, TrackKind, VideoCodec } from "../core/model.js";
import type { SlotReading } from "../core/attribution.js";
import type { MediaState } from "../core/session_state.js";
import { readMids } from "../core/sdp.js";
import type { IceServer } from "../wire/messages.js";
import type { PeerConnection, Platform } from "./platform.js";

/** A local track on its way out. */
export interface Outgoing {
  readonly kind: TrackKind;
  readonly mediaStreamTrack: MediaStreamTrack;
  /** Null for audio. */
  readonly codec: VideoCodec | null;
  readonly maxBitrateBps: number;
  readonly publication: Omit<Publication, "mid">;
}

const CONFIGURATION: RTCConfiguration = { bundlePolicy: "max-bundle", rtcpMuxPolicy: "require" };

/** @internal */
export class Peer {
  readonly #platform: Platform;
  readonly #connection: PeerConnection;
  readonly #slots: RTCRtpTransceiver[] = [];
  readonly #streams = new Map<RTCRtpTransceiver, MediaStream>();
  readonly #sending = new Map<Outgoing, RTCRtpTransceiver>();
  /** Sections whose publication ended: mids never change, so they are used again. */
  readonly #retired: { readonly kind: TrackKind; readonly transceiver: RTCRtpTransceiver }[] = [];
  #slotCount: SlotCount = { pairs: 0, audioSlots: 0 };
  #firstOffer: RTCSessionDescriptionInit | null = null;

  constructor(platform: Platform, onMediaState: (state: MediaState) => void) {
    this.#platform = platform;
    this.#connection = platform.createPeer(CONFIGURATION);
    // `negotiationneeded` is not listened to: the session decides when to offer.
    this.#connection.addEventListener("connectionstatechange", () => onMediaState(this.#connection.connectionState));
  }

  /** The offer for `join`: created before, applied only with the answer, which brings the ICE servers. */
  async createFirstOffer(slotCount: SlotCount): Promise<Offer> {
    this.addSlots(slotCount);
    this.#firstOffer = await this.#connection.createOffer();
    const sdp = this.#firstOffer.sdp ?? "";
    // No mid is assigned before setLocalDescription; sections stand in the order of transceivers (RFC 9429 section 5.2.1).
    const mids = readMids(sdp);
    const midOf = new Map(this.#connection.getTransceivers().map((transceiver, index) => [transceiver, mids[index]]));
    return { sdp, publications: this.#publications((transceiver) => midOf.get(transceiver) ?? null) };
  }

  async createReoffer(slotCount: SlotCount, iceRestart: boolean): Promise<Offer> {
    this.addSlots(slotCount);
    const offer = await this.#connection.createOffer({ iceRestart });
    await this.#connection.setLocalDescription(offer);
    return { sdp: offer.sdp ?? "", publications: this.#publications((transceiver) => transceiver.mid as Mid | null) };
  }

  async applyAnswer(sdp: string, iceServers: readonly IceServer[] | null): Promise<void> {
    if (iceServers !== null) {
      this.#connection.setConfiguration({ ...CONFIGURATION, iceServers: iceServers.map(toIceServer) });
    }
    if (this.#firstOffer !== null) {
      await this.#connection.setLocalDescription(this.#firstOffer);
      this.#firstOffer = null;
    }
    await this.#connection.setRemoteDescription({ type: "answer", sdp });
  }

  async rollBack(): Promise<void> {
    if (this.#connection.signalingState !== "have-local-offer") return;
    await this.#connection.setLocalDescription({ type: "rollback" });
  }

  /** Adds receive-only sections until there are as many; also done ahead of a join to save it the time. */
  addSlots(wanted: SlotCount): void {
    const add = (kind: TrackKind): void => {
      this.#slots.push(this.#connection.addTransceiver(kind, { direction: "recvonly" }));
    };
    for (let pair = this.#slotCount.pairs; pair < wanted.pairs; pair += 1) {
      add("audio");
      add("video");
    }
    for (let slot = this.#slotCount.audioSlots; slot < wanted.audioSlots; slot += 1) add("audio");
    this.#slotCount = {
      pairs: Math.max(this.#slotCount.pairs, wanted.pairs),
      audioSlots: Math.max(this.#slotCount.audioSlots, wanted.audioSlots),
    };
  }

  /** Takes effect with the next offer. */
  addOutgoing(outgoing: Outgoing): void {
    const transceiver = this.#reuse(outgoing) ?? this.#connection.addTransceiver(outgoing.mediaStreamTrack, {
      direction: "sendonly",
      streams: [this.#platform.createStream([outgoing.mediaStreamTrack])],
      // One encoding: simulcast layers will stand beside it.
      sendEncodings: [{ maxBitrate: outgoing.maxBitrateBps }],
    });
    if (outgoing.codec !== null) this.#preferCodec(transceiver, outgoing.codec);
    this.#sending.set(outgoing, transceiver);
  }

  /** Media stops now; the section becomes inactive with the next offer. */
  removeOutgoing(outgoing: Outgoing): void {
    const transceiver = this.#sending.get(outgoing);
    if (transceiver === undefined) return;
    this.#sending.delete(outgoing);
    transceiver.direction = "inactive";
    this.#retired.push({ kind: outgoing.kind, transceiver });
    void transceiver.sender.replaceTrack(null).catch(() => undefined);
  }

  async replaceTrack(outgoing: Outgoing, track: MediaStreamTrack | null): Promise<void> {
    await this.#sending.get(outgoing)?.sender.replaceTrack(track);
  }

  midOf(outgoing: Outgoing): Mid | null {
    return (this.#sending.get(outgoing)?.mid ?? null) as Mid | null;
  }

  /** The stream of a slot: the same object for life. */
  slotStream(mid: Mid): MediaStream | null {
    const transceiver = this.#slot(mid);
    if (transceiver === undefined) return null;
    const known = this.#streams.get(transceiver);
    if (known !== undefined) return known;
    const stream = this.#platform.createStream([transceiver.receiver.track]);
    this.#streams.set(transceiver, stream);
    return stream;
  }

  /** The source that a slot played last, null while it has played nothing for ten seconds (W3C webrtc, section 5.3). */
  readSlot(mid: Mid): SlotReading | null {
    let newest: RTCRtpContributingSource | null = null;
    for (const source of this.#slot(mid)?.receiver.getContributingSources() ?? []) {
      if (newest === null || source.timestamp > newest.timestamp) newest = source;
    }
    return newest === null ? null : { mid, number: newest.source, playedAtMs: newest.timestamp };
  }

  async getStats(): Promise<RTCStatsReport> {
    return this.#connection.getStats();
  }

  close(): void {
    this.#connection.close();
  }

  #slot(mid: Mid): RTCRtpTransceiver | undefined {
    return this.#slots.find((transceiver) => transceiver.mid === mid);
  }

  #publications(midOf: (transceiver: RTCRtpTransceiver) => Mid | null | undefined): Publication[] {
    const publications: Publication[] = [];
    for (const [outgoing, transceiver] of this.#sending) {
      const mid = midOf(transceiver);
      if (mid !== null && mid !== undefined) publications.push({ ...outgoing.publication, mid });
    }
    return publications;
  }

  #reuse(outgoing: Outgoing): RTCRtpTransceiver | null {
    const index = this.#retired.findIndex((one) => one.kind === outgoing.kind && one.transceiver.currentDirection === "inactive");
    const [found] = index < 0 ? [] : this.#retired.splice(index, 1);
    if (found === undefined) return null;
    const { sender } = found.transceiver;
    found.transceiver.direction = "sendonly";
    void sender.replaceTrack(outgoing.mediaStreamTrack).catch(() => undefined);
    const parameters = sender.getParameters();
    for (const encoding of parameters.encodings) encoding.maxBitrate = outgoing.maxBitrateBps;
    void sender.setParameters(parameters).catch(() => undefined);
    return found.transceiver;
  }

  #preferCodec(transceiver: RTCRtpTransceiver, codec: VideoCodec): void {
    try {
      transceiver.setCodecPreferences(orderCodecs(codec, this.#platform.sendableCodecs("video")));
    } catch {
      // Some browsers accept only what they can receive as well: then their own order stands, and the server's
      // `preferred_codec` still tells what was wished for.
    }
  }
}

function toIceServer({ urls, username, credential }: IceServer): RTCIceServer {
  return username === "" ? { urls: [...urls] } : { urls: [...urls], username, credential };
}
