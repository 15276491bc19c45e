/** One tile of the grid: the camera or screen of a participant. */
import type { ConnectionQuality } from "@nexus-rtc/web";
import { h, icon } from "./element.js";

interface Attachable {
  attach(element: HTMLMediaElement): void;
  detach(element?: HTMLMediaElement): void;
}

export interface TileOptions {
  readonly key: string;
  readonly name: string;
  readonly own: boolean;
  readonly screen: boolean;
  /** Null for the local participant, whose video takes no bandwidth. */
  readonly onPin: ((pinned: boolean) => void) | null;
}

const QUALITY_TEXTS = {
  excellent: "Excellent connection",
  good: "Good connection",
  poor: "Poor connection",
  lost: "Connection lost",
} as const;

export class Tile {
  readonly root: HTMLElement;
  readonly #video = h("video", { playsinline: true, tabindex: "-1", "aria-hidden": "true" });
  readonly #avatar = h("div", { class: "avatar", "aria-hidden": "true" });
  readonly #name = h("span", { class: "name" });
  readonly #microphone = h("span", { class: "mic-state", hidden: true }, icon("mic-off"), h("span", { class: "visually-hidden" }, "microphone off"));
  readonly #badge = h("span", { class: "badge", hidden: true, role: "img" }, h("i"), h("i"), h("i"));
  readonly #paused = h("div", { class: "paused", hidden: true, role: "status" });
  readonly #pin: HTMLButtonElement;
  readonly #layers = h("select", { class: "layers", hidden: true, "aria-label": "Video size" });
  readonly #options: TileOptions;
  #track: Attachable | null = null;

  constructor(options: TileOptions) {
    this.#options = options;
    this.#pin = h(
      "button",
      { type: "button", class: "pin", hidden: options.onPin === null, "aria-pressed": "false", click: () => options.onPin?.(!this.pinned) },
      icon("pin"),
    );
    this.root = h(
      "article",
      { class: `tile${options.own ? " own" : ""}${options.screen ? " screen" : ""}`, "data-key": options.key },
      this.#avatar,
      this.#video,
      // Below the caption, so that the participant's name stays visible.
      this.#paused,
      h("div", { class: "caption" }, this.#microphone, this.#name),
      this.#badge,
      h("div", { class: "tile-controls" }, this.#layers, this.#pin),
    );
    this.#video.muted = true;
    this.setName(options.name);
    this.setVideo(null);
  }

  get key(): string {
    return this.#options.key;
  }

  get isScreen(): boolean {
    return this.#options.screen;
  }

  get pinned(): boolean {
    return this.#pin.getAttribute("aria-pressed") === "true";
  }

  setPinned(pinned: boolean): void {
    this.#pin.setAttribute("aria-pressed", String(pinned));
    this.#labelPin();
  }

  /** Shows the tile on the stage: large, with the others beside it. */
  setStaged(staged: boolean): void {
    this.root.classList.toggle("staged", staged);
  }

  /** Shows why the video is paused; empty if it is not. */
  setPaused(why: string): void {
    this.#paused.textContent = why;
    this.#paused.hidden = why === "";
  }

  /** Shows a choice of sizes, or none. The index counts from the lowest; null follows the size of the tile. */
  offerLayers(labels: readonly string[], choose: (chosen: number | null) => void): void {
    this.#layers.hidden = labels.length === 0;
    this.#layers.replaceChildren(
      h("option", { value: "" }, "auto"),
      ...labels.map((label, index) => h("option", { value: String(index) }, label)),
    );
    this.#layers.onchange = () => choose(this.#layers.value === "" ? null : Number(this.#layers.value));
  }

  setName(name: string): void {
    const shown = this.#options.screen ? `${name} · screen` : this.#options.own ? `${name} (you)` : name;
    this.#name.textContent = shown;
    this.root.setAttribute("aria-label", shown);
    this.#labelPin();
    this.#avatar.textContent = initials(name);
    this.#avatar.style.setProperty("--hue", String(hue(name)));
  }

  /** Shows a track, or the participant's initials. */
  setVideo(track: Attachable | null): void {
    if (track === this.#track) return;
    this.#track?.detach(this.#video);
    this.#track = track;
    track?.attach(this.#video);
    this.root.classList.toggle("has-video", track !== null);
  }

  setMicrophone(state: "on" | "off"): void {
    this.#microphone.hidden = state === "on";
  }

  setSpeaking(speaking: boolean): void {
    this.root.classList.toggle("speaking", speaking);
  }

  setQuality(quality: ConnectionQuality): void {
    this.#badge.hidden = quality === "unknown";
    if (quality === "unknown") return;
    this.#badge.dataset["level"] = quality;
    this.#badge.setAttribute("aria-label", QUALITY_TEXTS[quality]);
    this.#badge.title = QUALITY_TEXTS[quality];
  }

  remove(): void {
    this.setVideo(null);
    this.root.remove();
  }

  #labelPin(): void {
    const label = `${this.pinned ? "Unpin" : "Pin"} ${this.#name.textContent}`;
    this.#pin.setAttribute("aria-label", label);
    this.#pin.title = label;
  }
}

function initials(name: string): string {
  const words = name.trim().split(/\s+/).slice(0, 2);
  return words.map((word) => String.fromCodePoint(word.codePointAt(0) ?? 0x3f).toUpperCase()).join("") || "?";
}

function hue(name: string): number {
  let sum = 0;
  for (const char of name) sum = (sum * 31 + (char.codePointAt(0) ?? 0)) % 360;
  return sum;
}
