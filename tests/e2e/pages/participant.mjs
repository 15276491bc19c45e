// One participant of a call, as a program that uses the SDK's public API: `window.participant`, controlled by the tests.
// It reports what is shown and played: colours read from pixels, tones read from the spectrum.
// @ts-check
import { createCameraVideoTrack, createCustomTrack, NexusClient } from "/sdk/index.js";

import { DeviceScenario } from "/pages/device_scenario.mjs";
import { createSyncMeter } from "/pages/sync_meter.mjs";
import { installSyntheticMedia } from "/pages/synthetic_media.mjs";

/** Number of samples per spectrum, which sets its resolution. */
const FFT_SIZE = 8192;

/** The browser's connections, for information that only they have. @type {RTCPeerConnection[]} */
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
    this.audioContext = new AudioContext();
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
      // Binary payloads are reported by a checksum, because the test receives JSON.
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

  /** Sends a payload of this length and returns its checksum. @param {number} length @param {any} options */
  async publishBytes(length, options) {
    const payload = Uint8Array.from({ length }, (_one, index) => (index * 7) % 251);
    await this.room.publishData(payload, options);
    return payload.reduce((total, byte) => (total * 31 + byte) % 1_000_003, 7);
  }

  /** Resolves with the code of the error, or null. @param {string} text @param {any} options */
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

  /** Shows a remote video at this size. @param {string} identity @param {number} width @param {number} height */
  resize(identity, width, height, source = "camera") {
    const { element } = this.tiles.get(this.remoteTrack(identity, source).id);
    Object.assign(element.style, { width: `${width}px`, height: `${height}px`, display: width > 0 ? "" : "none" });
  }

  /** The browser's stats of a received video. @param {string} identity */
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

  /** The tracks of the senders of the newest connection. */
  sentTracks() {
    const senders = connections.at(-1)?.getSenders() ?? [];
    return senders.map((sender) => sender.track).filter((track) => track !== null);
  }

  /** Makes devices open only when the test says so. */
  useSlowDevices() {
    this.scenario = new DeviceScenario(this);
  }

  /** The encodings that are sent. */
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

  /** The selected pair of candidates. */
  async mediaPath() {
    const report = await connections.at(-1)?.getStats();
    for (const entry of report?.values() ?? []) {
      if (entry.type !== "transport") continue;
      const pair = report?.get(entry.selectedCandidatePairId ?? "");
      return { local: report?.get(pair?.localCandidateId ?? ""), remote: report?.get(pair?.remoteCandidateId ?? "") };
    }
    return null;
  }

  /** The local port of the media path. */
  async mediaPort() {
    return (await this.mediaPath())?.local?.port ?? null;
  }

  /** The SFU's port of the media path. */
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

  async unpublishCamera() {
    await this.room.unpublish(this.camera);
  }

  async publishMicrophone(options = {}) {
    this.microphone = await this.room.createMicrophoneAudioTrack(options);
    await this.room.publish(this.microphone);
  }

  /** Publishes a microphone that has never sent anything. */
  async publishMutedMicrophone() {
    this.microphone = await this.room.createMicrophoneAudioTrack();
    await this.microphone.setMuted(true);
    await this.room.publish(this.microphone);
  }

  /** Mutes or unmutes the camera and the microphone. @param {boolean} muted */
  async setMuted(muted) {
    await Promise.all([this.camera.setMuted(muted), this.microphone.setMuted(muted)]);
  }

  /** The number of frames that were encoded of the camera. A scalable encoding counts every spatial layer that it sends. */
  async encodedFrames() {
    const sender = connections.at(-1)?.getSenders().find((one) => one.track === this.camera.mediaStreamTrack);
    const report = [...((await sender?.getStats())?.values() ?? [])].filter((entry) => entry.type === "outbound-rtp");
    return Math.max(0, ...report.map(({ framesEncoded = 0 }) => framesEncoded));
  }

  /** Removes the dependency descriptor from the next connections, like in browsers without it. */
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
   * Passes all video frames of the next connections through a worker, which reports received frames and may encrypt and
   * decrypt all their bytes.
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

  /** Removes redundant audio (RFC 2198) from the next connections, like in browsers without it. */
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
   * Removes a video codec from the slots of the next connections, by the codec preferences of transceivers.
   * `reconsiderVideoCodecs` changes existing slots.
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

  /** Offers all codecs except this one for the slots, from the next offer on. @param {string} [mimeType] */
  reconsiderVideoCodecs(mimeType = "") {
    const all = RTCRtpReceiver.getCapabilities("video")?.codecs ?? [];
    const codecs = all.filter((one) => one.mimeType.toLowerCase() !== mimeType.toLowerCase());
    for (const transceiver of connections.at(-1)?.getTransceivers() ?? []) {
      if (transceiver.direction === "recvonly" && transceiver.receiver.track.kind === "video") transceiver.setCodecPreferences(codecs);
    }
  }

  /** Removes a video codec by editing offers, as some pages do. @param {string} name of the codec in a=rtpmap */
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

  /** Number of keyframe requests that this sender has received (RFC 4585 section 6.3, RFC 5104 section 4.3). */
  async keyframeRequests() {
    const report = [...((await connections.at(-1)?.getStats())?.values() ?? [])];
    const sent = report.filter((entry) => entry.type === "outbound-rtp" && entry.kind === "video");
    return sent.reduce((sum, { pliCount = 0, firCount = 0 }) => sum + pliCount + firCount, 0);
  }

  /**
   * The browser's stats of sent and received audio. They name the codec inside redundant audio, so only the size of packets
   * shows whether audio is redundant.
   */
  async audio() {
    const connection = connections.at(-1);
    const report = await connection?.getStats();
    const entries = [...(report?.values() ?? [])].filter((entry) => entry.kind === "audio");
    const sent = entries.find((entry) => entry.type === "outbound-rtp");
    const received = entries.find((entry) => entry.type === "inbound-rtp" && entry.packetsReceived > 0);
    const sender = connection?.getSenders().find((one) => one.track?.kind === "audio");
    return {
      preferred: sender?.getParameters().codecs[0]?.mimeType ?? null,
      sentBytes: (sent?.bytesSent ?? 0) / (sent?.packetsSent || 1),
      received: received?.packetsReceived ?? 0,
      receivedBytes: (received?.bytesReceived ?? 0) / (received?.packetsReceived || 1),
    };
  }

  async publishScreen(options = {}) {
    this.screen = await this.room.createScreenTracks(options);
    await this.room.publish(this.screen.video);
    if (this.screen.audio) await this.room.publish(this.screen.audio);
    return { codec: this.screen.video.negotiatedCodec };
  }

  async unpublishScreen() {
    for (const track of [this.screen.video, this.screen.audio]) if (track) await this.room.unpublish(track);
  }

  /**
   * Sends this number of the lowest encodings of the camera, as a page may, or a browser on a narrow path.
   * @param {number} count
   */
  async limitEncodings(count) {
    const sender = connections.at(-1)?.getSenders().find((one) => one.track === this.camera.mediaStreamTrack);
    const parameters = sender?.getParameters();
    if (!sender || !parameters) throw new Error("no camera is sent");
    parameters.encodings.forEach((encoding, index) => (encoding.active = index < count));
    await sender.setParameters(parameters);
  }

  /** The protocol of the media path: "udp" or "tcp". */
  async pathProtocol() {
    return (await this.mediaPath())?.remote?.protocol ?? null;
  }

  /**
   * The colour of every tile with its participant, and how often its moving mark has changed position. Both are read from
   * pixels: frame callbacks do not run in a hidden tab, and Firefox counts no frames of streams.
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

  /** The colour that an element shows; null if it shows nothing. @param {HTMLVideoElement} element */
  colorOf(element) {
    return readColor(element, document.createElement("canvas"));
  }

  /** The strongest tone of each remote audio track in Hz, with its participant. */
  tones() {
    const tones = [];
    for (const participant of this.room.participants.values()) {
      for (const track of participant.tracks.values()) {
        if (track.kind !== "audio") continue;
        const stream = track.mediaStream;
        tones.push({ identity: participant.identity, source: track.source, hz: stream ? this.strongestTone(stream) : null });
      }
    }
    return tones;
  }

  /** @param {MediaStream} stream */
  strongestTone(stream) {
    let analyser = this.analysers.get(stream.id);
    if (!analyser) {
      analyser = new AnalyserNode(this.audioContext, { fftSize: FFT_SIZE, smoothingTimeConstant: 0 });
      this.audioContext.createMediaStreamSource(stream).connect(analyser);
      this.analysers.set(stream.id, analyser);
      return null;
    }
    const bins = new Float32Array(analyser.frequencyBinCount);
    analyser.getFloatFrequencyData(bins);
    let best = 0;
    for (let bin = 1; bin < bins.length; bin += 1) if ((bins[bin] ?? -Infinity) > (bins[best] ?? -Infinity)) best = bin;
    return (bins[best] ?? -Infinity) < -60 ? null : (best * this.audioContext.sampleRate) / FFT_SIZE;
  }

  /** Measures the offset of flashes and beeps, see sync_meter.mjs. @param {string} identity @param {number} flashes */
  async measureSync(identity, flashes) {
    const video = this.tiles.get(this.remoteTrack(identity, "camera").id);
    const audio = this.remoteTrack(identity, "microphone");
    return createSyncMeter(this.audioContext, video.element, audio).measure(flashes);
  }

  /** Joins with a new client and the open camera, waits for the first remote frame, and leaves. */
  async measureJoin() {
    // A clone, because leaving stops published tracks and the camera has to stay open.
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
 * The colour that an element shows; null if it shows nothing.
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

/** Makes a slow machine drop frames and not pixels, so that sizes depend on layers alone. @param {MediaStreamTrack} track */
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
    // Including their retransmission formats (RFC 4588).
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
