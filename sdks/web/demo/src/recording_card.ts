/** One recording on the page: its state, its buttons, and its files once they are opened. */
import type { PlaybackLink, Recording, Recordings } from "@nexus-rtc/web";
import { h } from "./element.js";
import { factsText, fileText } from "./recording_texts.js";
import { recordingErrorText } from "./texts.js";

/** Actions of a user on a recording in its state. */
type Act = "pause" | "resume" | "stop" | "files" | "delete";

const LABELS: Readonly<Record<Act, string>> = { pause: "Pause", resume: "Resume", stop: "Stop", files: "Play and download", delete: "Delete" };

function actsOf({ state, files, hold }: Recording): readonly Act[] {
  if (state === "running") return ["pause", "stop"];
  if (state === "paused") return ["resume", "stop"];
  if (state === "queued") return ["stop"];
  if (state !== "completed" && state !== "failed") return [];
  return [...(files.length > 0 ? (["files"] as const) : []), ...(hold ? [] : (["delete"] as const))];
}

export class RecordingCard {
  readonly root: HTMLElement;
  readonly #recordings: Recordings;
  readonly #onChange: () => void;
  readonly #title = h("h2");
  readonly #chip = h("span", { class: "chip" });
  readonly #facts = h("p", { class: "facts" });
  readonly #problem = h("p", { class: "problem", role: "status" });
  readonly #actions = h("div", { class: "actions" });
  readonly #files = h("div", { class: "files", hidden: true });
  #recording: Recording;
  #shown = "";

  constructor(recordings: Recordings, recording: Recording, onChange: () => void) {
    this.#recordings = recordings;
    this.#recording = recording;
    this.#onChange = onChange;
    this.root = h("article", { class: "recording" }, h("div", { class: "head" }, this.#title, this.#chip), this.#facts, this.#problem, this.#actions, this.#files);
    this.update(recording);
  }

  /** Shows a newer state. Files that are open, and perhaps play, stay as they are. */
  update(recording: Recording): void {
    this.#recording = recording;
    const { state, degraded, error, createdAtMs, startedAtMs } = recording;
    this.#title.textContent = new Date(startedAtMs || createdAtMs).toLocaleString();
    this.#chip.textContent = state === "running" ? "● running" : state;
    this.#chip.dataset["state"] = state;
    this.#facts.textContent = factsText(recording);
    const problem = error ?? degraded;
    this.#problem.textContent = problem === null ? "" : recordingErrorText(problem);
    const acts = actsOf(recording);
    // Buttons that are the same stay, so that a refresh does not take the focus from one.
    if (acts.join() === this.#shown) return;
    this.#shown = acts.join();
    this.#actions.replaceChildren(...acts.map((act) => this.#button(act)));
  }

  #button(act: Act): HTMLElement {
    const button = h("button", { type: "button", class: act === "delete" ? "danger" : "" }, LABELS[act]);
    button.addEventListener("click", () => {
      button.disabled = true;
      void this.#run(act).finally(() => (button.disabled = false));
    });
    return button;
  }

  async #run(act: Act): Promise<void> {
    const { id } = this.#recording;
    try {
      if (act === "files") await this.#toggleFiles();
      else if (act === "delete") {
        if (!confirm("Delete this recording and all its files?")) return;
        await this.#recordings.delete(id);
        this.#onChange();
      } else this.update(await this.#recordings[act](id));
    } catch (error) {
      this.#problem.textContent = recordingErrorText(error);
    }
  }

  async #toggleFiles(): Promise<void> {
    if (!this.#files.hidden) {
      this.#files.replaceChildren();
      this.#files.hidden = true;
      return;
    }
    const { id } = this.#recording;
    const [playback, downloads] = await Promise.all([this.#recordings.playback(id), this.#recordings.playback(id, { download: true })]);
    const urls = new Map(downloads.links.map(({ file, url }) => [file.key, url]));
    this.#files.replaceChildren(...playback.links.map((link) => fileFigure(link, urls.get(link.file.key) ?? link.url)));
    this.#files.hidden = false;
  }
}

function fileFigure({ file, url }: PlaybackLink, downloadUrl: string): HTMLElement {
  const { contentType, identity, key } = file;
  const label = `${identity}: ${file.sources.join(" and ")}`;
  const attributes = { controls: true, preload: "metadata", src: url, "aria-label": label };
  const player = contentType.startsWith("audio/") ? h("audio", attributes) : h("video", { ...attributes, playsinline: true });
  const name = key.slice(key.lastIndexOf("/") + 1);
  const problem = h("span", { class: "problem", role: "status" });
  player.addEventListener("error", () => (problem.textContent = "This browser cannot play the file, or the link has expired."));
  return h(
    "figure",
    {},
    player,
    h("figcaption", {}, h("strong", {}, identity), h("span", { class: "facts" }, fileText(file)), problem, h("a", { href: downloadUrl, download: name, rel: "noreferrer" }, `Download ${name}`)),
  );
}
