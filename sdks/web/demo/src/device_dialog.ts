/** The dialog for choosing camera, microphone and speaker. */
import { NexusClient, type Device, type Room } from "@nexus-rtc/web";
import { h } from "./element.js";

const KINDS = [
  ["camera", "Camera"],
  ["microphone", "Microphone"],
  ["speaker", "Speaker"],
] as const;

export class DeviceDialog {
  readonly root = h("dialog", { class: "devices", "aria-label": "Devices" });
  readonly #room: Room;
  readonly #onError: (error: unknown) => void;

  constructor(room: Room, onError: (error: unknown) => void) {
    this.#room = room;
    this.#onError = onError;
    room.on("devices-changed", (devices) => {
      if (this.root.open) this.#fill(devices);
    });
  }

  async show(): Promise<void> {
    try {
      this.#fill(await NexusClient.devices());
      this.root.showModal();
    } catch (error) {
      this.#onError(error);
    }
  }

  close(): void {
    this.root.close();
  }

  #fill(devices: readonly Device[]): void {
    const fields = KINDS.map(([kind, label]) => this.#field(kind, label, devices.filter((device) => device.kind === kind)));
    this.root.replaceChildren(
      h("h2", {}, "Devices"),
      ...fields,
      h("button", { type: "button", class: "primary", click: () => this.root.close() }, "Done"),
    );
  }

  #field(kind: Device["kind"], label: string, devices: readonly Device[]): HTMLElement {
    const id = `device-${kind}`;
    const select = h("select", { id, change: () => void this.#choose(kind, select.value) });
    if (devices.length === 0) select.append(h("option", {}, "none found"));
    for (const [index, device] of devices.entries()) {
      select.append(h("option", { value: device.id }, device.label === "" ? `${label} ${index + 1}` : device.label));
    }
    select.disabled = devices.length === 0 || (kind !== "speaker" && this.#track(kind) === undefined);
    const current = kind === "speaker" ? undefined : this.#track(kind)?.mediaStreamTrack.getSettings().deviceId;
    if (current !== undefined) select.value = current;
    return h("label", { class: "field", for: id }, h("span", {}, label), select);
  }

  #track(kind: "camera" | "microphone"): ReturnType<Room["localParticipant"]["track"]> {
    return this.#room.localParticipant.track(kind);
  }

  async #choose(kind: Device["kind"], deviceId: string): Promise<void> {
    try {
      if (kind === "speaker") await this.#room.setAudioOutput(deviceId);
      else await this.#track(kind)?.setDevice(deviceId);
    } catch (error) {
      this.#onError(error);
    }
  }
}
