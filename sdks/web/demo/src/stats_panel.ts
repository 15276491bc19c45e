/** The statistics: one row for each track, updated every second while the panel is open. */
import type { LocalTrack, RoomStats, TrackStats } from "@nexus-rtc/web";
import { h } from "./element.js";

const HEADINGS = ["Participant", "Track", "Codec", "Video", "Layers", "Rate", "Loss", "Jitter", "Quality"];

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
      h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Statistics of each track" },
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
    const uplink = stats.uplinkEstimateBps === 0 ? "–" : kbits(stats.uplinkEstimateBps);
    this.#summary.textContent = `Round trip: media ${Math.round(stats.rttMs)} ms, signaling ${signaling}. Uplink estimate: ${uplink}`;
    this.#rows.replaceChildren(...stats.tracks.map((one) => row(one, nameOf(one))));
  }
}

function row(stats: TrackStats, name: string): HTMLTableRowElement {
  const { track, codec, width, height, framesPerSecond, bitrateBps, lossRatio, jitterMs, quality } = stats;
  const video = stats.kind === "video" ? `${width}×${height} · ${Math.round(framesPerSecond)}/s` : "–";
  const cells = [
    `${sourceOf(track.source)} ${stats.direction === "sent" ? "↑" : "↓"}`,
    codec,
    video,
    layersOf(stats),
    kbits(bitrateBps),
    `${(lossRatio * 100).toFixed(1)} %`,
    `${Math.round(jitterMs)} ms`,
    quality === null ? "–" : `${quality.score.toFixed(1)} ${quality.level}`,
  ];
  return h("tr", {}, h("th", { scope: "row" }, name), ...cells.map((text) => h("td", {}, text)));
}

/** Each encoding of a sent track with its bit rate, or the layer of a received track. */
function layersOf({ track, encodings, width }: TrackStats): string {
  const shown = encodings.map(({ rid, scalabilityMode, active, height, bitrateBps }) => {
    const name = rid || scalabilityMode || "one";
    return active ? `${name} ${height}p ${kbits(bitrateBps)}` : `${name} off`;
  });
  if (shown.length > 0) return shown.join(", ");
  if (!("layers" in track) || track.layers.length === 0) return "–";
  if (track.paused) return "paused";
  const fitting = track.layers.filter((layer) => layer.width <= width).length;
  return `${Math.max(1, fitting)} of ${track.layers.length}`;
}

const kbits = (bps: number): string => `${Math.round(bps / 1000)} kbit/s`;

const sourceOf = (source: LocalTrack["source"]): string => (source === "screen-audio" ? "screen audio" : source);
