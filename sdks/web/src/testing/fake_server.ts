/**
 * A signaling server in memory: takes one session, records what the client says, answers as told. It speaks the real
 * wire format, so that encoding is tested as well.
 */
import type { SocketHandlers, Socket } from "../edge/platform.js";
import { decodeBinary, encodeBinary } from "../wire/binary.js";
import { decodeJson, encodeJson } from "../wire/json.js";
import type { AnyMessage } from "../wire/table.js";

/** A message's body as a test writes it, in the words of `proto/`; what is left out is at its default. */
export interface ServerBody {
  readonly case: string;
  readonly value: AnyMessage;
}

/** What a client asked. */
export interface ReceivedRequest {
  readonly requestId: number;
  readonly name: string;
  readonly value: AnyMessage;
}
/** Answers a request; null leaves it without an answer. */
export type Responder = (request: ReceivedRequest) => ServerBody | null;

export class FakeServer {
  url = "";
  subprotocol = "";
  readonly requests: ReceivedRequest[] = [];
  /** The code with which the client closed. */
  closedByClient: number | null = null;
  /** Refuses the WebSocket. */
  unreachable = false;
  /** Leaves the WebSocket unopened. */
  silent = false;
  readonly #responders = new Map<string, Responder>();
  #handlers: SocketHandlers | null = null;

  /** How to answer requests of a name: `join`, `offer`, `updateSlots`, … */
  on(name: string, responder: Responder): this {
    this.#responders.set(name, responder);
    return this;
  }

  connect(url: string, subprotocol: string, handlers: SocketHandlers): Socket {
    this.url = url;
    this.subprotocol = subprotocol;
    this.#handlers = handlers;
    queueMicrotask(() => {
      if (this.unreachable) handlers.onClose(1006);
      else if (!this.silent) handlers.onOpen();
    });
    return { send: (frame) => this.#receive(frame), close: (code) => (this.closedByClient = code) };
  }

  /** Sends an event, a snapshot or a farewell. */
  tell(body: ServerBody): void {
    this.#send(0, body);
  }

  /** Answers a request later than at once. */
  reply(requestId: number, body: ServerBody): void {
    this.#send(requestId, body);
  }

  /** Sends bytes as they are. */
  tellRaw(frame: ArrayBuffer | string): void {
    this.#handlers?.onFrame(frame);
  }

  /** Opens a WebSocket that was left unopened. */
  open(): void {
    this.#handlers?.onOpen();
  }

  close(code: number): void {
    this.#handlers?.onClose(code);
  }

  named(name: string): ReceivedRequest[] {
    return this.requests.filter((request) => request.name === name);
  }

  #receive(frame: Uint8Array<ArrayBuffer> | string): void {
    const message = typeof frame === "string" ? decodeJson("ClientMessage", frame) : decodeBinary("ClientMessage", frame);
    const { case: name, value } = message["request"] as { case?: string; value?: AnyMessage };
    const request = { requestId: message["requestId"] as number, name: name ?? "", value: value ?? {} };
    this.requests.push(request);
    const body = this.#responders.get(request.name)?.(request) ?? null;
    if (body !== null) queueMicrotask(() => this.#send(request.requestId, body));
  }

  #send(requestId: number, body: ServerBody): void {
    const message: AnyMessage = { requestId, body };
    const json = this.subprotocol.endsWith(".json");
    this.#handlers?.onFrame(json ? encodeJson("ServerMessage", message) : encodeBinary("ServerMessage", message).buffer);
  }
}
