/** The lobby before the call: name, room and a preview. */
import { createCameraVideoTrack, createMicrophoneAudioTrack, type LocalTrack } from "@nexus-rtc/web";
import { h } from "./element.js";
import type { Settings } from "./settings.js";
import { errorText } from "./texts.js";

export interface Ready {
  readonly name: string;
  readonly room: string;
  /** The open track to publish; null if there is none or it was switched off. */
  readonly camera: LocalTrack | null;
  readonly microphone: LocalTrack | null;
}

export class Lobby {
  readonly root: HTMLElement;
  readonly #settings: Settings;
  readonly #onJoin: (ready: Ready) => Promise<void>;
  readonly #name: HTMLInputElement;
  readonly #room: HTMLInputElement;
  readonly #cameraSwitch = h("input", { type: "checkbox", id: "use-camera" });
  readonly #microphoneSwitch = h("input", { type: "checkbox", id: "use-microphone" });
  readonly #video = h("video", { playsinline: true, "aria-label": "Your camera" });
  readonly #hint = h("p", { class: "hint" });
  readonly #alert = h("p", { class: "alert", role: "alert" });
  readonly #submit = h("button", { type: "submit", class: "primary" }, "Join the call");
  #camera: LocalTrack | null = null;
  #microphone: LocalTrack | null = null;
  /** Settles when no device is being opened. */
  #opening: Promise<unknown> = Promise.resolve();

  constructor(settings: Settings, onJoin: (ready: Ready) => Promise<void>) {
    this.#settings = settings;
    this.#onJoin = onJoin;
    this.#name = h("input", { id: "name", name: "name", autocomplete: "name", maxlength: "60", required: true, placeholder: "Ada" });
    this.#room = h("input", { id: "room", name: "room", maxlength: "100", required: true, autocomplete: "off", spellcheck: "false" });
    this.#name.value = settings.name;
    this.#room.value = settings.room;
    this.#cameraSwitch.checked = settings.camera;
    this.#microphoneSwitch.checked = settings.microphone;
    this.#cameraSwitch.addEventListener("change", () => this.#open(() => this.#prepareCamera()));
    this.#microphoneSwitch.addEventListener("change", () => this.#open(() => this.#prepareMicrophone()));
    this.root = this.#build();
  }

  /** Opens the selected devices. A device that does not open is reported and left out. */
  async prepare(): Promise<void> {
    if (this.#name.value === "") this.#name.focus();
    this.#open(() => this.#prepareCamera());
    this.#open(() => this.#prepareMicrophone());
    await this.#opening;
  }

  /** Opens one device after another, so that the browser shows one permission prompt at a time. */
  #open(prepare: () => Promise<void>): void {
    this.#opening = this.#opening.then(prepare);
  }

  async join(): Promise<void> {
    this.#submit.disabled = true;
    this.#submit.textContent = "Joining …";
    this.#alert.textContent = "";
    try {
      // A user who is faster than the devices must not join without video and audio.
      await this.#opening;
      await this.#onJoin({
        name: this.#name.value.trim(),
        room: this.#room.value.trim(),
        camera: this.#camera,
        microphone: this.#microphone,
      });
    } catch (error) {
      this.show(errorText(error));
    } finally {
      this.#submit.disabled = false;
      this.#submit.textContent = "Join the call";
    }
  }

  /** Shows an error, or with `calm` a note. */
  show(text: string, calm = false): void {
    this.#alert.textContent = text;
    this.#alert.classList.toggle("calm", calm);
  }

  #build(): HTMLElement {
    const field = (label: string, input: HTMLInputElement): HTMLElement => h("label", { class: "field", for: input.id }, h("span", {}, label), input);
    const toggle = (label: string, input: HTMLInputElement): HTMLElement => h("label", { class: "toggle", for: input.id }, input, h("span", {}, label));
    const form = h(
      "form",
      {
        submit: (event) => {
          event.preventDefault();
          void this.join();
        },
      },
      h("h1", {}, "Nexus RTC"),
      h("p", { class: "lead" }, "Everyone who joins the same room is in the same call."),
      field("Your name", this.#name),
      field("Room", this.#room),
      h("div", { class: "toggles" }, toggle("Camera", this.#cameraSwitch), toggle("Microphone", this.#microphoneSwitch)),
      this.#submit,
      this.#alert,
    );
    return h("main", { class: "lobby" }, h("div", { class: "preview" }, this.#video, this.#hint), form);
  }

  async #prepareCamera(): Promise<void> {
    if (!this.#cameraSwitch.checked) {
      this.#camera?.stop();
      this.#camera = null;
      this.#hint.textContent = "Your camera is off.";
      return;
    }
    if (this.#camera !== null) return;
    this.#hint.textContent = "Opening your camera …";
    const { codec, resolution } = this.#settings;
    try {
      this.#camera = await createCameraVideoTrack(codec === undefined ? { resolution } : { resolution, codec });
      this.#camera.attach(this.#video);
      this.#hint.textContent = "";
    } catch (error) {
      this.#cameraSwitch.checked = false;
      this.#hint.textContent = `No camera. ${errorText(error)} You can join without one.`;
    }
  }

  async #prepareMicrophone(): Promise<void> {
    if (!this.#microphoneSwitch.checked) {
      this.#microphone?.stop();
      this.#microphone = null;
      return;
    }
    if (this.#microphone !== null) return;
    try {
      this.#microphone = await createMicrophoneAudioTrack();
    } catch (error) {
      this.#microphoneSwitch.checked = false;
      this.show(`No microphone. ${errorText(error)} You can join without one.`);
    }
  }
}
