// The stack libdatachannel (C++), through its binding for node.
// @ts-check
import library from "node-datachannel";

import { DATA_PROTOCOL } from "./envelope.mjs";
import { main } from "./participant.mjs";
import { reportError } from "./report.mjs";
import { keyframeRequested, isRtcp, readRtp } from "./rtp.mjs";

/** @typedef {import("./participant.mjs").Media} Media */
/** @typedef {import("./participant.mjs").Stack} Stack */
/** @typedef {import("./streams.mjs").Player} Player */
/** @typedef {import("./clip.mjs").Codec} Codec */
/** @typedef {InstanceType<typeof library.Track>} Track */
/** @typedef {{mid: string, track: Track, ssrc: number, clock: InstanceType<typeof library.RtpPacketizationConfig>}} Publication */

const { Audio, PeerConnection, RtcpNackResponder, RtcpReceivingSession, RtcpSrReporter, RtpPacketizationConfig, Video } = library;
/** @type {Record<Codec, number>} */
const payloadTypes = { opus: 111, vp8: 96, h264: 102 };
const codecOf = new Map(Object.entries(payloadTypes).map(([codec, type]) => [type, /** @type {Codec} */ (codec)]));

/** @param {Media} media @returns {Stack} */
function createStack({ players, receiver, pairs, onMessage }) {
  const connection = new PeerConnection("foreign", { iceServers: [], disableAutoNegotiation: true, maxMessageSize: 262_144 });
  const channel = connection.createDataChannel("nexus", { protocol: DATA_PROTOCOL });
  /** @param {import("node-datachannel").DataChannel} opened */
  const listen = (opened) => opened.onMessage((message) => onMessage(Buffer.from(/** @type {Buffer} */ (message))));
  listen(channel);
  connection.onDataChannel(listen);

  const publications = new Map(players.map((player, index) => [player, publish(connection, player, `p${index}`)]));
  const slots = Array.from({ length: pairs }, (_, pair) => [
    receive(connection, "audio", `a${pair}`, receiver),
    receive(connection, "video", `v${pair}`, receiver),
  ]).flat();

  return {
    name: "libdatachannel",
    async offer() {
      const gathered = new Promise((resolve) => {
        connection.onGatheringStateChange((state) => void (state === "complete" && resolve(undefined)));
      });
      connection.setLocalDescription(/** @type {any} */ ("offer"));
      await gathered;
      const mids = new Map([...publications].map(([player, { mid }]) => [player, mid]));
      return { sdp: connection.localDescription()?.sdp ?? "", mids };
    },
    async answer(sdp) {
      connection.setRemoteDescription(sdp, /** @type {any} */ ("answer"));
    },
    connected: new Promise((resolve, reject) => {
      connection.onStateChange((state) => {
        if (state === "connected") resolve();
        if (state === "failed") reject(new Error("the peer connection failed"));
      });
    }),
    open: new Promise((resolve) => channel.onOpen(resolve)),
    sendMessage: (message) => void channel.sendMessageBinary(message),
    sender: (player) => send(/** @type {Publication} */ (publications.get(player)), payloadTypes[player.clip.codec]),
    requestKeyframes() {
      for (const slot of slots) if (slot.type() === "video" && slot.isOpen()) slot.requestKeyframe();
    },
    async close() {
      connection.close();
    },
  };
}

/** @param {InstanceType<typeof PeerConnection>} connection @param {Player} player @param {string} mid @returns {Publication} */
function publish(connection, player, mid) {
  const ssrc = 1 + Math.floor(Math.random() * 0xfffffffe);
  const media = description(player.kind, mid, "SendOnly", [player.clip.codec]);
  media.addSSRC(ssrc, "foreign", "foreign", player.kind);
  const track = connection.addTrack(media);
  const clock = new RtpPacketizationConfig(ssrc, "foreign", payloadTypes[player.clip.codec], player.clockRate);
  const reporter = new RtcpSrReporter(clock);
  reporter.addToChain(new RtcpNackResponder());
  track.setMediaHandler(reporter);
  track.onMessage((packet) => {
    if (isRtcp(packet) && keyframeRequested(packet)) player.requestKeyframe();
  });
  return { mid, track, ssrc, clock };
}

/** @param {Publication} publication @param {number} payloadType @returns {(packet: Buffer, timestamp: number) => void} */
function send({ track, ssrc, clock }, payloadType) {
  return (packet, timestamp) => {
    packet[1] = (packet[1] ?? 0) | payloadType;
    packet.writeUInt32BE(ssrc, 8);
    clock.timestamp = timestamp; // for the sender reports
    track.sendMessageBinary(packet);
  };
}

/** @param {InstanceType<typeof PeerConnection>} connection @param {"audio" | "video"} kind @param {string} mid @param {Media["receiver"]} receiver */
function receive(connection, kind, mid, receiver) {
  const track = connection.addTrack(description(kind, mid, "RecvOnly", kind === "audio" ? ["opus"] : ["vp8", "h264"]));
  track.setMediaHandler(new RtcpReceivingSession());
  track.onMessage((bytes) => {
    if (isRtcp(bytes)) return;
    const packet = readRtp(bytes);
    const codec = codecOf.get(packet.payloadType);
    if (codec) receiver.take(codec, packet);
  });
  return track;
}

/** @param {"audio" | "video"} kind @param {string} mid @param {string} direction @param {Codec[]} codecs */
function description(kind, mid, direction, codecs) {
  if (kind === "audio") {
    const audio = new Audio(mid, /** @type {any} */ (direction));
    audio.addOpusCodec(payloadTypes.opus);
    return audio;
  }
  const video = new Video(mid, /** @type {any} */ (direction));
  for (const codec of codecs) {
    if (codec === "vp8") video.addVP8Codec(payloadTypes.vp8);
    else video.addH264Codec(payloadTypes.h264);
  }
  return video;
}

main(createStack).then(
  () => process.stdout.write("", () => process.exit(0)), // after all reports are written
  (error) => {
    reportError(error);
    process.exit(1);
  },
);
