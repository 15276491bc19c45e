// A TCP proxy to the server's HTTP port. Its connections can be cut, as by a change of network.
// @ts-check
import { once } from "node:events";
import { connect, createServer } from "node:net";

export class TcpProxy {
  /** @type {Set<import("node:net").Socket>} */
  #sockets = new Set();
  #server;
  url = "";

  /** @param {URL} server */
  constructor(server) {
    this.#server = createServer((near) => {
      const far = connect(Number(server.port), server.hostname);
      this.#forward(near, far);
      this.#forward(far, near);
    });
  }

  /** @param {import("node:net").Socket} from @param {import("node:net").Socket} to */
  #forward(from, to) {
    this.#sockets.add(from);
    from.pipe(to);
    from.on("error", () => undefined);
    from.on("close", () => {
      this.#sockets.delete(from);
      to.destroy();
    });
  }

  /** @param {string} url of the server @returns {Promise<TcpProxy>} */
  static async open(url) {
    const proxy = new TcpProxy(new URL(url));
    proxy.#server.listen(0, "127.0.0.1");
    await once(proxy.#server, "listening");
    const address = proxy.#server.address();
    if (address === null || typeof address === "string") throw new Error("no port");
    proxy.url = `http://127.0.0.1:${address.port}`;
    return proxy;
  }

  /** Resets every connection without a closing handshake. New connections are accepted. */
  cut() {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  async close() {
    this.cut();
    this.#server.close();
    await once(this.#server, "close");
  }
}
