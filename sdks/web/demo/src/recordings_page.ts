/** The recordings of one room, newest first, which the page keeps up to date. */
import type { Recording, Recordings } from "@nexus-rtc/web";
import { h } from "./element.js";
import { RecordingCard } from "./recording_card.js";
import { recordingErrorText } from "./texts.js";

const REFRESH_MS = 3_000;

export class RecordingsPage {
  readonly root: HTMLElement;
  readonly #recordings: Recordings;
  readonly #cards = new Map<string, RecordingCard>();
  readonly #list = h("div", { class: "list" });
  readonly #note = h("p", { class: "quiet", role: "status" }, "Loading …");
  readonly #more: HTMLButtonElement;
  /** Number of pages that are shown. */
  #pages = 1;
  #loading = false;

  constructor(room: string, recordings: Recordings) {
    this.#recordings = recordings;
    this.#more = h("button", { type: "button", hidden: true, click: () => this.#showMore() }, "Show older ones");
    const call = h("a", { href: `/?${new URLSearchParams({ room }).toString()}` }, "Join the call");
    this.root = h("main", { class: "recordings" }, h("header", {}, h("h1", {}, `Recordings of ${room}`), call), this.#note, this.#list, this.#more);
  }

  /** Loads the list now and every few seconds while the page is visible. */
  start(): void {
    void this.#refresh();
    setInterval(() => {
      if (document.visibilityState === "visible") void this.#refresh();
    }, REFRESH_MS);
  }

  #showMore(): void {
    this.#pages += 1;
    void this.#refresh();
  }

  async #refresh(): Promise<void> {
    if (this.#loading) return;
    this.#loading = true;
    try {
      const found: Recording[] = [];
      let pageToken = "";
      for (let page = 0; page < this.#pages; page += 1) {
        const { recordings, nextPageToken } = await this.#recordings.list({ pageToken });
        found.push(...recordings);
        pageToken = nextPageToken;
        if (pageToken === "") break;
      }
      this.#show(found.filter(({ state }) => state !== "deleted"));
      this.#more.hidden = pageToken === "";
    } catch (error) {
      this.#note.textContent = recordingErrorText(error);
    } finally {
      this.#loading = false;
    }
  }

  #show(found: readonly Recording[]): void {
    this.#note.textContent = found.length === 0 ? "This room has no recordings yet. A call has a button to start one." : "";
    const ids = new Set(found.map(({ id }) => id));
    for (const [id, card] of this.#cards) {
      if (ids.has(id)) continue;
      card.root.remove();
      this.#cards.delete(id);
    }
    found.forEach((recording, index) => {
      const known = this.#cards.get(recording.id);
      if (known !== undefined) return known.update(recording);
      const card = new RecordingCard(this.#recordings, recording, () => void this.#refresh());
      this.#cards.set(recording.id, card);
      // Cards are never moved, because a video that is moved in the document stops.
      this.#list.insertBefore(card.root, this.#list.children[index] ?? null);
    });
  }
}
