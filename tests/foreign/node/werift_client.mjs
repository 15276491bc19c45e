// The stack werift: WebRTC in TypeScript.
// @ts-check
import { MediaStreamTrack, RTCPeerConnection, useH264, useOPUS, useVP8 } from "werift";

import { DATA_PROTOCOL } from "./envelope.mjs";
import { main } from "./participant.mjs";
import { reportError } from "./report.mjs";

/** @typedef {import("./participant.mjs").Media} Media */
/** @typedef {import("./participant.mjs").Stack} Stack */
/** @typedef {import("./streams.mjs").Player} Player */
/** @typedef {import("./clip.mjs").Codec} Codec */

/** @param {Media} media @returns {Stack} */
function createStack({ players, receiver, pairs, onMessage }) {
  const connection = new RTCPeerConnection({
    iceServers: [],
    codecs: { audio: [useOPUS()], video: [useVP8(), useH264()] },
  });
  const channel = connection.createDataChannel("nexus", { protocol: DATA_PROTOCOL });
  /** @param {import("werift").RTCDataChannel} opened */
  const listen = (opened) => opened.onMessage.subscribe((data) => onMessage(Buffer.isBuffer(data) ? data : Buffer.from(data)));
  listen(channel);
  connection.onDataChannel.subscribe(listen);

  const publications = new Map(players.map((player) => {
    const track = new MediaStreamTrack({ kind: player.kind });
    const transceiver = connection.addTransceiver(track, { direction: "sendonly" });
    transceiver.sender.onPictureLossIndication.subscribe(() => player.requestKeyframe());
    return [player, { track, transceiver }];
  }));
  /** @type {import("werift").RTCRtpTransceiver[]} */
  const slots = [];
  for (let pair = 0; pair < pairs; pair += 1) {
    for (const kind of /** @type {const} */ (["audio", "video"])) slots.push(connection.addTransceiver(kind, { direction: "recvonly" }));
  }
  /** The receivers of the started video streams, by SSRC. @type {Map<number, import("werift").RTCRtpReceiver>} */
  const video = new Map();
  for (const slot of slots) slot.onTrack.subscribe((track) => track.onReceiveRtp.subscribe((packet) => take(slot, packet)));

  /** @param {import("werift").RTCRtpTransceiver} slot @param {import("werift").RtpPacket} packet */
  function take(slot, { header, payload }) {
    const codec = slot.codecs.find(({ payloadType }) => payloadType === header.payloadType);
    const name = /** @type {Codec} */ (codec?.name.toLowerCase());
    if (slot.kind === "video") video.set(header.ssrc, slot.receiver);
    receiver.take(name, { csrcs: header.csrc, timestamp: header.timestamp, marker: header.marker, payload });
  }

  return {
    name: "werift",
    async offer() {
      await connection.setLocalDescription(await connection.createOffer());
      const mids = new Map([...publications].map(([player, { transceiver }]) => [player, String(transceiver.mid)]));
      return { sdp: String(connection.localDescription?.sdp), mids };
    },
    answer: (sdp) => connection.setRemoteDescription({ type: "answer", sdp }),
    connected: new Promise((resolve, reject) => {
      connection.connectionStateChange.subscribe((state) => {
        if (state === "connected") resolve();
        if (state === "failed") reject(new Error("the peer connection failed"));
      });
    }),
    open: new Promise((resolve) => channel.stateChanged.subscribe((state) => void (state === "open" && resolve()))),
    sendMessage: (message) => channel.send(message),
    sender: (player) => (packet) => publications.get(player)?.track.writeRtp(packet),
    requestKeyframes() {
      for (const [ssrc, from] of video) from.sendRtcpPLI(ssrc).catch(reportError);
    },
    close: () => connection.close(),
  };
}

main(createStack).then(
  () => process.stdout.write("", () => process.exit(0)), // after all reports are written
  (error) => {
    reportError(error);
    process.exit(1);
  },
);
