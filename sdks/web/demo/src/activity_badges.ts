/** Badges beside the room's name: whether the call is being recorded or transcribed, which everyone in it has to know. */
import { h } from "./element.js";

export class ActivityBadges {
  /** Contains only the badges that apply, so that a screen reader announces each one when it appears. */
  readonly root = h("span", { class: "activity", role: "status", "aria-live": "polite" });
  readonly #recording = h("span", { class: "badge-recording" }, h("span", { "aria-hidden": "true" }, "● "), "Recording");
  readonly #transcribing = h("span", { class: "badge-transcribing" }, h("span", { "aria-hidden": "true" }, "● "), "Transcribing");
  #shown = { recording: false, transcribing: false };

  setRecording(recording: boolean): void {
    this.#show({ ...this.#shown, recording });
  }

  setTranscribing(transcribing: boolean): void {
    this.#show({ ...this.#shown, transcribing });
  }

  #show(shown: { recording: boolean; transcribing: boolean }): void {
    this.#shown = shown;
    this.root.replaceChildren(...(shown.recording ? [this.#recording] : []), ...(shown.transcribing ? [this.#transcribing] : []));
  }
}
