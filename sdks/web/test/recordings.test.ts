/** Recordings over HTTP: what is sent, what is read, and how a failure is reported. */
import { describe, expect, it } from "vitest";
import type { Recordings } from "../src/index.js";
import { token, world } from "./fixtures.js";

interface Sent {
  readonly url: string;
  readonly method: string | undefined;
  readonly body: unknown;
  readonly authorization: string | undefined;
}

/** Recordings of a client whose requests get this answer, and the requests that it has sent. */
function answered(answer: unknown, status = 200): { readonly recordings: Recordings; readonly sent: Sent[] } {
  const { platform, client } = world();
  const sent: Sent[] = [];
  platform.answerRequest = (url, { method, body, headers }) => {
    const { authorization } = headers as Record<string, string>;
    sent.push({ url, method, body: typeof body === "string" ? JSON.parse(body) : body, authorization });
    const text = typeof answer === "string" ? answer : JSON.stringify(answer);
    return Promise.resolve(new Response(text, { status }));
  };
  return { recordings: client.recordings, sent };
}

const URL = "https://app.example/v1/recordings";

describe("a request", () => {
  it("starts a recording with the canonical JSON of its specification", async () => {
    const { recordings, sent } = answered({ recording: { id: "RC_1", state: "RECORDING_STATE_QUEUED" } });
    const include = [{ identity: "a*", sources: ["screen-audio", "camera"] }] as const;
    const recording = await recordings.start({ participants: true, durability: "store", selection: { include }, requestId: "once" });
    expect([recording.id, recording.state]).toEqual(["RC_1", "queued"]);
    expect(sent).toEqual([
      {
        url: URL,
        method: "POST",
        authorization: `Bearer ${token()}`,
        body: {
          requestId: "once",
          spec: {
            participants: true,
            durability: "DURABILITY_STORE",
            selection: { include: [{ identity: "a*", sources: ["TRACK_SOURCE_SCREEN_AUDIO", "TRACK_SOURCE_CAMERA"] }], exclude: [] },
          },
        },
      },
    ]);
  });

  it.each([
    ["stop", "POST", "/RC%2F1/stop", (all: Recordings) => all.stop("RC/1"), null],
    ["pause", "POST", "/RC_1/pause", (all: Recordings) => all.pause("RC_1"), null],
    ["resume", "POST", "/RC_1/resume", (all: Recordings) => all.resume("RC_1"), null],
    ["addMarker", "POST", "/RC_1/markers", (all: Recordings) => all.addMarker("RC_1", "Q1"), { name: "Q1", atMs: 0 }],
    ["update", "PATCH", "/RC_1", (all: Recordings) => all.update("RC_1", { hold: true }), { hold: true }],
    ["get", "GET", "/RC_1", (all: Recordings) => all.get("RC_1"), null],
    ["delete", "DELETE", "/RC_1", (all: Recordings) => all.delete("RC_1"), null],
    ["list", "GET", "?from_ms=5&page_size=10", (all: Recordings) => all.list({ fromMs: 5, pageSize: 10 }), null],
    ["playback", "GET", "/RC_1/playback?download=true", (all: Recordings) => all.playback("RC_1", { download: true }), null],
  ] as const)("%s is %s %s", async (_name, method, path, call, body) => {
    const { recordings, sent } = answered({});
    await call(recordings);
    expect(sent.map((one) => [one.method, one.url, one.body])).toEqual([[method, URL + path, body]]);
  });

  it("goes to the server in the token, whatever path the session has", async () => {
    const one = world({ client: { token: token({ url: "wss://rtc.example/nexus/v1/rtc" }) } });
    let asked = "";
    one.platform.answerRequest = (url) => Promise.resolve(new Response("{}", { status: (asked = url) === "" ? 500 : 200 }));
    await one.client.recordings.list();
    expect(asked).toBe("https://rtc.example/nexus/v1/recordings");
  });

  it("can be sent from a room, too", async () => {
    const one = world();
    const room = await one.join();
    one.platform.answerRequest = () => Promise.resolve(new Response('{"recording":{"id":"RC_9"}}'));
    expect((await room.recordings.start()).id).toBe("RC_9");
  });
});

describe("an answer", () => {
  it("is read with numbers, sources and errors, and with defaults for what is missing", async () => {
    const file = { key: "a.webm", bytes: "5000000000", sources: ["TRACK_SOURCE_CAMERA", "TRACK_SOURCE_NEW"], durationMs: "1500" };
    const failed = { id: "RC_1", state: "RECORDING_STATE_FAILED", createdAtMs: "1790000000000", files: [file], error: { code: "NO_CAPACITY" } };
    const degraded = { id: "RC_2", state: "NEW", degraded: { error: { code: "STORAGE_REFUSED", details: { code: "SlowDown" } } } };
    const { recordings } = answered({ recordings: [failed, degraded], nextPageToken: "next" });
    const { recordings: [first, second], nextPageToken } = await recordings.list();
    expect(nextPageToken).toBe("next");
    expect(first).toMatchObject({ state: "failed", createdAtMs: 1_790_000_000_000, endedAtMs: 0, degraded: null, hold: false });
    expect(first?.error?.code).toBe("NO_CAPACITY");
    expect(first?.files[0]).toMatchObject({ bytes: 5_000_000_000, sources: ["camera", "unknown"], durationMs: 1500, identity: "" });
    expect([second?.state, second?.degraded?.code, second?.degraded?.details]).toEqual(["unknown", "STORAGE_REFUSED", { code: "SlowDown" }]);
  });

  it("has the links of the files", async () => {
    const { recordings } = answered({ links: [{ file: { key: "a.webm" }, url: "https://store/a" }], manifestUrl: "https://store/m" });
    const { links, manifestUrl } = await recordings.playback("RC_1");
    expect([links[0]?.file.key, links[0]?.url, manifestUrl]).toEqual(["a.webm", "https://store/a", "https://store/m"]);
  });
});

describe("a failure", () => {
  it("is the error that the server sent", async () => {
    const { recordings } = answered({ code: "PERMISSION_DENIED", message: "No.", details: { grant: "record" }, retryAfterMs: 5 }, 403);
    await expect(recordings.start()).rejects.toMatchObject({ code: "PERMISSION_DENIED", message: "No.", details: { grant: "record" }, retryAfterMs: 5 });
  });

  it("of a proxy has its status", async () => {
    await expect(answered("<html>", 502).recordings.get("RC_1")).rejects.toMatchObject({ code: "UNKNOWN", message: expect.stringContaining("502") as string });
  });

  it("is CONNECTION_FAILED without an answer, and for an answer that is not JSON", async () => {
    await expect(world().client.recordings.get("RC_1")).rejects.toMatchObject({ code: "CONNECTION_FAILED" });
    await expect(answered("<html>").recordings.get("RC_1")).rejects.toMatchObject({ code: "CONNECTION_FAILED" });
  });

  it("is TIMEOUT when the answer takes too long, and leaves no timer", async () => {
    const { platform, client } = world();
    platform.answerRequest = (_url, { signal }) =>
      new Promise((_resolve, reject) => signal?.addEventListener("abort", () => reject(new Error("aborted"))));
    const result = expect(client.recordings.get("RC_1")).rejects.toMatchObject({ code: "TIMEOUT" });
    await platform.advance(15_000);
    await result;
    expect(platform.timers).toBe(0);
  });

  it("is INVALID_ARGUMENT for an empty id", async () => {
    await expect(answered({}).recordings.delete("")).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  });
});
