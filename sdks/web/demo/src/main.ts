/** The demo: a lobby, then a call, then the lobby again. */
import { NexusClient, type DisconnectReason, type Room } from "@nexus-rtc/web";
import { Call } from "./call.js";
import { Lobby, type Ready } from "./lobby.js";
import { readSettings, rememberName } from "./settings.js";
import { fetchToken } from "./token.js";
import { reasonText } from "./texts.js";

declare global {
  interface Window {
    /** For tests and for debugging. */
    nexusDemo: { client: NexusClient | null; room: Room | null };
  }
}

window.nexusDemo = { client: null, room: null };
const settings = readSettings(location.search);
const app = document.getElementById("app");
if (app === null) throw new Error("the page has no #app");

async function join(ready: Ready): Promise<void> {
  const name = ready.name === "" ? "Guest" : ready.name;
  rememberName(name);
  const { token, appId } = await fetchToken(ready.room, name, settings.record);
  const client = new NexusClient({ appId, token, wireFormat: settings.wireFormat });
  window.nexusDemo.client = client;
  const tracks = [ready.camera, ready.microphone].filter((track) => track !== null);
  const room = await client.join(ready.room, { name, tracks });
  window.nexusDemo.room = room;
  // The URL of the call can be reloaded and shared.
  history.replaceState(null, "", `?${new URLSearchParams({ room: ready.room }).toString()}`);
  document.title = `${ready.room} · Nexus RTC`;
  addEventListener("pagehide", () => void room.leave(), { once: true });
  const call = new Call(room, settings, (reason) => {
    call.close();
    window.nexusDemo.room = null;
    enter(ready.room, name, reason);
  });
  app?.replaceChildren(call.root);
}

function enter(room: string, name: string, ended: DisconnectReason | null): void {
  document.title = "Nexus RTC";
  const lobby = new Lobby({ ...settings, room, name }, join);
  app?.replaceChildren(lobby.root);
  if (ended !== null) lobby.show(reasonText(ended), ended === "client-left");
  void lobby.prepare().then(() => (settings.autojoin && ended === null ? lobby.join() : undefined));
}

enter(settings.room, settings.name, null);
