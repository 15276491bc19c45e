/** The overlay with figures: one row a track, brought up to date every second while it is open. */
import type { LocalTrack, RoomStats, TrackStats } from "@nexus-rtc/web";
import { h } from "./element.js";

const HEADINGS = ["Who", "What", "Codec", "Picture", "Rate", "Loss", "Jitter", "Quality"];

export class StatsPanel {
  readonly root: HTMLElement;
  readonly #summary = h("p", { class: "summary" });
  readonly #rows = h("tbody");

  constructor(onClose: () => void) {
    this.root = h(
      "section",
      { class: "stats", "aria-label": "Statistics", hidden: true },
      h("header", {}, h("h2", {}, "Statistics"), h("button", { type: "button", class: "plain", click: onClose }, "Close")),
      this.#summary,
      h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Figures of each track" },
        h("table", {}, h("thead", {}, h("tr", {}, ...HEADINGS.map((text) => h("th", { scope: "col" }, text)))), this.#rows),
      ),
    );
  }

  get open(): boolean {
    return !this.root.hidden;
  }

  toggle(): boolean {
    this.root.hidden = !this.root.hidden;
    return this.open;
  }

  show(stats: RoomStats, nameOf: (stats: TrackStats) => string): void {
    const signaling = stats.signalingRttMs === null ? "–" : `${Math.round(stats.signalingRttMs)} ms`;
    this.#summary.textContent = `Round trip: media ${Math.round(stats.rttMs)} ms, signaling ${signaling}`;
    this.#rows.replaceChildren(...stats.tracks.map((one) => row(one, nameOf(one))));
  }
}

function row(stats: TrackStats, name: string): HTMLTableRowElement {
  const { track, codec, width, height, framesPerSecond, bitrateBps, lossRatio, jitterMs, quality } = stats;
  const picture = stats.kind === "video" ? `${width}×${height} · ${Math.round(framesPerSecond)}/s` : "–";
  const cells = [
    `${sourceOf(track.source)} ${stats.direction === "sent" ? "↑" : "↓"}`,
    codec,
    picture,
    `${Math.round(bitrateBps / 1000)} kbit/s`,
    `${(lossRatio * 100).toFixed(1)} %`,
    `${Math.round(jitterMs)} ms`,
    `${quality.score.toFixed(1)} ${quality.level}`,
  ];
  return h("tr", {}, h("th", { scope: "row" }, name), ...cells.map((text) => h("td", {}, text)));
}

const sourceOf = (source: LocalTrack["source"]): string => (source === "screen-audio" ? "screen sound" : source);
