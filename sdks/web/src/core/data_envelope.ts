/**
 * The header of every message on a data channel: who says what to whom (docs/reference/data.md). The same bytes are read
 * and written by the engine and by the Python SDK; the tests of all three share vectors.
 */

/** A message of 256 KiB less its header. */
export const MAX_DATA_BYTES = 255 * 1024;
export const MAX_TOPIC_BYTES = 128;
export const MAX_DESTINATIONS = 32;

export interface DataEnvelope {
  readonly text: boolean;
  readonly fromServer: boolean;
  /** To some only. */
  readonly directed: boolean;
  /** A participant's id; the server fills it in. Empty: hidden, or the server. */
  readonly sender: string;
  readonly topic: string;
  readonly destinations: readonly string[];
  readonly payload: Uint8Array;
}

const VERSION = 1;
const TEXT = 1;
const FROM_SERVER = 2;
const DIRECTED = 4;
const encoder = new TextEncoder();

/** What a client sends: without sender, to everybody or to some. */
export function writeEnvelope(
  text: boolean,
  topic: string,
  destinations: readonly string[],
  payload: Uint8Array,
): Uint8Array<ArrayBuffer> {
  const header = [VERSION, text ? TEXT : 0, 0];
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

/** Null for what is no envelope of a version that is known here. */
export function readEnvelope(message: Uint8Array): DataEnvelope | null {
  const flags = message[1];
  if (message[0] !== VERSION || flags === undefined || flags > (TEXT | FROM_SERVER | DIRECTED)) return null;
  const decoder = new TextDecoder();
  let at = 2;
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
  if (at > message.length) return null;
  return {
    text: (flags & TEXT) !== 0,
    fromServer: (flags & FROM_SERVER) !== 0,
    directed: (flags & DIRECTED) !== 0,
    sender,
    topic,
    destinations,
    payload: message.subarray(at),
  };
}
