/** A room with a server that answers according to the contracts. */
import { NexusClient, type JoinOptions, type NexusClientOptions, type Room } from "../src/index.js";
import { FakePlatform, type ServerBody } from "../src/testing.js";
import { readMids } from "../src/core/sdp.js";
import { TrackKind, TrackSource } from "../src/wire/schema.gen.js";

export const APP = "devkey";
export const ROOM = "lobby";

export function token(claims: Readonly<Record<string, unknown>> = {}): string {
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  return `${part({ alg: "HS256" })}.${part({ iss: APP, sub: "ada", room: ROOM, ...claims })}.c2lnbmF0dXJl`;
}

export const track = (id: string, number: number, owner: string, more: object = {}): object => ({
  id,
  number,
  participantId: owner,
  kind: TrackKind.VIDEO,
  source: TrackSource.CAMERA,
  ...more,
});

export const microphone = (id: string, number: number, owner: string): object =>
  track(id, number, owner, { kind: TrackKind.AUDIO, source: TrackSource.MICROPHONE });

export const participantOf = (id: string, identity: string, tracks: readonly object[] = []): object => ({
  id,
  identity,
  name: identity.toUpperCase(),
  tracks,
});

/** The slot table for the receive-only sections of an offer; `bound` by mid. */
export function slotTable(sdp: string, revision: number, bound: Readonly<Record<string, string>> = {}): object {
  const mids = readMids(sdp);
  const sections = sdp.split(/^m=/m).slice(1);
  const slots: object[] = [];
  let pair = 0;
  sections.forEach((section, index) => {
    if (!section.includes("a=recvonly")) return;
    const mid = mids[index] ?? "";
    const video = section.startsWith("video");
    const paired = video || (sections[index + 1]?.startsWith("video") ?? false);
    const kind = video ? TrackKind.VIDEO : TrackKind.AUDIO;
    slots.push({ mid, kind, pair: paired ? pair : -1, ssrc: 1000 + index, trackId: bound[mid] ?? "" });
    if (video) pair += 1;
  });
  return { revision, slots };
}

export interface World {
  readonly platform: FakePlatform;
  readonly client: NexusClient;
  join(options?: JoinOptions): Promise<Room>;
}

export interface WorldOptions {
  readonly others?: readonly object[];
  readonly bound?: Readonly<Record<string, string>>;
  readonly grants?: object;
  /** Additional fields of the join's response. */
  readonly joined?: object;
  readonly client?: Partial<NexusClientOptions>;
}

const GRANTS = { publish: true, subscribe: true, data: true };

export function world({ others = [], bound = {}, grants = GRANTS, joined = {}, client: options = {} }: WorldOptions = {}): World {
  const platform = new FakePlatform();
  let tableRevision = 1;
  const ownTracks = (publications: unknown): object[] =>
    (publications as { mid: string; muted: boolean; preferredCodec: number }[]).map((one, index) =>
      track(`TR_own${one.mid}`, 100 + index, "PA_ada", { mid: one.mid, muted: one.muted, codec: one.preferredCodec }),
    );
  const joinAnswer = ({ sdp, publications }: Record<string, unknown>): ServerBody => ({
    case: "join",
    value: {
      room: { id: "RM_1", name: ROOM },
      participant: participantOf("PA_ada", "ada", ownTracks(publications)),
      participants: others,
      sdp: "v=0\r\nanswer",
      slots: slotTable(sdp as string, tableRevision, bound),
      iceServers: [{ urls: ["turn:127.0.0.1:3478"], username: "u", credential: "c" }],
      grants,
      revision: 5n,
      pingIntervalMs: 5_000,
      ...joined,
    },
  });
  platform.server
    .on("join", ({ value }) => joinAnswer(value))
    .on("offer", ({ value }) => {
      const slots = slotTable(value["sdp"] as string, (tableRevision += 1));
      return { case: "offer", value: { sdp: "v=0\r\nanswer", slots, tracks: ownTracks(value["publications"]) } };
    })
    .on("setMuted", () => ({ case: "setMuted", value: {} }))
    .on("ping", ({ value }) => ({ case: "ping", value: { sentAtMs: value["sentAtMs"] } }));
  const client = new NexusClient({ appId: APP, token: token(), platform, ...options });
  return { platform, client, join: (joinOptions) => client.join(ROOM, joinOptions) };
}

/** The error with which a promise rejects; null if it resolves. */
export const failure = async (promise: Promise<unknown>): Promise<unknown> => {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  return null;
};
