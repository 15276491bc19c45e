/** Chat over data channels: messages to all participants or to one. */
import type { DataInfo, Room } from "@nexus-rtc/web";
import { h } from "./element.js";

const TOPIC = "chat";
/** Maximum number of messages in the list; older ones are removed. */
const MAX_MESSAGES = 500;
const MAX_CHARACTERS = 4_000;

export class ChatPanel {
  readonly root: HTMLElement;
  readonly #room: Room;
  readonly #onUnread: (count: number) => void;
  readonly #onError: (error: unknown) => void;
  readonly #empty = h("p", { class: "empty" }, "Messages are not stored: participants who join later do not see them.");
  readonly #log = h("div", { class: "messages", role: "log", "aria-label": "Messages", tabindex: "0" }, this.#empty);
  readonly #to = h("select", { "aria-label": "To" });
  readonly #input = h("input", { type: "text", maxlength: String(MAX_CHARACTERS), autocomplete: "off", placeholder: "Message", "aria-label": "Message" });
  #unread = 0;

  constructor(room: Room, onClose: () => void, onUnread: (count: number) => void, onError: (error: unknown) => void) {
    this.#room = room;
    this.#onUnread = onUnread;
    this.#onError = onError;
    const form = h(
      "form",
      { submit: (event) => this.#submit(event) },
      h("label", { class: "to" }, h("span", {}, "To"), this.#to),
      h("div", { class: "line" }, this.#input, h("button", { type: "submit", class: "primary" }, "Send")),
    );
    const close = h("button", { type: "button", class: "plain", click: onClose }, "Close");
    this.root = h("section", { class: "chat", "aria-label": "Chat", hidden: true }, h("header", {}, h("h2", {}, "Chat"), close), this.#log, form);
    this.root.addEventListener("keydown", (event) => event.key === "Escape" && onClose());
    if (!room.grants.data) {
      this.#input.disabled = true;
      this.#input.placeholder = "Your token does not allow sending messages";
    }
    room.on("data", (payload, info) => this.#receive(payload, info));
    for (const event of ["participant-joined", "participant-left", "participant-updated"] as const) room.on(event, () => this.#listParticipants());
    this.#listParticipants();
  }

  get open(): boolean {
    return !this.root.hidden;
  }

  toggle(): void {
    this.root.hidden = !this.root.hidden;
    if (!this.open) return;
    this.#setUnread(0);
    this.#log.scrollTop = this.#log.scrollHeight;
    this.#input.focus();
  }

  #receive(payload: Uint8Array | string, { participant, topic, fromServer, directed }: DataInfo): void {
    if (topic !== TOPIC || typeof payload !== "string") return;
    const who = fromServer ? "Server" : (participant?.name ?? "Unknown");
    this.#add(who, directed ? "to you" : "", payload, false);
    if (!this.open) this.#setUnread(this.#unread + 1);
  }

  #submit(event: Event): void {
    event.preventDefault();
    const text = this.#input.value.trim();
    if (text !== "") void this.#send(text);
  }

  async #send(text: string): Promise<void> {
    const to = this.#to.value;
    const name = this.#to.selectedOptions[0]?.textContent ?? "";
    this.#input.value = "";
    try {
      await this.#room.publishData(text, to === "" ? { topic: TOPIC } : { topic: TOPIC, to });
      this.#add("You", to === "" ? "" : `to ${name}`, text, true);
    } catch (error) {
      this.#input.value = text;
      this.#onError(error);
    }
  }

  #add(who: string, note: string, text: string, own: boolean): void {
    this.#empty.remove();
    const atEnd = this.#log.scrollHeight - this.#log.scrollTop - this.#log.clientHeight < 40;
    const time = new Date().toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
    const head = h("p", { class: "head" }, h("strong", {}, who), note === "" ? null : h("em", {}, note), h("time", {}, time));
    this.#log.append(h("article", own ? { class: "own" } : {}, head, h("p", { class: "text" }, text)));
    while (this.#log.childElementCount > MAX_MESSAGES) this.#log.firstElementChild?.remove();
    if (atEnd || own) this.#log.scrollTop = this.#log.scrollHeight;
  }

  #listParticipants(): void {
    const chosen = this.#to.value;
    const options = [...this.#room.participants.values()].map(({ identity, name }) => h("option", { value: identity }, name));
    this.#to.replaceChildren(h("option", { value: "" }, "All participants"), ...options);
    this.#to.value = chosen;
    if (this.#to.selectedIndex < 0) this.#to.value = "";
  }

  #setUnread(count: number): void {
    this.#unread = count;
    this.#onUnread(count);
  }
}
