// RTP and RTCP headers, for stacks that deliver packets as bytes.
// @ts-check

/** RFC 5761 section 4: RTP payload types 64 to 95 are not used. @param {Buffer} packet */
export const isRtcp = (packet) => (packet[1] ?? 0) >= 192 && (packet[1] ?? 0) <= 223;

/** RFC 3550 section 5.1. @param {Buffer} packet */
export function readRtp(packet) {
  const [first = 0, second = 0] = packet;
  const count = first & 0x0f;
  const csrcs = Array.from({ length: count }, (_, index) => packet.readUInt32BE(12 + 4 * index));
  let begin = 12 + 4 * count;
  if (first & 0x10) begin += 4 + 4 * packet.readUInt16BE(begin + 2);
  const padding = first & 0x20 ? (packet.at(-1) ?? 0) : 0;
  return {
    csrcs,
    timestamp: packet.readUInt32BE(4),
    marker: (second & 0x80) !== 0,
    payloadType: second & 0x7f,
    payload: packet.subarray(begin, Math.max(begin, packet.length - padding)),
  };
}

/** Whether a compound packet has a PLI (RFC 4585 section 6.3.1) or a FIR (RFC 5104 section 4.3.1). @param {Buffer} compound */
export function keyframeRequested(compound) {
  const payloadSpecific = 206;
  for (let at = 0; at + 4 <= compound.length; at += 4 + 4 * compound.readUInt16BE(at + 2)) {
    const format = (compound[at] ?? 0) & 0x1f;
    if (compound[at + 1] === payloadSpecific && (format === 1 || format === 4)) return true;
  }
  return false;
}
