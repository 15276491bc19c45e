// Recordings of a running system: started by a page with the grant `record`, downloaded by their links, and measured.
// @ts-check
import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { promisify } from "node:util";

import { repository } from "./system.mjs";
import { eventually } from "./wait.mjs";

const PATIENCE_MS = 120_000;

/** @typedef {import("./participant.mjs").Page} Page */

/**
 * Measurements of inspect_files.py. Times are in seconds since the start of the recording. A flash has the times of the last
 * picture before it and of its first one.
 * @typedef {object} Measured
 * @property {string} name of the file
 * @property {string} identity
 * @property {string[]} sources
 * @property {string} errors of a full decode
 * @property {number} seconds
 * @property {Stream & {width: number, height: number, square_pixels: boolean, pictures: number, sizes: {width: number, height: number, at: number}[], flashes: [number, number][]} | null} video
 * @property {Stream & {start: number, seconds: number, beeps: number[]} | null} audio
 */
/** @typedef {{codec: string, packets: number, first: number, last: number, longest_step: number, in_order: boolean}} Stream */

export class Recorded {
  /** @param {Page} page @param {string} id */
  constructor(page, id) {
    this.page = page;
    this.id = id;
  }

  /**
   * Starts a recording of the page's room by the SDK, and waits until it runs. A recorder that has just started may not know
   * the SFU yet.
   * @param {Page} page @param {Record<string, unknown>} options
   */
  static async start(page, options) {
    const start = (/** @type {any} */ wanted) =>
      window.participant.room.recordings.start(wanted).catch((/** @type {any} */ error) => {
        if (!error.retryAfterMs) throw error;
        return null;
      });
    const started = await eventually("the start of the recording", () => page.evaluate(start, options), (one) => one !== null);
    const recorded = new Recorded(page, started.id);
    await recorded.becomes("running");
    return recorded;
  }

  /** @returns {Promise<any>} */
  get() {
    return this.page.evaluate((/** @type {string} */ id) => window.participant.room.recordings.get(id), this.id);
  }

  /** @param {string} state */
  becomes(state) {
    const accept = (/** @type {any} */ one) => {
      if (one.state === "failed") throw new Error(`the recording failed: ${JSON.stringify(one)}`);
      return one.state === state;
    };
    return eventually(`the state ${state}`, () => this.get(), accept, PATIENCE_MS);
  }

  /** Stops it, and waits for its files. */
  async finish() {
    await this.page.evaluate((/** @type {string} */ id) => window.participant.room.recordings.stop(id), this.id);
    return this.becomes("completed");
  }

  /** The files, downloaded to a folder and measured, and the manifest. @param {string} folder */
  async measure(folder) {
    const playback = await this.page.evaluate((/** @type {string} */ id) => window.participant.room.recordings.playback(id), this.id);
    const manifest = JSON.parse((await download(playback.manifestUrl)).toString());
    /** @type {string[]} */
    const paths = [];
    for (const { file, url } of playback.links) {
      paths.push(join(folder, basename(file.key)));
      await writeFile(/** @type {string} */ (paths.at(-1)), await download(url));
    }
    const lines = await inspect(paths);
    /** @type {Measured[]} */
    const files = lines.map((measured, index) => {
      const { key, identity, sources } = playback.links[index].file;
      return { name: basename(key), identity, sources, ...measured };
    });
    return { files, manifest };
  }
}

/** @param {string} url */
async function download(url) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url}: ${response.status}`);
  return Buffer.from(await response.arrayBuffer());
}

/** @param {string[]} paths @returns {Promise<any[]>} */
async function inspect(paths) {
  const program = join(repository, "tests/e2e/support/inspect_files.py");
  const { stdout } = await promisify(execFile)(join(repository, ".venv/bin/python"), [program, ...paths], { maxBuffer: 1 << 26 });
  return stdout.trim().split("\n").map((line) => JSON.parse(line));
}
