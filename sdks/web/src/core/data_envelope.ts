/**
 * The envelope of a data message: sender, destinations and topic (docs/reference/data.md). The engine and the Python SDK
 * read and write the same bytes; the tests of all three share vectors.
 */

export const MAX_DATA_BYTES = 256 * 1024;
/** Size of the first part of a larger payload, which is sent in two. A browser sends 256 KiB at once, envelope included. */
export const PART_BYTES = MAX_DATA_BYTES - 1024;
export const MAX_TOPIC_BYTES = 128;
export const MAX_DESTINATIONS = 32;

/** The part of a message that an envelope carries; `number` tells the sender's messages apart. */
export interface DataPart {
  readonly number: number;
  readonly last: boolean;
}

export interface DataEnvelope {
  /** Null for a whole message. */
  readonly part: DataPart | null;
  readonly text: boolean;
  readonly fromServer: boolean;
  /** Sent to some participants only. */
  readonly directed: boolean;
  /** A participant's id, set by the server; empty for the server itself and for hidden participants. */
  readonly sender: string;
  readonly topic: string;
  readonly destinations: readonly string[];
  readonly payload: Uint8Array;
}

const VERSION = 1;
const TEXT = 1;
const FROM_SERVER = 2;
const DIRECTED = 4;
const FIRST_PART = 8;
const LAST_PART = 16;
const encoder = new TextEncoder();

/** The messages that a client sends for one payload: one, or two parts under this number. The server adds the sender. */
export function writeMessages(
  text: boolean,
  topic: string,
  destinations: readonly string[],
  payload: Uint8Array,
  number: number,
): Uint8Array<ArrayBuffer>[] {
  const write = (bytes: Uint8Array, part: DataPart | null): Uint8Array<ArrayBuffer> =>
    writeEnvelope(text, topic, destinations, bytes, part);
  if (payload.length <= PART_BYTES) return [write(payload, null)];
  return [
    write(payload.subarray(0, PART_BYTES), { number, last: false }),
    write(payload.subarray(PART_BYTES), { number, last: true }),
  ];
}

/** One message of a data channel. */
export function writeEnvelope(
  text: boolean,
  topic: string,
  destinations: readonly string[],
  payload: Uint8Array,
  part: DataPart | null = null,
): Uint8Array<ArrayBuffer> {
  const header = [VERSION, text ? TEXT : 0];
  if (part !== null) {
    header[1] = (header[1] ?? 0) | (part.last ? LAST_PART : FIRST_PART);
    for (const shift of [24, 16, 8, 0]) header.push((part.number >>> shift) & 0xff);
  }
  header.push(0);
  const add = (value: string): void => {
    const bytes = encoder.encode(value);
    header.push(bytes.length, ...bytes);
  };
  add(topic);
  header.push(destinations.length);
  for (const id of destinations) add(id);
  const message = new Uint8Array(header.length + payload.length);
  message.set(header);
  message.set(payload, header.length);
  return message;
}

/** Null if the bytes are no envelope of a known version. */
export function readEnvelope(message: Uint8Array): DataEnvelope | null {
  const flags = message[1];
  if (message[0] !== VERSION || flags === undefined || flags >= LAST_PART + FIRST_PART) return null;
  const decoder = new TextDecoder();
  let at = 2;
  let part: DataPart | null = null;
  if ((flags & (FIRST_PART | LAST_PART)) !== 0) {
    const number = message.subarray(2, 6).reduce((read, byte) => read * 256 + byte, 0);
    part = { number, last: (flags & LAST_PART) !== 0 };
    at = 6;
  }
  const text = (): string => {
    const start = at + 1;
    at = start + (message[at] ?? message.length);
    return decoder.decode(message.subarray(start, at));
  };
  const sender = text();
  const topic = text();
  const count = message[at] ?? 0;
  at += 1;
  const destinations = Array.from({ length: count }, text);
  if (at > message.length || !partFits(part, message.length - at)) return null;
  return {
    part,
    text: (flags & TEXT) !== 0,
    fromServer: (flags & FROM_SERVER) !== 0,
    directed: (flags & DIRECTED) !== 0,
    sender,
    topic,
    destinations,
    payload: message.subarray(at),
  };
}

/** Two joined parts are never larger than a whole payload. */
function partFits(part: DataPart | null, bytes: number): boolean {
  if (part === null) return true;
  return part.last ? bytes > 0 && bytes <= MAX_DATA_BYTES - PART_BYTES : bytes === PART_BYTES;
}
