// A way of one's own to the server's HTTP port, which can be cut: what a change of network does to a WebSocket.
// @ts-check
import { once } from "node:events";
import { connect, createServer } from "node:net";

export class TcpWay {
  /** @type {Set<import("node:net").Socket>} */
  #sockets = new Set();
  #server;
  url = "";

  /** @param {URL} server */
  constructor(server) {
    this.#server = createServer((near) => {
      const far = connect(Number(server.port), server.hostname);
      this.#lead(near, far);
      this.#lead(far, near);
    });
  }

  /** @param {import("node:net").Socket} from @param {import("node:net").Socket} to */
  #lead(from, to) {
    this.#sockets.add(from);
    from.pipe(to);
    from.on("error", () => undefined);
    from.on("close", () => {
      this.#sockets.delete(from);
      to.destroy();
    });
  }

  /** @param {string} url of the server @returns {Promise<TcpWay>} */
  static async open(url) {
    const way = new TcpWay(new URL(url));
    way.#server.listen(0, "127.0.0.1");
    await once(way.#server, "listening");
    const address = way.#server.address();
    if (address === null || typeof address === "string") throw new Error("no port");
    way.url = `http://127.0.0.1:${address.port}`;
    return way;
  }

  /** Resets every connection, without a word of either side's; new ones are let through. */
  cut() {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  async close() {
    this.cut();
    this.#server.close();
    await once(this.#server, "close");
  }
}
