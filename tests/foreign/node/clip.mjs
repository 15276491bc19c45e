// Reads IVF files of encoded frames, and packetizes frames into RTP payloads.
// @ts-check
import { readFileSync } from "node:fs";

/** @typedef {"vp8" | "h264" | "opus"} Codec */
/** @typedef {{codec: Codec, rate: number, frames: Buffer[]}} Clip `rate` is in frames per second. */

/** @type {Record<string, Codec>} */
const codecs = { VP80: "vp8", H264: "h264", OPUS: "opus" };
const IDR = 5;
const FU_A = 28;
// With header and extensions, an RTP packet stays below the 1,200 bytes that are usual in WebRTC.
const MAX_PAYLOAD_BYTES = 1100;

/** @param {string} path @returns {Clip} */
export function readClip(path) {
  const file = readFileSync(path);
  const codec = codecs[file.toString("latin1", 8, 12)];
  if (file.toString("latin1", 0, 4) !== "DKIF" || codec === undefined) throw new Error(`${path} is not an IVF file of a supported codec`);
  const frames = [];
  for (let at = 32; at + 12 <= file.length; ) {
    const size = file.readUInt32LE(at);
    frames.push(file.subarray(at + 12, at + 12 + size));
    at += 12 + size;
  }
  return { codec, rate: file.readUInt32LE(16), frames };
}

/** @param {Codec} codec @param {Buffer} frame */
export function isKeyframe(codec, frame) {
  if (codec === "h264") return nalUnits(frame).some((unit) => ((unit[0] ?? 0) & 0x1f) === IDR);
  return codec === "opus" || (((frame[0] ?? 1) & 1) === 0);
}

/** A frame as RTP payloads. @param {Codec} codec @param {Buffer} frame @returns {Buffer[]} */
export function packetize(codec, frame) {
  switch (codec) {
    case "opus":
      return [frame];
    case "vp8":
      // RFC 7741 section 4.2: the shortest descriptor, S in the first packet.
      return pieces(frame, MAX_PAYLOAD_BYTES).map((piece, index) => Buffer.concat([Buffer.from([index === 0 ? 0x10 : 0]), piece]));
    case "h264":
      return nalUnits(frame).flatMap(packetizeUnit);
  }
}

/** RFC 6184 sections 5.6 and 5.8. @param {Buffer} unit */
function packetizeUnit(unit) {
  if (unit.length <= MAX_PAYLOAD_BYTES) return [unit];
  const head = unit[0] ?? 0;
  const parts = pieces(unit.subarray(1), MAX_PAYLOAD_BYTES);
  return parts.map((part, index) => {
    const start = index === 0 ? 0x80 : 0;
    const end = index === parts.length - 1 ? 0x40 : 0;
    return Buffer.concat([Buffer.from([(head & 0xe0) | FU_A, start | end | (head & 0x1f)]), part]);
  });
}

/** @param {Buffer} bytes @param {number} size */
function pieces(bytes, size) {
  const count = Math.ceil(bytes.length / size);
  return Array.from({ length: count }, (_, index) => bytes.subarray(index * size, (index + 1) * size));
}

/** The NAL units of an access unit in Annex B. @param {Buffer} frame */
export function nalUnits(frame) {
  const units = [];
  let begin = -1;
  for (let at = 0; at + 2 < frame.length; at += 1) {
    if (frame[at] !== 0 || frame[at + 1] !== 0 || frame[at + 2] !== 1) continue;
    if (begin >= 0) units.push(withoutTrailingZeros(frame.subarray(begin, at)));
    begin = at + 3;
  }
  if (begin >= 0) units.push(frame.subarray(begin));
  return units;
}

/** A start code may have four bytes. @param {Buffer} unit */
function withoutTrailingZeros(unit) {
  let end = unit.length;
  while (end > 0 && unit[end - 1] === 0) end -= 1;
  return unit.subarray(0, end);
}
