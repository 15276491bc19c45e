/** An `RTCPeerConnection` without media, whose mids, directions and contributing sources behave as in a browser. */
import type { PeerConnection } from "../edge/platform.js";
import { FakeDataChannel } from "./fake_data_channel.js";
import { FakeMediaStreamTrack } from "./fake_media.js";

export class FakeTransceiver {
  mid: string | null = null;
  direction: RTCRtpTransceiverDirection;
  currentDirection: RTCRtpTransceiverDirection | null = null;
  codecPreferences: RTCRtpCodec[] = [];
  readonly kind: "audio" | "video";
  readonly sender: FakeSender;
  readonly receiver: FakeReceiver;

  constructor(kind: "audio" | "video", index: number, init: RTCRtpTransceiverInit, track: MediaStreamTrack | null) {
    this.kind = kind;
    this.direction = init.direction ?? "sendrecv";
    this.sender = new FakeSender(track, init.sendEncodings ?? [{}]);
    this.receiver = new FakeReceiver(new FakeMediaStreamTrack(kind, `remote-${index}`).asTrack());
  }

  setCodecPreferences(codecs: RTCRtpCodec[]): void {
    this.codecPreferences = codecs;
  }
}

export class FakeSender {
  track: MediaStreamTrack | null;
  encodings: RTCRtpEncodingParameters[];

  constructor(track: MediaStreamTrack | null, encodings: RTCRtpEncodingParameters[]) {
    this.track = track;
    this.encodings = encodings;
  }

  replaceTrack(track: MediaStreamTrack | null): Promise<void> {
    this.track = track;
    return Promise.resolve();
  }

  getParameters(): { encodings: RTCRtpEncodingParameters[] } {
    return { encodings: this.encodings.map((encoding) => ({ ...encoding })) };
  }

  setParameters({ encodings }: { encodings: RTCRtpEncodingParameters[] }): Promise<void> {
    this.encodings = encodings;
    return Promise.resolve();
  }
}

export class FakeReceiver {
  readonly track: MediaStreamTrack;
  sources: RTCRtpContributingSource[] = [];

  constructor(track: MediaStreamTrack) {
    this.track = track;
  }

  getContributingSources(): RTCRtpContributingSource[] {
    return this.sources;
  }
}

export class FakePeerConnection extends EventTarget {
  readonly transceivers: FakeTransceiver[] = [];
  readonly dataChannels: FakeDataChannel[] = [];
  connectionState: RTCPeerConnectionState = "new";
  iceConnectionState: RTCIceConnectionState = "new";
  signalingState: RTCSignalingState = "stable";
  configuration: RTCConfiguration;
  stats: RTCStatsReport = new Map();
  closed = false;
  /** Grows with each ICE restart. */
  iceGeneration = 0;
  /** Support of `scalabilityMode`: browsers without SVC ignore it, older ones reject it. */
  scalability: "taken" | "ignored" | "refused" = "taken";
  /** Whether the next setRemoteDescription fails. */
  refuseAnswer = false;

  constructor(configuration: RTCConfiguration) {
    super();
    this.configuration = configuration;
  }

  addTransceiver(what: string | MediaStreamTrack, init: RTCRtpTransceiverInit = {}): RTCRtpTransceiver {
    const track = typeof what === "string" ? null : what;
    const encodings = init.sendEncodings ?? [{}];
    if (this.scalability === "refused" && encodings.some((one) => "scalabilityMode" in one)) {
      throw new DOMException("unsupported scalabilityMode", "OperationError");
    }
    const kept = this.scalability === "taken" ? encodings : encodings.map(withoutScalability);
    const kind = (typeof what === "string" ? what : what.kind) === "audio" ? "audio" : "video";
    const transceiver = new FakeTransceiver(kind, this.transceivers.length, { ...init, sendEncodings: kept }, track);
    this.transceivers.push(transceiver);
    return transceiver as unknown as RTCRtpTransceiver;
  }

  createDataChannel(label: string, init?: RTCDataChannelInit): RTCDataChannel {
    const channel = new FakeDataChannel(label, init);
    this.dataChannels.push(channel);
    return channel as unknown as RTCDataChannel;
  }

  getTransceivers(): RTCRtpTransceiver[] {
    return this.transceivers as unknown as RTCRtpTransceiver[];
  }

  createOffer({ iceRestart = false }: RTCOfferOptions = {}): Promise<RTCSessionDescriptionInit> {
    if (iceRestart) this.iceGeneration += 1;
    const sections = this.transceivers.map(
      ({ kind, direction, mid }, index) => `m=${kind} 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:${mid ?? index}\r\na=${direction}\r\n`,
    );
    return Promise.resolve({ type: "offer", sdp: `v=0\r\na=ice-ufrag:generation${this.iceGeneration}\r\n${sections.join("")}` });
  }

  setLocalDescription(description?: RTCLocalSessionDescriptionInit): Promise<void> {
    if (description?.type === "rollback") {
      this.signalingState = "stable";
      return Promise.resolve();
    }
    const offered = (description?.sdp ?? "").split("m=").length - 1;
    this.transceivers.slice(0, offered).forEach((transceiver, index) => (transceiver.mid ??= String(index)));
    this.signalingState = "have-local-offer";
    return Promise.resolve();
  }

  setRemoteDescription(): Promise<void> {
    if (this.refuseAnswer) {
      this.refuseAnswer = false;
      return Promise.reject(new DOMException("no such answer", "InvalidAccessError"));
    }
    for (const transceiver of this.transceivers) {
      if (transceiver.mid !== null) transceiver.currentDirection = transceiver.direction;
    }
    this.signalingState = "stable";
    return Promise.resolve();
  }

  setConfiguration(configuration: RTCConfiguration): void {
    this.configuration = configuration;
  }

  getStats(): Promise<RTCStatsReport> {
    return Promise.resolve(this.stats);
  }

  close(): void {
    this.closed = true;
    this.connectionState = "closed";
  }

  /** Changes the state of ICE and DTLS. */
  become(state: RTCPeerConnectionState): void {
    this.connectionState = state;
    this.iceConnectionState = state === "connecting" ? "checking" : state;
    this.dispatchEvent(new Event("iceconnectionstatechange"));
    this.dispatchEvent(new Event("connectionstatechange"));
  }

  /** A slot plays a packet with the CSRC `number`. */
  playFrom(mid: string, number: number, atMs: number): void {
    const transceiver = this.transceivers.find((one) => one.mid === mid);
    if (transceiver === undefined) throw new Error(`no section ${mid}`);
    const others = transceiver.receiver.sources.filter((source) => source.source !== number);
    transceiver.receiver.sources = [{ source: number, timestamp: atMs, rtpTimestamp: 0 }, ...others];
  }

  asPeerConnection(): PeerConnection {
    return this as unknown as PeerConnection;
  }
}

function withoutScalability(encoding: RTCRtpEncodingParameters): RTCRtpEncodingParameters {
  const kept = { ...encoding } as RTCRtpEncodingParameters & { scalabilityMode?: string };
  delete kept.scalabilityMode;
  return kept;
}
