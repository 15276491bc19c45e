// A camera's life in a call: requests that nobody awaits, while devices open slowly; and what became of it.
// @ts-check
import { SlowDevices } from "/pages/slow_devices.mjs";

const LONG_ENOUGH = 100;

const turn = (milliseconds = 0) => new Promise((done) => setTimeout(done, milliseconds));

/** Whether the page's tab seems to be in front. @param {boolean} visible */
function showTab(visible) {
  Object.defineProperty(document, "visibilityState", { configurable: true, get: () => (visible ? "visible" : "hidden") });
  document.dispatchEvent(new Event("visibilitychange"));
}

export class DeviceLife {
  devices = new SlowDevices();
  /** How each request ended. @type {string[]} */
  outcomes = [];
  screen = document.createElement("video");
  /** @type {any} */
  camera = null;

  /** @param {any} page the participant, whose room it is */
  constructor(page) {
    this.page = page;
    document.body.append(this.screen);
  }

  get room() {
    return this.page.room;
  }

  /** Joins, with a camera, and waits for the connection. @param {boolean} published */
  async begin(published) {
    this.devices.slow = false;
    this.outcomes = [];
    showTab(true);
    await this.page.join();
    this.camera = await this.room.createCameraVideoTrack({ resolution: "180p", codec: "vp8" });
    if (published) await this.room.publish(this.camera);
    while (this.room.connectionState !== "connected") await turn(10);
    this.devices.slow = true;
  }

  /** @param {string} name */
  request(name) {
    const promise = this.perform(name);
    if (promise === null) return;
    const index = this.outcomes.push("pending") - 1;
    promise.then(
      () => (this.outcomes[index] = "resolved"),
      (/** @type {any} */ error) => (this.outcomes[index] = error.code ?? String(error)),
    );
  }

  /** @param {string} name @returns {Promise<unknown> | null} */
  perform(name) {
    const { room, camera } = this;
    switch (name) {
      case "publish":
        return room.publish(camera);
      case "unpublish":
        return room.unpublish(camera, { stop: false });
      case "mute":
        return camera.setMuted(true, { releaseDevice: true });
      case "unmute":
        return camera.setMuted(false);
      case "set-device-a":
      case "set-device-b":
        return camera.setDevice(name.slice(-1));
      case "leave":
        return room.leave();
      case "attach":
        this.page.remoteTrack("green", "camera")?.attach(this.screen);
        return null;
      case "detach":
        this.page.remoteTrack("green", "camera")?.detach(this.screen);
        return null;
      case "hide-tab":
      case "show-tab":
        showTab(name === "show-tab");
        return null;
      default:
        throw new Error(`no request is called ${name}`);
    }
  }

  /** What happens between two requests. @param {string} happening */
  async happen(happening) {
    if (happening === "device-opens") this.devices.openNext();
    if (happening !== "nothing") await turn(happening === "while" ? LONG_ENOUGH : 0);
  }

  /** All requests, then whatever they wait for. @param {readonly [string, string][]} steps */
  async live(steps) {
    for (const [name, happening] of steps) {
      this.request(name);
      await this.happen(happening);
    }
    for (let quiet = 0; quiet < 3; quiet += 1) {
      if (this.devices.openNext() || this.outcomes.includes("pending")) quiet = -1;
      await turn(10);
    }
  }

  /**
   * The system holds the camera back, or lets it come again. No page can bring that about: the event and the property are
   * made up, the track is the browser's.
   * @param {boolean} held
   */
  hold(held) {
    const track = this.camera.mediaStreamTrack;
    Object.defineProperty(track, "muted", { configurable: true, get: () => held });
    track.dispatchEvent(new Event(held ? "mute" : "unmute"));
  }

  /** What the page has. */
  report() {
    const { camera, room, devices } = this;
    const track = camera.mediaStreamTrack;
    return {
      connection: room.connectionState,
      published: room.localParticipant.tracks.has(camera),
      id: camera.id,
      muted: camera.muted,
      enabled: track.enabled,
      live: devices.live,
      captures: track.readyState === "live" ? devices.deviceOf(track) : null,
      sent: this.page.sentTracks().map((/** @type {any} */ one) => (one === track ? "camera" : "another")),
      outcomes: this.outcomes,
    };
  }

  /** Whether somebody else's picture is shown. */
  shows() {
    return this.screen.srcObject !== null;
  }

  /** Leaves, and answers the devices that were still asked for. */
  async end() {
    await this.room.leave();
    for (let quiet = 0; quiet < 3; quiet += 1) {
      if (this.devices.openNext()) quiet = -1;
      await turn(10);
    }
    // What `unpublish(track, { stop: false })` gave back is the page's own.
    const kept = this.camera.stopped ? [] : [this.camera.mediaStreamTrack];
    const left = [...this.devices.opened.keys()].filter((track) => track.readyState === "live" && !kept.includes(track));
    for (const track of kept) track.stop();
    return { left: left.length, stopped: this.camera.stopped };
  }
}
