/** The settings in the page's URL. Tests use parameters that users do not. */
import type { Resolution, VideoCodec, WireFormat } from "@nexus-rtc/web";

export interface Settings {
  readonly room: string;
  readonly name: string;
  readonly autojoin: boolean;
  readonly camera: boolean;
  readonly microphone: boolean;
  /** Whether to ask for the grant `record`. */
  readonly record: boolean;
  readonly codec: VideoCodec | undefined;
  readonly resolution: Resolution;
  readonly wireFormat: WireFormat;
}

const CODECS: readonly VideoCodec[] = ["vp8", "vp9", "h264", "av1"];
const RESOLUTIONS: readonly Resolution[] = ["180p", "360p", "540p", "720p", "1080p"];
const NAME_KEY = "nexus-demo-name";

/** `?room=&name=&autojoin=1&camera=0&mic=0&record=0&codec=vp8&resolution=360p&format=json` */
export function readSettings(search: string): Settings {
  const query = new URLSearchParams(search);
  return {
    room: query.get("room") ?? inventRoom(),
    name: query.get("name") ?? localStorage.getItem(NAME_KEY) ?? "",
    autojoin: query.get("autojoin") === "1",
    camera: query.get("camera") !== "0",
    microphone: query.get("mic") !== "0",
    record: query.get("record") !== "0",
    codec: CODECS.find((codec) => codec === query.get("codec")),
    resolution: RESOLUTIONS.find((one) => one === query.get("resolution")) ?? "720p",
    wireFormat: query.get("format") === "json" ? "json" : "binary",
  };
}

export const rememberName = (name: string): void => localStorage.setItem(NAME_KEY, name);

export function inviteLink(room: string): string {
  const url = new URL(location.href);
  url.search = new URLSearchParams({ room }).toString();
  url.hash = "";
  return url.href;
}

const FIRST = ["amber", "bright", "calm", "clear", "early", "gentle", "green", "quiet", "silver", "sunny"];
const SECOND = ["bay", "brook", "field", "grove", "harbour", "hill", "lake", "meadow", "river", "valley"];

function inventRoom(): string {
  const [a = 0, b = 0, c = 0] = crypto.getRandomValues(new Uint32Array(3));
  return `${FIRST[a % FIRST.length] ?? ""}-${SECOND[b % SECOND.length] ?? ""}-${(c % 900) + 100}`;
}

/** The page with the recordings of a room. */
export function recordingsLink(room: string): string {
  return `${location.origin}/recordings?${new URLSearchParams({ room }).toString()}`;
}
