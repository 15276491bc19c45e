// The header of a message on a data channel: docs/reference/data.md.
// @ts-check

export const DATA_PROTOCOL = "nexus.data.v1";
const VERSION = 1;
const TEXT = 0x01;
const PARTS = 0x08 | 0x10;

/** A message with a payload below 255 KiB to all participants. @param {Buffer} payload @param {boolean} text */
export const wrap = (payload, text) => Buffer.concat([Buffer.from([VERSION, text ? TEXT : 0, 0, 0, 0]), payload]);

/** @param {Buffer} message @returns {{sender: string, text: boolean, payload: Buffer}} */
export function unwrap(message) {
  const [version, flags = 0] = message;
  if (version !== VERSION || flags & PARTS) throw new Error("a message of another version, or in parts");
  const sender = sized(message, 2);
  const topic = sized(message, 3 + sender.length);
  const destinations = 4 + sender.length + topic.length;
  if (message[destinations] !== 0) throw new Error("a message with destinations, or one that ends inside its header");
  return { sender: sender.toString(), text: (flags & TEXT) !== 0, payload: message.subarray(destinations + 1) };
}

/** @param {Buffer} message @param {number} at */
function sized(message, at) {
  const size = message[at];
  if (size === undefined || at + 1 + size > message.length) throw new Error("a message that ends inside its header");
  return message.subarray(at + 1, at + 1 + size);
}
