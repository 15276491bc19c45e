/** The two subprotocols of a session: binary protobuf, and its canonical JSON for debugging. */
import { decodeBinary, encodeBinary } from "../wire/binary.js";
import { decodeJson, encodeJson } from "../wire/json.js";
import type { ClientMessage, ServerMessage } from "../wire/messages.js";
import type { AnyMessage } from "../wire/table.js";

/** The encoding of messages on the WebSocket. */
export type WireFormat = "binary" | "json";

export interface MessageCodec {
  readonly subprotocol: string;
  encode(message: ClientMessage): Uint8Array<ArrayBuffer> | string;
  /** Throws if the frame is not a valid message. */
  decode(frame: ArrayBuffer | string): ServerMessage;
}

// Tables and types come from the same .proto; a test compares them.
const read = (message: AnyMessage): ServerMessage => message as unknown as ServerMessage;

const BINARY: MessageCodec = {
  subprotocol: "nexus.v1",
  encode: (message) => encodeBinary("ClientMessage", message),
  decode(frame) {
    if (typeof frame === "string") throw new TypeError("text frame in a binary session");
    return read(decodeBinary("ServerMessage", new Uint8Array(frame)));
  },
};

const JSON_TEXT: MessageCodec = {
  subprotocol: "nexus.v1.json",
  encode: (message) => encodeJson("ClientMessage", message),
  decode(frame) {
    if (typeof frame !== "string") throw new TypeError("binary frame in a JSON session");
    return read(decodeJson("ServerMessage", frame));
  },
};

export const messageCodec = (format: WireFormat): MessageCodec => (format === "json" ? JSON_TEXT : BINARY);
