// The part of an RTP payload that the tests compare.
// @ts-check

/** @typedef {import("./clip.mjs").Codec} Codec */

const table = new Uint32Array(256).map((_, index) => {
  let value = index;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

/** CRC-32, as zlib computes it. @param {Uint8Array} bytes */
export function crc32(bytes) {
  let value = 0xffffffff;
  for (const byte of bytes) value = (value >>> 8) ^ (table[(value ^ byte) & 0xff] ?? 0);
  return (value ^ 0xffffffff) >>> 0;
}

/** CRC of the encoded bytes: an SFU may rewrite the VP8 descriptor, but nothing after it. @param {Codec} codec @param {Buffer} payload */
export const checksum = (codec, payload) => crc32(codec === "vp8" ? afterVp8Descriptor(payload) : payload);

/** True at the start of a VP8 keyframe and in every packet of an H.264 IDR picture. @param {Codec} codec @param {Buffer} payload */
export function beginsKeyframe(codec, payload) {
  if (codec === "vp8") {
    const body = afterVp8Descriptor(payload);
    return body.length > 0 && ((payload[0] ?? 0) & 0x17) === 0x10 && ((body[0] ?? 1) & 1) === 0;
  }
  return codec === "h264" && hasIdr(payload);
}

/** RFC 7741 section 4.2. @param {Buffer} payload */
function afterVp8Descriptor(payload) {
  const [first = 0, extensions = 0, picture = 0] = payload;
  if (payload.length < 3 || (first & 0x80) === 0) return payload.subarray(1);
  let size = 2;
  if (extensions & 0x80) size += picture & 0x80 ? 2 : 1;
  if (extensions & 0x40) size += 1;
  if (extensions & 0x30) size += 1;
  return payload.subarray(size);
}

/** RFC 6184 sections 5.6 to 5.8: a single NAL unit, STAP-A or FU-A. @param {Buffer} payload */
function hasIdr(payload) {
  const idr = 5;
  if (payload.length < 2) return false;
  const kind = (payload[0] ?? 0) & 0x1f;
  if (kind === 28) return ((payload[1] ?? 0) & 0x1f) === idr;
  if (kind !== 24) return kind === idr;
  for (let at = 1; at + 2 < payload.length; at += 2 + payload.readUInt16BE(at)) {
    if (((payload[at + 2] ?? 0) & 0x1f) === idr) return true;
  }
  return false;
}
