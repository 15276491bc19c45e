// A participant on any stack: signaling, commands, reports (tests/foreign/README.md, "The protocol").
// @ts-check
import { createInterface } from "node:readline";

import { unwrap, wrap } from "./envelope.mjs";
import { crc32 } from "./payload.mjs";
import { report, reportError } from "./report.mjs";
import { Session } from "./session.mjs";
import { Player, Receiver } from "./streams.mjs";

/**
 * @typedef {object} Stack One peer connection of a stack.
 * @property {string} name
 * @property {() => Promise<{sdp: string, mids: Map<Player, string>}>} offer
 * @property {(sdp: string) => Promise<void>} answer
 * @property {Promise<void>} connected
 * @property {Promise<void>} open the data channel
 * @property {(message: Buffer) => void} sendMessage
 * @property {(player: Player) => (packet: Buffer, timestamp: number) => void} sender sends packets of the player
 * @property {() => void} requestKeyframes
 * @property {() => Promise<void>} close
 */

/** @typedef {{players: Player[], receiver: Receiver, pairs: number, onMessage: (message: Buffer) => void}} Media */
/** @typedef {{url: string, token: string, room: string, pairs: number, audio: string, video: string}} Configuration */

const codecNames = { vp8: "CODEC_VP8", h264: "CODEC_H264", opus: "CODEC_OPUS" };

/** Runs a client until the command `leave` or the end of input. @param {(media: Media) => Stack} createStack */
export async function main(createStack) {
  const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  const { value, done } = await lines.next();
  if (done) throw new Error("no configuration on standard input");
  const participant = new Participant(JSON.parse(value), createStack);
  await participant.join();
  for (let line = await lines.next(); !line.done; line = await lines.next()) {
    const command = JSON.parse(line.value);
    if (command.command === "leave") break;
    participant.execute(command);
  }
  await participant.leave();
}

class Participant {
  #receiver = new Receiver();
  /** Identities by participant id. @type {Map<string, string>} */
  #identities = new Map();
  #leaving = false;
  /** @type {Session | undefined} */
  #session;
  /** @type {NodeJS.Timeout[]} */
  #timers = [];

  /** @param {Configuration} configuration @param {(media: Media) => Stack} createStack */
  constructor(configuration, createStack) {
    this.configuration = configuration;
    const { audio, video, pairs } = configuration;
    this.players = [audio, video].filter((path) => path !== "").map((path) => new Player(path));
    const onMessage = (/** @type {Buffer} */ message) => this.#handleMessage(message);
    this.stack = createStack({ players: this.players, receiver: this.#receiver, pairs, onMessage });
  }

  get session() {
    if (!this.#session) throw new Error("not joined");
    return this.#session;
  }

  async join() {
    const { url, token, room, pairs } = this.configuration;
    const { sdp, mids } = await this.stack.offer();
    this.#session = await Session.connect(url, (event) => this.#handleEvent(event));
    const publications = [...mids].map(([player, mid]) => ({
      mid,
      source: player.kind === "video" ? "TRACK_SOURCE_CAMERA" : "TRACK_SOURCE_MICROPHONE",
      preferredCodec: codecNames[player.clip.codec],
    }));
    const client = { sdk: this.stack.name, version: "0" };
    const { join } = await this.session.request("join", { token, room, sdp, publications, client, bindExisting: pairs > 0 });
    report("joined", { participant: join.participant.id });
    for (const participant of join.participants ?? []) this.#addParticipant(participant);
    this.#timers.push(setInterval(() => this.#ping(), join.pingIntervalMs));
    await this.stack.answer(join.sdp);
    await this.stack.connected;
    report("connected");
    this.stack.open.then(() => report("data-open"), reportError);
    this.session.ended.then((why) => {
      if (!this.#leaving) reportError(`the session ended: ${why}`);
    });
  }

  #ping() {
    this.session.request("ping", {}).catch(() => {}); // the end of the session is reported once
  }

  /** @param {any} event */
  #handleEvent(event) {
    if (event.participantJoined) {
      const { participant } = event.participantJoined;
      this.#addParticipant(participant);
      this.#watch(participant.tracks ?? []).catch(reportError);
    } else if (event.participantLeft) {
      const { identity, reason } = event.participantLeft;
      report("participant-left", { identity, reason });
    } else if (event.trackPaused) report("track-paused", { track: event.trackPaused.trackId });
  }

  /** @param {any} participant */
  #addParticipant(participant) {
    this.#identities.set(participant.id, participant.identity);
    for (const { kind, number } of participant.tracks ?? []) {
      report("track", { identity: participant.identity, kind: kind === "TRACK_KIND_VIDEO" ? "video" : "audio", number });
    }
  }

  /** Requests video; the server binds audio by itself. @param {any[]} tracks */
  async #watch(tracks) {
    const bindTrackIds = tracks.filter(({ kind }) => kind === "TRACK_KIND_VIDEO").map(({ id }) => id);
    if (this.configuration.pairs === 0 || bindTrackIds.length === 0) return;
    const { updateSlots } = await this.session.request("updateSlots", { bindTrackIds });
    if (updateSlots.unplacedTrackIds?.length > 0) throw new Error("there is no slot for a track");
  }

  /** @param {Buffer} message */
  #handleMessage(message) {
    try {
      const { sender, text, payload } = unwrap(message);
      const from = this.#identities.get(sender) ?? "";
      report("message", { from, size: payload.length, crc: crc32(payload), ...(text ? { text: payload.toString() } : {}) });
    } catch (error) {
      reportError(error);
    }
  }

  /** @param {any} command */
  execute(command) {
    switch (command.command) {
      case "start":
        for (const player of this.players) player.start(this.stack.sender(player));
        this.#timers.push(setInterval(() => this.#report(), 1000));
        break;
      case "stop":
        for (const player of this.players) player.stop();
        report("stopped");
        break;
      case "request-keyframes":
        this.stack.requestKeyframes();
        break;
      case "say":
        if (command.text !== undefined) this.stack.sendMessage(wrap(Buffer.from(command.text), true));
        else this.stack.sendMessage(wrap(Buffer.from(Array.from({ length: command.size }, (_, index) => index % 251)), false));
        break;
      default:
        throw new Error(`unknown command ${command.command}`);
    }
  }

  #report() {
    const sent = Object.fromEntries(this.players.map((player) => [player.kind, player.counters()]));
    report("second", { sent, received: this.#receiver.counters(), unattributed: this.#receiver.unattributed });
  }

  async leave() {
    this.#leaving = true;
    for (const player of this.players) player.stop();
    for (const timer of this.#timers) clearInterval(timer);
    this.#report();
    for (const { kind, crcs } of this.players) report("payloads", { sent: kind, crcs });
    for (const [received, { crcs }] of this.#receiver.sources) report("payloads", { received, crcs });
    await this.session.request("leave", {});
    await this.stack.close();
    report("left");
  }
}
