/**
 * The data channels of a session: one for each kind of delivery, opened in band (RFC 8832) so that none needs a
 * negotiation. Carries bytes and does not interpret them.
 */
import { NexusError } from "../core/error.js";
import type { PeerConnection } from "./platform.js";

/** How a message is delivered. @internal */
export interface Delivery {
  /** Retransmitted until it arrives. */
  readonly reliable: boolean;
  /** Delivered in the order of sending. */
  readonly ordered: boolean;
}

const PROTOCOL = "nexus.data.v1";
/** Amount buffered in the browser above which senders wait. */
const HIGH_WATER_BYTES = 1024 * 1024;
const LOW_WATER_BYTES = 256 * 1024;

type OnData = (message: Uint8Array, delivery: Delivery) => void;

/** @internal */
export class DataLink {
  readonly #connection: PeerConnection;
  readonly #onData: OnData;
  readonly #channels = new Map<string, RTCDataChannel>();
  /** The last send of each kind: messages leave in the order of the calls, also when calls wait. */
  readonly #turns = new Map<string, Promise<void>>();
  readonly #over = new AbortController();

  constructor(connection: PeerConnection, onData: OnData) {
    this.#connection = connection;
    this.#onData = onData;
    connection.addEventListener("datachannel", ({ channel }) => this.#adopt(channel));
  }

  /** Opens the first channel before the first offer, which then contains a section for data channels (RFC 8841). */
  open(): void {
    this.#channel({ reliable: true, ordered: true });
  }

  /** Resolves when the browser has accepted all messages and has room for more. */
  async send(delivery: Delivery, messages: readonly Uint8Array<ArrayBuffer>[]): Promise<void> {
    const key = keyOf(delivery);
    const before = this.#turns.get(key) ?? Promise.resolve();
    const turn = before.then(async () => {
      for (const message of messages) await this.#send(delivery, message);
    });
    // A later send does not fail with this one.
    this.#turns.set(key, turn.catch(() => undefined));
    return turn;
  }

  close(): void {
    this.#over.abort();
  }

  async #send(delivery: Delivery, message: Uint8Array<ArrayBuffer>): Promise<void> {
    const channel = this.#channel(delivery);
    if (channel.readyState === "connecting") await this.#until(channel, "open");
    if (channel.bufferedAmount > HIGH_WATER_BYTES) await this.#until(channel, "bufferedamountlow");
    try {
      channel.send(message);
    } catch (cause) {
      throw NexusError.from(cause, "CLOSED", "The data channel is closed");
    }
  }

  #channel(delivery: Delivery): RTCDataChannel {
    const key = keyOf(delivery);
    const known = this.#channels.get(key);
    if (known !== undefined) return known;
    if (this.#over.signal.aborted) throw closed();
    const { ordered, reliable } = delivery;
    const options = { ordered, protocol: PROTOCOL, ...(reliable ? {} : { maxRetransmits: 0 }) };
    const channel = this.#connection.createDataChannel("nexus", options);
    this.#adopt(channel);
    return channel;
  }

  #adopt(channel: RTCDataChannel): void {
    if (channel.protocol !== PROTOCOL) return;
    const delivery = {
      reliable: channel.maxRetransmits === null && channel.maxPacketLifeTime === null,
      ordered: channel.ordered,
    };
    const key = keyOf(delivery);
    channel.binaryType = "arraybuffer";
    channel.bufferedAmountLowThreshold = LOW_WATER_BYTES;
    channel.addEventListener("message", ({ data }) => {
      if (data instanceof ArrayBuffer) this.#onData(new Uint8Array(data), delivery);
    });
    // The server closes the channel of a reader that is too slow; the next message opens another.
    channel.addEventListener("close", () => {
      if (this.#channels.get(key) === channel) this.#channels.delete(key);
    });
    if (!this.#channels.has(key)) this.#channels.set(key, channel);
  }

  async #until(channel: RTCDataChannel, event: "open" | "bufferedamountlow"): Promise<void> {
    const { signal } = this.#over;
    await new Promise<void>((resolve, reject) => {
      const fail = (): void => reject(closed());
      if (signal.aborted) return fail();
      channel.addEventListener(event, () => resolve(), { once: true });
      channel.addEventListener("close", fail, { once: true });
      signal.addEventListener("abort", fail, { once: true });
    });
  }
}

const keyOf = ({ reliable, ordered }: Delivery): string => `${reliable}/${ordered}`;
const closed = (): NexusError => new NexusError("CLOSED", "The data channel is closed.");
