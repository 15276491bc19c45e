// Sends clips and counts sent and received packets.
// @ts-check
import { isKeyframe, packetize, readClip } from "./clip.mjs";
import { beginsKeyframe, checksum } from "./payload.mjs";

/** @typedef {import("./clip.mjs").Codec} Codec */

/** Sends a clip as RTP at its frame rate, and jumps to the next keyframe on request. */
export class Player {
  requests = 0;
  /** @type {number[]} */
  crcs = [];
  #frames = 0;
  #keyframes = 0;
  #wanted = false;
  #at = 0;
  #sequence = Math.floor(Math.random() * 0x8000);
  #timestamp = Math.floor(Math.random() * 0xffffffff);
  /** @type {NodeJS.Timeout | undefined} */
  #timer;

  /** @param {string} path */
  constructor(path) {
    this.clip = readClip(path);
    /** @type {"audio" | "video"} */
    this.kind = this.clip.codec === "opus" ? "audio" : "video";
    this.clockRate = this.kind === "audio" ? 48_000 : 90_000;
  }

  requestKeyframe() {
    this.requests += 1;
    this.#wanted = true;
  }

  /** Sends late frames immediately and skips none. @param {(packet: Buffer, timestamp: number) => void} send */
  start(send) {
    const began = performance.now();
    let number = 0;
    const next = () => {
      this.#sendFrame(send);
      number += 1;
      this.#timer = setTimeout(next, Math.max(0, began + (number * 1000) / this.clip.rate - performance.now()));
    };
    next();
  }

  stop() {
    clearTimeout(this.#timer);
  }

  /** @param {(packet: Buffer, timestamp: number) => void} send */
  #sendFrame(send) {
    const { codec, frames, rate } = this.clip;
    const keyframe = () => isKeyframe(codec, /** @type {Buffer} */ (frames[this.#at]));
    if (this.#wanted) while (!keyframe()) this.#at = (this.#at + 1) % frames.length;
    this.#wanted = false;
    this.#frames += 1;
    if (keyframe()) this.#keyframes += 1;
    const payloads = packetize(codec, /** @type {Buffer} */ (frames[this.#at]));
    this.#at = (this.#at + 1) % frames.length;
    this.#timestamp = (this.#timestamp + this.clockRate / rate) >>> 0;
    payloads.forEach((payload, index) => {
      this.crcs.push(checksum(codec, payload));
      const marker = this.kind === "video" && index === payloads.length - 1;
      send(Buffer.concat([this.#header(marker), payload]), this.#timestamp);
    });
  }

  /** RFC 3550 section 5.1; the stack fills in payload type and SSRC. @param {boolean} marker */
  #header(marker) {
    const header = Buffer.alloc(12);
    header[0] = 0x80;
    header[1] = marker ? 0x80 : 0;
    header.writeUInt16BE(this.#sequence, 2);
    header.writeUInt32BE(this.#timestamp, 4);
    this.#sequence = (this.#sequence + 1) & 0xffff;
    return header;
  }

  counters() {
    return { packets: this.crcs.length, frames: this.#frames, keyframes: this.#keyframes, requests: this.requests };
  }
}

class Source {
  packets = 0;
  frames = 0;
  keyframes = 0;
  /** @type {number[]} */
  crcs = [];
  lastKey = -1;
}

/** @typedef {{csrcs: number[], timestamp: number, marker: boolean, payload: Buffer}} Packet */

/** Counts packets by the track number in the CSRC. */
export class Receiver {
  /** @type {Map<number, Source>} */
  sources = new Map();
  unattributed = 0;

  /** @param {Codec} codec @param {Packet} packet */
  take(codec, { csrcs, timestamp, marker, payload }) {
    if (payload.length === 0) return; // padding of a bandwidth probe
    const [number] = csrcs;
    if (number === undefined || csrcs.length > 1) {
      this.unattributed += 1;
      return;
    }
    const source = this.sources.get(number) ?? new Source();
    this.sources.set(number, source);
    source.packets += 1;
    if (marker) source.frames += 1;
    source.crcs.push(checksum(codec, payload));
    if (beginsKeyframe(codec, payload) && source.lastKey !== timestamp) {
      source.keyframes += 1;
      source.lastKey = timestamp;
    }
  }

  counters() {
    return Object.fromEntries([...this.sources].map(([number, { packets, frames, keyframes }]) => [number, { packets, frames, keyframes }]));
  }
}
