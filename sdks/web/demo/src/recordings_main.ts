/** The page `/recordings?room=…`: asks for a room, then shows its recordings. */
import { NexusClient } from "@nexus-rtc/web";
import { h } from "./element.js";
import { RecordingsPage } from "./recordings_page.js";
import { errorText } from "./texts.js";
import { fetchToken } from "./token.js";

const app = document.getElementById("app");
if (app === null) throw new Error("the page has no #app");

async function show(room: string): Promise<HTMLElement> {
  document.title = `Recordings of ${room} · Nexus RTC`;
  const { token, appId } = await fetchToken(room, "recordings", true);
  const page = new RecordingsPage(room, new NexusClient({ appId, token }).recordings);
  page.start();
  return page.root;
}

/** A form that loads this page again with the room. */
function roomForm(): HTMLElement {
  const room = h("input", { id: "room", name: "room", maxlength: "100", required: true, autocomplete: "off", spellcheck: "false" });
  const field = h("label", { class: "field", for: "room" }, h("span", {}, "Room"), room);
  return h("main", { class: "recordings" }, h("h1", {}, "Recordings"), h("form", {}, field, h("button", { type: "submit", class: "primary" }, "Show its recordings")));
}

const room = new URLSearchParams(location.search).get("room") ?? "";
if (room === "") app.replaceChildren(roomForm());
else {
  try {
    app.replaceChildren(await show(room));
  } catch (error) {
    app.replaceChildren(h("main", { class: "recordings" }, h("h1", {}, "Recordings"), h("p", { class: "alert", role: "alert" }, errorText(error))));
  }
}
