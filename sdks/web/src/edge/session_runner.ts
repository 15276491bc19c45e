/** Runs a session: passes inputs to `reduce`, performs its effects, and sets its one timer. */
import { NexusError } from "../core/error.js";
import type { TrackDescription } from "../core/model.js";
import { nextDeadline, reduce } from "../core/session.js";
import {
  NEW_SESSION,
  type Effect,
  type Input,
  type JoinDetails,
  type Key,
  type Notice,
  type Reply,
  type Request,
  type SessionState,
} from "../core/session_state.js";
import type { MessageCodec } from "./codec.js";
import type { Peer } from "./peer.js";
import type { Platform, Socket } from "./platform.js";

interface Waiting {
  readonly resolve: (value: Reply | readonly TrackDescription[]) => void;
  readonly reject: (error: NexusError) => void;
}

/** @internal */
export class SessionRunner {
  state: SessionState = NEW_SESSION;
  readonly #platform: Platform;
  readonly #peer: Peer;
  readonly #codec: MessageCodec;
  readonly #url: string;
  readonly #onNotice: (notice: Notice) => void;
  readonly #observe: (step: Input | Effect) => void;
  readonly #inputs: Input[] = [];
  readonly #waiting = new Map<Key, Waiting>();
  #nextKey: Key = 1;
  #running = false;
  #socket: Socket | null = null;
  #cancelTimer: (() => void) | null = null;

  constructor(
    platform: Platform,
    peer: Peer,
    codec: MessageCodec,
    url: string,
    onNotice: (notice: Notice) => void,
    observe: (step: Input | Effect) => void = () => undefined,
  ) {
    this.#platform = platform;
    this.#peer = peer;
    this.#codec = codec;
    this.#url = url;
    this.#onNotice = onNotice;
    this.#observe = observe;
  }

  join(details: JoinDetails): void {
    this.dispatch({ type: "join", details });
  }

  /** Resolves with the local tracks after a re-offer that includes all changes so far. */
  async negotiate(): Promise<readonly TrackDescription[]> {
    return (await this.#await((key) => ({ type: "negotiate", key }))) as readonly TrackDescription[];
  }

  async call(request: Request): Promise<Reply> {
    return (await this.#await((key) => ({ type: "call", key, request }))) as Reply;
  }

  dispatch(input: Input): void {
    this.#inputs.push(input);
    // Effects may dispatch inputs; the outermost call empties the queue.
    if (this.#running) return;
    this.#running = true;
    try {
      for (let next = this.#inputs.shift(); next !== undefined; next = this.#inputs.shift()) {
        this.#observe(next);
        const [state, effects] = reduce(this.state, next, this.#platform.monotonicMs());
        this.state = state;
        for (const effect of effects) this.#perform(effect);
      }
    } finally {
      this.#running = false;
    }
    this.#arm();
  }

  #await(input: (key: Key) => Input): Promise<Reply | readonly TrackDescription[]> {
    const key = this.#nextKey;
    this.#nextKey += 1;
    return new Promise((resolve, reject) => {
      this.#waiting.set(key, { resolve, reject });
      this.dispatch(input(key));
    });
  }

  #perform(effect: Effect): void {
    this.#observe(effect);
    switch (effect.type) {
      case "open-socket":
        return this.#openSocket();
      case "create-offer":
        return void this.#createOffer(effect);
      case "send": {
        const { requestId, request } = effect;
        return this.#socket?.send(this.#codec.encode({ requestId, request }));
      }
      case "apply-answer":
        return void this.#applyAnswer(effect);
      case "roll-back":
        // Fails if there is no local offer, and then nothing has to be rolled back.
        return void this.#peer.rollBack().catch(() => undefined);
      case "close":
        this.#socket?.close(effect.code);
        return this.#peer.close();
      case "resolve":
        this.#waiting.get(effect.key)?.resolve(effect.value);
        return void this.#waiting.delete(effect.key);
      case "reject":
        this.#waiting.get(effect.key)?.reject(effect.error);
        return void this.#waiting.delete(effect.key);
      case "notify":
        return this.#onNotice(effect.notice);
    }
  }

  #openSocket(): void {
    try {
      this.#socket = this.#platform.openSocket(this.#url, this.#codec.subprotocol, {
        onOpen: () => this.dispatch({ type: "socket-open" }),
        onFrame: (frame) => this.#receive(frame),
        onClose: (code) => this.dispatch({ type: "socket-closed", code }),
      });
    } catch (cause) {
      const error = NexusError.from(cause, "CONNECTION_FAILED", "The WebSocket could not be opened");
      this.dispatch({ type: "offer-failed", error });
    }
  }

  #receive(frame: ArrayBuffer | string): void {
    let input: Input;
    try {
      input = { type: "message", message: this.#codec.decode(frame) };
    } catch (cause) {
      input = { type: "undecodable", cause };
    }
    this.dispatch(input);
  }

  async #createOffer({ slotCount, initial, iceRestart }: Extract<Effect, { type: "create-offer" }>): Promise<void> {
    try {
      // Everything that the page publishes in this turn goes into the same offer.
      await Promise.resolve();
      const peer = this.#peer;
      const offer = initial ? await peer.createFirstOffer(slotCount) : await peer.createReoffer(slotCount, iceRestart);
      this.dispatch({ type: "offer-created", offer });
    } catch (cause) {
      const error = NexusError.from(cause, "NEGOTIATION_FAILED", "The browser could not create an offer");
      this.dispatch({ type: "offer-failed", error });
    }
  }

  async #applyAnswer({ sdp, iceServers }: Extract<Effect, { type: "apply-answer" }>): Promise<void> {
    try {
      await this.#peer.applyAnswer(sdp, iceServers);
      this.dispatch({ type: "answer-applied" });
    } catch (cause) {
      const error = NexusError.from(cause, "NEGOTIATION_FAILED", "The browser rejected the server's answer");
      this.dispatch({ type: "answer-failed", error });
    }
  }

  #arm(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = null;
    const nowMs = this.#platform.monotonicMs();
    const deadline = nextDeadline(this.state, nowMs);
    if (deadline === null) return;
    this.#cancelTimer = this.#platform.setTimer(Math.max(0, deadline - nowMs), () => this.dispatch({ type: "tick" }));
  }
}
