// Requests about a camera that are not awaited, while devices open slowly, and the resulting state.
// @ts-check
import { SlowDevices } from "/pages/slow_devices.mjs";

const A_WHILE_MS = 100;

const turn = (milliseconds = 0) => new Promise((done) => setTimeout(done, milliseconds));

/** Makes the page's tab appear visible or hidden. @param {boolean} visible */
function showTab(visible) {
  Object.defineProperty(document, "visibilityState", { configurable: true, get: () => (visible ? "visible" : "hidden") });
  document.dispatchEvent(new Event("visibilitychange"));
}

export class DeviceScenario {
  devices = new SlowDevices();
  /** The outcome of each request. @type {string[]} */
  outcomes = [];
  screen = document.createElement("video");
  /** @type {any} */
  camera = null;

  /** @param {any} page the participant page with the room */
  constructor(page) {
    this.page = page;
    document.body.append(this.screen);
  }

  get room() {
    return this.page.room;
  }

  /** Joins with a camera and waits for the connection. @param {boolean} published */
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
        throw new Error(`there is no request ${name}`);
    }
  }

  /** Applies an event between two requests. @param {string} event */
  async apply(event) {
    if (event === "device-opens") this.devices.openNext();
    if (event !== "nothing") await turn(event === "while" ? A_WHILE_MS : 0);
  }

  /** Makes all requests, then settles them. @param {readonly [string, string][]} steps */
  async run(steps) {
    for (const [name, event] of steps) {
      this.request(name);
      await this.apply(event);
    }
    for (let quiet = 0; quiet < 3; quiet += 1) {
      if (this.devices.openNext() || this.outcomes.includes("pending")) quiet = -1;
      await turn(10);
    }
  }

  /**
   * Simulates that the system interrupts or resumes the camera: a real track with a fake property and a fake event, because
   * no page can cause a real interruption.
   * @param {boolean} interrupted
   */
  interrupt(interrupted) {
    const track = this.camera.mediaStreamTrack;
    Object.defineProperty(track, "muted", { configurable: true, get: () => interrupted });
    track.dispatchEvent(new Event(interrupted ? "mute" : "unmute"));
  }

  /** The state of the page. */
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

  /** Whether the remote video is shown. */
  shows() {
    return this.screen.srcObject !== null;
  }

  /** Leaves, and opens the devices that are still pending. */
  async end() {
    await this.room.leave();
    for (let quiet = 0; quiet < 3; quiet += 1) {
      if (this.devices.openNext()) quiet = -1;
      await turn(10);
    }
    // A track that `unpublish(track, { stop: false })` kept belongs to the page.
    const kept = this.camera.stopped ? [] : [this.camera.mediaStreamTrack];
    const left = [...this.devices.opened.keys()].filter((track) => track.readyState === "live" && !kept.includes(track));
    for (const track of kept) track.stop();
    return { left: left.length, stopped: this.camera.stopped };
  }
}
