/**
 * A signaling server in memory: accepts a session, records the client's requests, and answers as the test says. It uses the
 * real wire format, so that encoding is tested as well.
 */
import type { SocketHandlers, Socket } from "../edge/platform.js";
import { decodeBinary, encodeBinary } from "../wire/binary.js";
import { decodeJson, encodeJson } from "../wire/json.js";
import type { AnyMessage } from "../wire/table.js";

/** The body of a message, named as in `proto/`; omitted fields have their defaults. */
export interface ServerBody {
  readonly case: string;
  readonly value: AnyMessage;
}

/** A request of the client. */
export interface ReceivedRequest {
  readonly requestId: number;
  readonly name: string;
  readonly value: AnyMessage;
}

/** Answers a request; null leaves it unanswered. */
export type Responder = (request: ReceivedRequest) => ServerBody | null;

export class FakeServer {
  url = "";
  subprotocol = "";
  readonly requests: ReceivedRequest[] = [];
  /** The close code of the client. */
  closedByClient: number | null = null;
  /** Whether the WebSocket is refused. */
  unreachable = false;
  /** Whether the WebSocket never opens. */
  silent = false;
  readonly #responders = new Map<string, Responder>();
  #handlers: SocketHandlers | null = null;

  /** Sets the responder for requests of a name: `join`, `offer`, `updateSlots`, … */
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

  /** Sends an event, a snapshot or `disconnected`. */
  tell(body: ServerBody): void {
    this.#send(0, body);
  }

  /** Answers a request that its responder left unanswered. */
  reply(requestId: number, body: ServerBody): void {
    this.#send(requestId, body);
  }

  /** Sends raw bytes or text. */
  tellRaw(frame: ArrayBuffer | string): void {
    this.#handlers?.onFrame(frame);
  }

  /** Opens a WebSocket that `silent` left unopened. */
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
