/**
 * The one RTCPeerConnection of a session: always the offerer, `max-bundle`, publications and receive-only slots.
 *
 * Pairing is by order: an audio section directly followed by a video section is a pair (docs/architecture/contracts.md),
 * so slots are only ever added as [audio, video] for pairs and then [audio] for lone ones.
 */
import { orderCodecs } from "../core/codec_choice.js";
import { encodingPlans, isTaken, refit, type EncodingPlan, type VideoSize, type VideoSource } from "../core/encodings.js";
import type { LayerDemand, Mid, Offer, Publication, SlotCount, TrackKind, VideoCodec } from "../core/model.js";
import type { SlotReading } from "../core/attribution.js";
import type { MediaState } from "../core/media_path.js";
import { applyAudioOptions, readMids, type AudioOptions } from "../core/sdp.js";
import type { IceServer } from "../wire/messages.js";
import { offerDependencyDescriptor } from "./dependency_descriptor.js";
import { DataLink, type Delivery } from "./data_link.js";
import { NO_TRANSFORM, type MediaTransform } from "./media_transform.js";
import type { PeerConnection, Platform } from "./platform.js";
import { SenderLayers } from "./sender_layers.js";

/** A local track as a section sends it. */
export interface Outgoing {
  readonly kind: TrackKind;
  readonly mediaStreamTrack: MediaStreamTrack;
  /** Null for audio. */
  readonly codec: VideoCodec | null;
  readonly maxBitrateBps: number;
  /** Whether video is sent as simulcast or SVC, where the browser supports it. */
  readonly layered: boolean;
  /** Null for video. */
  readonly audio: AudioOptions | null;
  /** Size of the video at the time of publishing. */
  readonly size: VideoSize;
  /** The current description for the server. */
  readonly publication: () => Pick<Publication, "source" | "name" | "muted" | "preferredCodec">;
}

interface Sending {
  readonly transceiver: RTCRtpTransceiver;
  readonly layers: SenderLayers;
  /** Size of the video that the layers are planned for. */
  size: VideoSize;
}

/** A section whose publication has ended. A mid never changes, so the section is used again. */
interface Retired extends Sending {
  readonly kind: TrackKind;
}

const CONFIGURATION: RTCConfiguration = { bundlePolicy: "max-bundle", rtcpMuxPolicy: "require" };

/** @internal */
export class Peer {
  readonly #platform: Platform;
  readonly #transform: MediaTransform;
  readonly #connection: PeerConnection;
  readonly #slots: RTCRtpTransceiver[] = [];
  readonly #streams = new Map<RTCRtpTransceiver, MediaStream>();
  readonly #sending = new Map<Outgoing, Sending>();
  readonly #retired: Retired[] = [];
  readonly data: DataLink;
  /** Receives the messages of all data channels; set by the room. */
  onData: (message: Uint8Array, delivery: Delivery) => void = () => undefined;
  /** Called when ICE has connected and when a slot receives its first packet; set by the telemetry. */
  onReached: (step: "ICE" | "FIRST_PACKET") => void = () => undefined;
  #slotCount: SlotCount = { pairs: 0, audioSlots: 0 };
  #firstOffer: RTCSessionDescriptionInit | null = null;

  constructor(platform: Platform, onMediaState: (state: MediaState) => void, transform: MediaTransform = NO_TRANSFORM) {
    this.#platform = platform;
    this.#transform = transform;
    this.#connection = platform.createPeer(CONFIGURATION);
    this.data = new DataLink(this.#connection, (message, delivery) => this.onData(message, delivery));
    // `negotiationneeded` is not listened to: the session decides when to offer.
    this.#connection.addEventListener("connectionstatechange", () => onMediaState(this.#connection.connectionState));
    this.#connection.addEventListener("iceconnectionstatechange", () => {
      if (["connected", "completed"].includes(this.#connection.iceConnectionState)) this.onReached("ICE");
    });
  }

  /** Creates the offer for `join`. It is applied only together with the answer, which comes with the ICE servers. */
  async createFirstOffer(slotCount: SlotCount): Promise<Offer> {
    this.addSlots(slotCount);
    // After the transceivers, whose sections come first (RFC 9429 section 5.2.1).
    this.data.open();
    this.#firstOffer = await this.#connection.createOffer();
    const sdp = this.#firstOffer.sdp ?? "";
    // Mids are assigned by setLocalDescription; sections are in the order of transceivers (RFC 9429 section 5.2.1).
    const mids = readMids(sdp);
    const midOf = new Map(this.#connection.getTransceivers().map((transceiver, index) => [transceiver, mids[index]]));
    return this.#offer(sdp, (transceiver) => midOf.get(transceiver) ?? null);
  }

  async createReoffer(slotCount: SlotCount, iceRestart: boolean): Promise<Offer> {
    this.addSlots(slotCount);
    const offer = await this.#connection.createOffer({ iceRestart });
    await this.#connection.setLocalDescription(offer);
    return this.#offer(offer.sdp ?? "", (transceiver) => transceiver.mid as Mid | null);
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
    for (const { layers } of this.#sending.values()) layers.apply();
  }

  async rollBack(): Promise<void> {
    if (this.#connection.signalingState !== "have-local-offer") return;
    await this.#connection.setLocalDescription({ type: "rollback" });
  }

  /** Adds slots until there are `wanted`. A join calls this early to save time. */
  addSlots(wanted: SlotCount): void {
    const add = (kind: TrackKind): void => {
      const slot = this.#connection.addTransceiver(kind, { direction: "recvonly" });
      this.#transform.attachReceiver(slot.receiver, kind);
      // A remote track is unmuted by its first packet (W3C webrtc, section 5.1).
      slot.receiver.track.addEventListener("unmute", () => this.onReached("FIRST_PACKET"), { once: true });
      if (kind === "video") offerDependencyDescriptor(slot);
      this.#slots.push(slot);
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
    const plans = plansFor(outgoing);
    const sending = this.#reuse(outgoing, plans) ?? this.#open(outgoing, plans);
    if (outgoing.codec !== null) this.#preferCodec(sending.transceiver, outgoing.codec);
    this.#sending.set(outgoing, sending);
  }

  /** Media stops now; the section becomes inactive with the next offer. */
  removeOutgoing(outgoing: Outgoing): void {
    const sending = this.#sending.get(outgoing);
    if (sending === undefined) return;
    this.#sending.delete(outgoing);
    sending.transceiver.direction = "inactive";
    this.#retired.push({ kind: outgoing.kind, ...sending });
    void sending.transceiver.sender.replaceTrack(null).catch(() => undefined);
  }

  async replaceTrack(outgoing: Outgoing, track: MediaStreamTrack | null): Promise<void> {
    await this.#sending.get(outgoing)?.transceiver.sender.replaceTrack(track);
  }

  /** Adapts the encodings to a new size of the video; the next offer tells the server. False if nothing has changed. */
  resize(outgoing: Outgoing, size: VideoSize): boolean {
    const sending = this.#sending.get(outgoing);
    if (sending === undefined || size.width === 0 || size.height === 0) return false;
    if (size.width === sending.size.width && size.height === sending.size.height) return false;
    sending.size = size;
    sending.layers.replan(refit(sending.layers.plan, videoSourceOf(outgoing, size)));
    return true;
  }

  midOf(outgoing: Outgoing): Mid | null {
    return (this.#sending.get(outgoing)?.transceiver.mid ?? null) as Mid | null;
  }

  /** The RIDs of a track that is sent as simulcast, low to high. */
  ridsOf(outgoing: Outgoing): readonly string[] {
    const { layers } = this.#sending.get(outgoing)?.layers.plan ?? { layers: [] };
    return layers.flatMap(({ rid }) => (rid === "" ? [] : [rid]));
  }

  /** Sends only the layers that subscribers can use. */
  setLayerDemand(outgoing: Outgoing, demand: LayerDemand): void {
    this.#sending.get(outgoing)?.layers.setDemand(demand);
  }

  /** The stream of a slot: always the same object. */
  slotStream(mid: Mid): MediaStream | null {
    const transceiver = this.#slot(mid);
    if (transceiver === undefined) return null;
    const known = this.#streams.get(transceiver);
    if (known !== undefined) return known;
    const stream = this.#platform.createStream([transceiver.receiver.track]);
    this.#streams.set(transceiver, stream);
    return stream;
  }

  /** The source that a slot played last; null after ten seconds without packets (W3C webrtc, section 5.3). */
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
    this.data.close();
    this.#connection.close();
  }

  #slot(mid: Mid): RTCRtpTransceiver | undefined {
    return this.#slots.find((transceiver) => transceiver.mid === mid);
  }

  #offer(sdp: string, midOf: (transceiver: RTCRtpTransceiver) => Mid | null): Offer {
    const audioOptions = new Map<Mid, AudioOptions>();
    for (const [{ audio }, { transceiver }] of this.#sending) {
      const mid = midOf(transceiver);
      if (mid !== null && audio !== null) audioOptions.set(mid, audio);
    }
    return { sdp: applyAudioOptions(sdp, audioOptions), publications: this.#publications(midOf) };
  }

  #publications(midOf: (transceiver: RTCRtpTransceiver) => Mid | null | undefined): Publication[] {
    const publications: Publication[] = [];
    for (const [outgoing, { transceiver, layers, size }] of this.#sending) {
      const mid = midOf(transceiver);
      if (mid === null || mid === undefined) continue;
      const { plan } = layers;
      const description = { ...outgoing.publication(), ...size };
      publications.push({ ...description, mid, layers: plan.layers, scalabilityMode: plan.scalabilityMode });
    }
    return publications;
  }

  /** Opens a section with the first plan that the browser accepts. */
  #open(outgoing: Outgoing, plans: readonly EncodingPlan[]): Sending {
    const last = plans.length - 1;
    for (const [index, plan] of plans.entries()) {
      const transceiver = this.#addSender(outgoing, plan, index === last);
      if (transceiver === null) continue;
      this.#transform.attachSender(transceiver.sender, outgoing.kind);
      if (outgoing.kind === "video") offerDependencyDescriptor(transceiver);
      // A browser leaves out members that it does not know: then the first plan that asks for no more describes the sender.
      const { encodings } = transceiver.sender.getParameters();
      const taken = plans.slice(index).find((one) => isTaken(one, encodings)) ?? plans[last] ?? plan;
      return { transceiver, layers: new SenderLayers(transceiver.sender, taken), size: outgoing.size };
    }
    throw new TypeError("no plan");
  }

  /** Null when the browser refuses the plan and a plainer one is left; a refused plan leaves no transceiver behind. */
  #addSender(outgoing: Outgoing, plan: EncodingPlan, last: boolean): RTCRtpTransceiver | null {
    try {
      // A track that has ended would be sent as black frames (W3C webrtc, section 5.2).
      return this.#connection.addTransceiver(liveTrack(outgoing) ?? outgoing.kind, {
        direction: "sendonly",
        streams: [this.#platform.createStream([outgoing.mediaStreamTrack])],
        sendEncodings: plan.encodings.map((encoding) => ({ ...encoding })),
      });
    } catch (error) {
      // Unsupported encodings are an OperationError (W3C webrtc-svc section 4).
      if (last) throw error;
      return null;
    }
  }

  /** A sender cannot change the number or RIDs of its encodings, so only one with the same encodings can be reused. */
  #reuse(outgoing: Outgoing, plans: readonly EncodingPlan[]): Sending | null {
    for (const plan of plans) {
      const index = this.#retired.findIndex(
        ({ kind, transceiver }) =>
          kind === outgoing.kind &&
          transceiver.currentDirection === "inactive" &&
          isTaken(plan, transceiver.sender.getParameters().encodings),
      );
      const [found] = index < 0 ? [] : this.#retired.splice(index, 1);
      if (found === undefined) continue;
      const { transceiver } = found;
      const { sender } = transceiver;
      transceiver.direction = "sendonly";
      void sender.replaceTrack(liveTrack(outgoing)).catch(() => undefined);
      const layers = new SenderLayers(sender, plan);
      layers.apply();
      return { transceiver, layers, size: outgoing.size };
    }
    return null;
  }

  #preferCodec(transceiver: RTCRtpTransceiver, codec: VideoCodec): void {
    try {
      transceiver.setCodecPreferences(orderCodecs(codec, this.#platform.sendableCodecs("video")));
    } catch {
      // Some browsers accept only codecs that they can also receive. Then their own order stays, and the publication's
      // preferred codec still tells the server which one to choose.
    }
  }
}

/** Null while the device is released. */
function liveTrack({ mediaStreamTrack }: Outgoing): MediaStreamTrack | null {
  return mediaStreamTrack.readyState === "live" ? mediaStreamTrack : null;
}

function plansFor(outgoing: Outgoing): EncodingPlan[] {
  return encodingPlans(videoSourceOf(outgoing, outgoing.size));
}

function videoSourceOf({ kind, codec, layered, maxBitrateBps, publication }: Outgoing, size: VideoSize): VideoSource {
  const { source } = publication();
  return { ...size, source, codec: codec ?? "vp8", maxBitrateBps, layered: kind === "video" && layered };
}

function toIceServer({ urls, username, credential }: IceServer): RTCIceServer {
  return username === "" ? { urls: [...urls] } : { urls: [...urls], username, credential };
}
