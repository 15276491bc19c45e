/** One picture in the grid: somebody's camera, or a screen. */
import type { Quality } from "@nexus-rtc/web";
import { h, icon } from "./element.js";

export interface Picture {
  attach(element: HTMLMediaElement): void;
  detach(element?: HTMLMediaElement): void;
}

export interface TileOptions {
  readonly key: string;
  readonly name: string;
  readonly own: boolean;
  readonly screen: boolean;
}

const QUALITY_WORDS = { good: "Good connection", ok: "Fair connection", poor: "Poor connection" } as const;

export class Tile {
  readonly root: HTMLElement;
  readonly #video = h("video", { playsinline: true, tabindex: "-1", "aria-hidden": "true" });
  readonly #avatar = h("div", { class: "avatar", "aria-hidden": "true" });
  readonly #name = h("span", { class: "name" });
  readonly #microphone = h("span", { class: "mic-state", hidden: true }, icon("mic-off"), h("span", { class: "visually-hidden" }, "microphone off"));
  readonly #badge = h("span", { class: "badge", hidden: true, role: "img" }, h("i"), h("i"), h("i"));
  readonly #options: TileOptions;
  #picture: Picture | null = null;

  constructor(options: TileOptions) {
    this.#options = options;
    this.root = h(
      "article",
      { class: `tile${options.own ? " own" : ""}${options.screen ? " screen" : ""}`, "data-key": options.key },
      this.#avatar,
      this.#video,
      h("div", { class: "caption" }, this.#microphone, this.#name),
      this.#badge,
    );
    this.#video.muted = true;
    this.setName(options.name);
    this.setPicture(null);
  }

  get key(): string {
    return this.#options.key;
  }

  get isScreen(): boolean {
    return this.#options.screen;
  }

  setName(name: string): void {
    const shown = this.#options.screen ? `${name} · screen` : this.#options.own ? `${name} (you)` : name;
    this.#name.textContent = shown;
    this.root.setAttribute("aria-label", shown);
    this.#avatar.textContent = initials(name);
    this.#avatar.style.setProperty("--hue", String(hue(name)));
  }

  /** Shows a track, or the person's initials. */
  setPicture(picture: Picture | null): void {
    if (picture === this.#picture) return;
    this.#picture?.detach(this.#video);
    this.#picture = picture;
    picture?.attach(this.#video);
    this.root.classList.toggle("has-picture", picture !== null);
  }

  setMicrophone(state: "on" | "off"): void {
    this.#microphone.hidden = state === "on";
  }

  setSpeaking(speaking: boolean): void {
    this.root.classList.toggle("speaking", speaking);
  }

  setQuality(quality: Quality | null): void {
    this.#badge.hidden = quality === null;
    if (quality === null) return;
    this.#badge.dataset["level"] = quality.level;
    this.#badge.setAttribute("aria-label", QUALITY_WORDS[quality.level]);
    this.#badge.title = `${QUALITY_WORDS[quality.level]} (${quality.score.toFixed(1)} of 5)`;
  }

  remove(): void {
    this.setPicture(null);
    this.root.remove();
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
