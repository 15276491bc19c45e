// The WebSocket to signaling, in canonical JSON: requests with their replies, and events.
// @ts-check
import { once } from "node:events";
import { WebSocket } from "ws";

export class Session {
  /** @type {Map<number, {resolve: (reply: any) => void, reject: (error: Error) => void}>} */
  #waiting = new Map();
  #last = 0;
  #reason = "";
  #closed = "";

  /** @param {WebSocket} socket @param {(event: any) => void} onEvent */
  constructor(socket, onEvent) {
    this.socket = socket;
    socket.on("message", (data) => this.#handleMessage(JSON.parse(String(data)), onEvent));
    /** Resolves with the reason when the session has ended. @type {Promise<string>} */
    this.ended = new Promise((resolve) => {
      socket.on("error", (error) => (this.#reason ||= error.message));
      socket.on("close", (code) => resolve(`${code} ${this.#reason}`));
    });
    this.ended.then((why) => {
      this.#closed = why;
      for (const { reject } of this.#waiting.values()) reject(new Error(`the session ended: ${why}`));
    });
  }

  /** @param {string} url @param {(event: any) => void} onEvent */
  static async connect(url, onEvent) {
    const socket = new WebSocket(url, ["nexus.v1.json"]);
    const session = new Session(socket, onEvent);
    await once(socket, "open");
    return session;
  }

  /** Sends `{requestId, [name]: body}`; resolves with the reply, or rejects. @param {string} name @param {object} body @returns {Promise<any>} */
  request(name, body) {
    if (this.#closed) return Promise.reject(new Error(`the session ended: ${this.#closed}`));
    const requestId = (this.#last += 1);
    this.socket.send(JSON.stringify({ requestId, [name]: body }));
    return new Promise((resolve, reject) => this.#waiting.set(requestId, { resolve, reject }));
  }

  /** @param {any} message @param {(event: any) => void} onEvent */
  #handleMessage(message, onEvent) {
    const waiting = this.#waiting.get(message.requestId);
    if (waiting) {
      this.#waiting.delete(message.requestId);
      const { error } = message;
      if (error) waiting.reject(new Error(`${error.code}: ${error.message}`));
      else waiting.resolve(message);
    } else if (message.event) onEvent(message.event);
    else if (message.disconnected) this.#reason = `${message.disconnected.reason}: ${message.disconnected.message}`;
    else if (message.error) this.#reason = `${message.error.code}: ${message.error.message}`;
  }
}
