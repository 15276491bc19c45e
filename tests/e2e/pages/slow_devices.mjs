// Devices that open when the test says so. They deliver the synthetic media of the page in real tracks of the browser.
// @ts-check
import { deviceOf } from "/pages/synthetic_media.mjs";

/** A request that the test has not answered yet. @typedef {{open: () => void, fail: (name: string) => void}} Waiting */

export class SlowDevices {
  /** Whether requests wait until the test answers them. */
  slow = false;
  /** @type {Waiting[]} */
  waiting = [];
  /** Every opened track with its device. @type {Map<MediaStreamTrack, string>} */
  opened = new Map();

  constructor() {
    const open = navigator.mediaDevices.getUserMedia;
    navigator.mediaDevices.getUserMedia = async (wanted = {}) => {
      if (this.slow) {
        await new Promise((resolve, reject) => {
          this.waiting.push({ open: () => resolve(undefined), fail: (name) => reject(new DOMException("refused", name)) });
        });
      }
      const stream = await open(wanted);
      for (const track of stream.getTracks()) this.opened.set(track, deviceOf(wanted));
      return stream;
    };
  }

  /** The devices that are capturing. */
  get live() {
    return [...this.opened].filter(([track]) => track.readyState === "live").map(([, deviceId]) => deviceId);
  }

  /** @param {MediaStreamTrack} track */
  deviceOf(track) {
    return this.opened.get(track) ?? null;
  }

  /** Opens the device of the oldest request; false if there is none. */
  openNext() {
    const next = this.waiting.shift();
    next?.open();
    return next !== undefined;
  }
}
