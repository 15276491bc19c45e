// One person in a call, as a program on the SDK's public surface: `window.participant`, driven by the tests.
// What is reported is what a person would see and hear: colours read from pixels, tones read from the spectrum.
// @ts-check
import { createCameraVideoTrack, createCustomTrack, NexusClient } from "/sdk/index.js";

import { DeviceLife } from "/pages/device_life.mjs";
import { createSyncMeter } from "/pages/sync_meter.mjs";
import { installSyntheticMedia } from "/pages/synthetic_media.mjs";

/** Frequencies that may be looked for in what is heard, Hz. */
const FFT_SIZE = 8192;

/** The browser's own connections, for what only it can tell. @type {RTCPeerConnection[]} */
const connections = [];
window.RTCPeerConnection = class extends RTCPeerConnection {
  /** @param {RTCConfiguration} [configuration] */
  constructor(configuration) {
    super(configuration);
    connections.push(this);
  }
};

class ParticipantPage {
  /** @param {any} options */
  async configure(options) {
    this.options = options;
    this.media = await installSyntheticMedia(options.scene);
    this.ears = new AudioContext();
    this.tiles = new Map();
    this.analysers = new Map();
    this.events = [];
    this.wrongFrames = [];
  }

  client() {
    const { appId, token, serverUrl, wireFormat } = this.options;
    return new NexusClient({ appId, token, serverUrl, wireFormat });
  }

  async join(options = {}) {
    const room = await this.client().join(this.options.room, options);
    this.room = room;
    for (const name of ["participant-left", "track-unpublished", "track-muted", "connection-state", "error", "disconnected", "track-paused", "track-resumed", "connection-quality"]) {
      room.on(name, (first, second, third) => {
        this.events.push({ name, who: first?.identity ?? first?.participant?.identity ?? null, value: simple(first) ?? simple(second) ?? simple(third) });
      });
    }
    this.data = [];
    room.on("data", (payload, { participant, topic, fromServer, directed, reliable }) => {
      const text = typeof payload === "string";
      // Large ones are summed up: what crosses to the test is JSON.
      const sum = text ? 0 : payload.reduce((/** @type {number} */ total, /** @type {number} */ byte) => (total * 31 + byte) % 1_000_003, 7);
      this.data.push({ from: participant?.identity ?? null, topic, fromServer, directed, reliable, text: text ? payload : null, length: payload.length, sum });
    });
    room.on("active-speakers", (speakers) => {
      this.speakers = speakers.map(({ participant }) => participant.identity);
    });
    room.on("participant-joined", (participant) => {
      this.events.push({ name: "participant-joined", who: participant.identity, value: null });
      participant.on("track-published", (track) => {
        this.events.push({ name: "track-published", who: participant.identity, value: track.source });
        if (track.kind === "video" && this.options.attach !== false) this.attach(track);
      });
    });
    return { id: room.localParticipant.id, identity: room.localParticipant.identity };
  }

  /** @param {any} track */
  attach(track) {
    const element = document.createElement("video");
    element.width = 160;
    document.body.append(element);
    track.attach(element);
    this.tiles.set(track.id, { track, element, changes: 0, last: "" });
    track.on("ended", () => {
      this.tiles.delete(track.id);
      element.remove();
    });
  }

  /** A payload that can be known again by its sum. @param {number} length @param {any} options */
  async publishBytes(length, options) {
    const payload = Uint8Array.from({ length }, (_one, index) => (index * 7) % 251);
    await this.room.publishData(payload, options);
    return payload.reduce((total, byte) => (total * 31 + byte) % 1_000_003, 7);
  }

  /** Resolves with the code of the error, if there was one. @param {string} text @param {any} options */
  async publishText(text, options) {
    try {
      await this.room.publishData(text, options);
      return null;
    } catch (error) {
      return /** @type {any} */ (error).code;
    }
  }

  /** @param {string} identity @param {string} source */
  remoteTrack(identity, source) {
    for (const participant of this.room.participants.values()) {
      if (participant.identity === identity) return participant.track(source);
    }
    return undefined;
  }

  /** @param {string} identity */
  watch(identity, source = "camera") {
    const track = this.remoteTrack(identity, source);
    if (track && !this.tiles.has(track.id)) this.attach(track);
    return track !== undefined;
  }

  /** @param {string} identity */
  unwatch(identity, source = "camera") {
    const track = this.remoteTrack(identity, source);
    if (!track) return;
    this.tiles.get(track.id)?.element.remove();
    this.tiles.delete(track.id);
    track.detach();
  }

  /** Shows somebody's picture at this size. @param {string} identity @param {number} width @param {number} height */
  resize(identity, width, height, source = "camera") {
    const { element } = this.tiles.get(this.remoteTrack(identity, source).id);
    Object.assign(element.style, { width: `${width}px`, height: `${height}px`, display: width > 0 ? "" : "none" });
  }

  /** What the browser says of a picture that it receives. @param {string} identity */
  async received(identity, source = "camera") {
    const track = this.remoteTrack(identity, source);
    const { tracks } = await this.room.getStats();
    const mine = tracks.find((/** @type {any} */ one) => one.track === track);
    const stream = track?.mediaStream;
    const id = stream?.getVideoTracks()[0]?.id;
    const report = [...((await connections.at(-1)?.getStats())?.values() ?? [])];
    const inbound = report.find((entry) => entry.type === "inbound-rtp" && entry.trackIdentifier === id);
    const { framesDecoded = 0, freezeCount = 0, framesDropped = 0 } = inbound ?? {};
    return { width: mine?.width ?? 0, height: mine?.height ?? 0, framesDecoded, freezeCount, framesDropped, paused: track?.paused, codec: mine?.codec };
  }

  /** The tracks that the newest connection's senders have. */
  sentTracks() {
    const senders = connections.at(-1)?.getSenders() ?? [];
    return senders.map((sender) => sender.track).filter((track) => track !== null);
  }

  /** From now on devices open when the test says so. */
  slowDevices() {
    this.life = new DeviceLife(this);
  }

  /** Each encoding that is sent. */
  async sent() {
    const report = [...((await connections.at(-1)?.getStats())?.values() ?? [])];
    return report
      .filter((entry) => entry.type === "outbound-rtp" && entry.kind === "video")
      .map(({ rid, active, framesEncoded, frameWidth, frameHeight, bytesSent, scalabilityMode }) => ({
        rid,
        active,
        framesEncoded,
        width: frameWidth,
        height: frameHeight,
        bytesSent,
        scalabilityMode,
      }))
      .sort((a, b) => String(a.rid).localeCompare(String(b.rid)));
  }

  /** The pair of candidates that media uses. */
  async mediaPath() {
    const report = await connections.at(-1)?.getStats();
    for (const entry of report?.values() ?? []) {
      if (entry.type !== "transport") continue;
      const pair = report?.get(entry.selectedCandidatePairId ?? "");
      return { local: report?.get(pair?.localCandidateId ?? ""), remote: report?.get(pair?.remoteCandidateId ?? "") };
    }
    return null;
  }

  /** The port at which media arrives. */
  async mediaPort() {
    return (await this.mediaPath())?.local?.port ?? null;
  }

  /** The port of the SFU that it comes from. */
  async shardPort() {
    return (await this.mediaPath())?.remote?.port ?? null;
  }

  /** @param {string} identity @param {boolean} pinned */
  pin(identity, pinned, source = "camera") {
    this.remoteTrack(identity, source).pin(pinned);
  }

  async openCamera(options = {}) {
    this.camera = await createCameraVideoTrack({ resolution: "360p", ...options });
  }

  async publishCamera(options = {}) {
    if (!this.camera || this.camera.stopped) this.camera = await this.room.createCameraVideoTrack({ resolution: "360p", ...options });
    await this.room.publish(this.camera);
    if (options.steady) await keepResolution(this.camera.mediaStreamTrack);
    return { id: this.camera.id, codec: this.camera.negotiatedCodec };
  }

  async publishMicrophone(options = {}) {
    this.microphone = await this.room.createMicrophoneAudioTrack(options);
    await this.room.publish(this.microphone);
  }

  /** From the next connection on this browser never negotiates the dependency descriptor, as other browsers do not. */
  forgetDescriptors() {
    const transceivers = /** @type {any} */ (RTCRtpTransceiver.prototype);
    const { setHeaderExtensionsToNegotiate } = transceivers;
    /** @param {{uri: string, direction: string}[]} extensions */
    transceivers.setHeaderExtensionsToNegotiate = function set(extensions) {
      const wanted = extensions.map((one) => (one.uri.includes("dependency-descriptor") ? { ...one, direction: "stopped" } : one));
      setHeaderExtensionsToNegotiate.call(this, wanted);
    };
    const { createOffer } = RTCPeerConnection.prototype;
    /** @param {any} options */
    RTCPeerConnection.prototype.createOffer = function offer(options) {
      for (const transceiver of /** @type {any[]} */ (this.getTransceivers())) {
        if (!transceiver.stopped) transceiver.setHeaderExtensionsToNegotiate(transceiver.getHeaderExtensionsToNegotiate());
      }
      return createOffer.call(this, options);
    };
  }

  /**
   * From the next connection on all video frames pass a worker, which may encrypt and decrypt them (all their bytes), and tells of those that are
   * received.
   * @param {{encrypt?: boolean}} options
   */
  transformFrames({ encrypt = false }) {
    const worker = new Worker("/pages/frame_worker.mjs", { type: "module" });
    this.frames = [];
    worker.onmessage = ({ data }) => this.frames.push(data);
    let receivers = 0;
    const { addTransceiver } = RTCPeerConnection.prototype;
    /** @param {any} trackOrKind @param {any} init */
    RTCPeerConnection.prototype.addTransceiver = function add(trackOrKind, init) {
      const transceiver = addTransceiver.call(this, trackOrKind, init);
      if (transceiver.receiver.track.kind === "video") {
        receivers += 1;
        transceiver.sender.transform = new RTCRtpScriptTransform(worker, { side: "sender", encrypt });
        transceiver.receiver.transform = new RTCRtpScriptTransform(worker, { side: "receiver", encrypt, receiver: receivers });
      }
      return transceiver;
    };
  }

  /** The frames that were received since the last call. */
  takeFrames() {
    return this.frames.splice(0);
  }

  /** From the next connection on this browser has no redundant audio, as others have none (RFC 2198). */
  forgetRedundantAudio() {
    const { addTransceiver } = RTCPeerConnection.prototype;
    const codecs = RTCRtpReceiver.getCapabilities("audio")?.codecs.filter(({ mimeType }) => mimeType !== "audio/red") ?? [];
    /** @param {any} trackOrKind @param {any} init */
    RTCPeerConnection.prototype.addTransceiver = function add(trackOrKind, init) {
      const transceiver = addTransceiver.call(this, trackOrKind, init);
      if (transceiver.receiver.track.kind === "audio") transceiver.setCodecPreferences(codecs);
      return transceiver;
    };
  }

  /**
   * From the next connection on this browser's receive sections lack a video codec: by the preferences of its transceivers.
   * `reconsiderVideoCodecs` changes those that are there.
   * @param {string} mimeType
   */
  forgetVideoCodec(mimeType) {
    const { addTransceiver } = RTCPeerConnection.prototype;
    const codecs = RTCRtpReceiver.getCapabilities("video")?.codecs.filter((one) => one.mimeType.toLowerCase() !== mimeType.toLowerCase()) ?? [];
    /** @param {any} trackOrKind @param {any} init */
    RTCPeerConnection.prototype.addTransceiver = function add(trackOrKind, init) {
      const transceiver = addTransceiver.call(this, trackOrKind, init);
      if (trackOrKind === "video") transceiver.setCodecPreferences(codecs);
      return transceiver;
    };
  }

  /** With the next offer the receive sections have all codecs but this. @param {string} [mimeType] */
  reconsiderVideoCodecs(mimeType = "") {
    const all = RTCRtpReceiver.getCapabilities("video")?.codecs ?? [];
    const codecs = all.filter((one) => one.mimeType.toLowerCase() !== mimeType.toLowerCase());
    for (const transceiver of connections.at(-1)?.getTransceivers() ?? []) {
      if (transceiver.direction === "recvonly" && transceiver.receiver.track.kind === "video") transceiver.setCodecPreferences(codecs);
    }
  }

  /** The same by editing descriptions, as some pages do. @param {string} name of the codec in a=rtpmap */
  cutVideoCodec(name) {
    /** @type {any} */
    const prototype = RTCPeerConnection.prototype;
    const { createOffer } = prototype;
    /** @this {RTCPeerConnection} @param {any} options */
    prototype.createOffer = async function offer(options) {
      const { type, sdp } = await createOffer.call(this, options);
      return { type, sdp: withoutVideoCodec(sdp ?? "", name) };
    };
  }

  /** How often receivers have asked this sender for a keyframe (RFC 4585 section 6.3, RFC 5104 section 4.3). */
  async keyframeRequests() {
    const report = [...((await connections.at(-1)?.getStats())?.values() ?? [])];
    const sent = report.filter((entry) => entry.type === "outbound-rtp" && entry.kind === "video");
    return sent.reduce((sum, { pliCount = 0, firCount = 0 }) => sum + pliCount + firCount, 0);
  }

  /**
   * What this browser says of the sound that it sends and receives. Its statistics name the codec inside redundant audio; the
   * size of packets tells whether there is any.
   */
  async sound() {
    const connection = connections.at(-1);
    const report = await connection?.getStats();
    const entries = [...(report?.values() ?? [])].filter((entry) => entry.kind === "audio");
    const sent = entries.find((entry) => entry.type === "outbound-rtp");
    const heard = entries.find((entry) => entry.type === "inbound-rtp" && entry.packetsReceived > 0);
    const sender = connection?.getSenders().find((one) => one.track?.kind === "audio");
    return {
      preferred: sender?.getParameters().codecs[0]?.mimeType ?? null,
      sentBytes: (sent?.bytesSent ?? 0) / (sent?.packetsSent || 1),
      received: heard?.packetsReceived ?? 0,
      receivedBytes: (heard?.bytesReceived ?? 0) / (heard?.packetsReceived || 1),
    };
  }

  async publishScreen() {
    this.screen = await this.room.createScreenTracks();
    await this.room.publish(this.screen.video);
  }

  /** "udp" or "tcp": of the path that media takes now. */
  async pathProtocol() {
    return (await this.mediaPath())?.remote?.protocol ?? null;
  }

  /**
   * The colour of every tile by whom it is shown for, and how often its moving mark was seen elsewhere than before.
   * Read from pixels alone: frame callbacks rest in a tab that is not in front, and Firefox counts no frames of streams.
   */
  colors() {
    const canvas = document.createElement("canvas");
    return [...this.tiles.values()].map((tile) => {
      const { track, element } = tile;
      const color = readColor(element, canvas);
      if (color !== null) {
        const mark = readPixels(canvas, 0, canvas.height - 4, canvas.width).join();
        if (mark !== tile.last) tile.changes += 1;
        tile.last = mark;
      }
      return { identity: track.participant.identity, source: track.source, changes: tile.changes, color };
    });
  }

  /** The colour that an element shows now; null when it shows nothing. @param {HTMLVideoElement} element */
  colorOf(element) {
    return readColor(element, document.createElement("canvas"));
  }

  /** The strongest tone of each remote audio track, Hz, by who is said to be heard. */
  tones() {
    const heard = [];
    for (const participant of this.room.participants.values()) {
      for (const track of participant.tracks.values()) {
        if (track.kind !== "audio") continue;
        const stream = track.mediaStream;
        heard.push({ identity: participant.identity, source: track.source, hz: stream ? this.strongestTone(stream) : null });
      }
    }
    return heard;
  }

  /** @param {MediaStream} stream */
  strongestTone(stream) {
    let analyser = this.analysers.get(stream.id);
    if (!analyser) {
      analyser = new AnalyserNode(this.ears, { fftSize: FFT_SIZE, smoothingTimeConstant: 0 });
      this.ears.createMediaStreamSource(stream).connect(analyser);
      this.analysers.set(stream.id, analyser);
      return null;
    }
    const bins = new Float32Array(analyser.frequencyBinCount);
    analyser.getFloatFrequencyData(bins);
    let best = 0;
    for (let bin = 1; bin < bins.length; bin += 1) if ((bins[bin] ?? -Infinity) > (bins[best] ?? -Infinity)) best = bin;
    return (bins[best] ?? -Infinity) < -60 ? null : (best * this.ears.sampleRate) / FFT_SIZE;
  }

  /** Flash and beep of somebody: how far apart they are, see sync_meter.mjs. @param {string} identity @param {number} flashes */
  async measureSync(identity, flashes) {
    const video = this.tiles.get(this.remoteTrack(identity, "camera").id);
    const audio = this.remoteTrack(identity, "microphone");
    return createSyncMeter(this.ears, video.element, audio).measure(flashes);
  }

  /** Joins with a fresh client and the open camera, waits for the first remote picture, leaves. */
  async measureJoin() {
    // A clone: whoever leaves stops what was published, and the camera is to stay open.
    const tracks = this.camera ? [createCustomTrack(this.camera.mediaStreamTrack.clone())] : [];
    const started = performance.now();
    const room = await this.client().join(this.options.room, { tracks });
    const joined = performance.now();
    const total = await new Promise((resolve) => {
      room.on("participant-joined", (/** @type {any} */ participant) => {
        participant.on("track-published", (/** @type {any} */ track) => {
          if (track.kind !== "video") return;
          const element = document.createElement("video");
          document.body.append(element);
          element.requestVideoFrameCallback(() => resolve(performance.now()));
          track.attach(element);
        });
      });
    });
    await room.leave();
    document.body.replaceChildren();
    return { joined_ms: joined - started, total_ms: total - started };
  }
}

/**
 * Draws an element's picture; its colour, or null when there is none.
 * @param {HTMLVideoElement} element
 * @param {HTMLCanvasElement} canvas
 * @returns {[number, number, number] | null}
 */
function readColor(element, canvas) {
  if (element.srcObject === null || element.readyState < 2 || element.videoWidth <= 2) return null;
  canvas.width = element.videoWidth;
  canvas.height = element.videoHeight;
  canvas.getContext("2d", { willReadFrequently: true })?.drawImage(element, 0, 0);
  const [red = 0, green = 0, blue = 0] = readPixels(canvas, canvas.width / 2, canvas.height / 3, 1);
  return [red, green, blue];
}

/** A row of pixels. @param {HTMLCanvasElement} canvas @param {number} x @param {number} y @param {number} width */
function readPixels(canvas, x, y, width) {
  return canvas.getContext("2d", { willReadFrequently: true })?.getImageData(x, y, width, 1).data ?? new Uint8ClampedArray();
}

/** A busy machine costs frames, not pixels, so that sizes tell of layers alone. @param {MediaStreamTrack} track */
async function keepResolution(track) {
  const sender = connections.at(-1)?.getSenders().find((one) => one.track === track);
  const parameters = sender?.getParameters();
  if (!sender || !parameters) return;
  await sender.setParameters({ ...parameters, degradationPreference: "maintain-resolution" });
}

/** @param {string} sdp @param {string} name */
function withoutVideoCodec(sdp, name) {
  const [session = "", ...sections] = sdp.split(/^(?=m=)/m);
  const edited = sections.map((section) => {
    if (!section.startsWith("m=video") || !section.includes("a=recvonly")) return section;
    const types = [...section.matchAll(new RegExp(`^a=rtpmap:(\\d+) ${name}/`, "gm"))].map((match) => match[1]);
    // Their retransmissions go with them (RFC 4588).
    for (const type of [...types]) {
      for (const match of section.matchAll(new RegExp(`^a=fmtp:(\\d+) apt=${type}\\r$`, "gm"))) types.push(match[1]);
    }
    return types.reduce(
      (kept, type) =>
        kept.replace(new RegExp(`^(m=video .*?) ${type}(?= |\\r)`, "m"), "$1").replace(new RegExp(`^a=(?:rtpmap|fmtp|rtcp-fb):${type} .*\\r\\n`, "gm"), ""),
      section,
    );
  });
  return session + edited.join("");
}

/** @param {unknown} value */
function simple(value) {
  if (value === null || ["string", "number", "boolean"].includes(typeof value)) return value;
  if (value instanceof Error) return /** @type {any} */ (value).code ?? value.message;
  return undefined;
}

window.participant = new ParticipantPage();
