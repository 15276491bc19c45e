/**
 * The participants of the room, the tracks that they publish, and the room's activity: kept up to date by events and
 * corrected by snapshots.
 * Each change returns the new roster and the notices for listeners.
 */
import type {
  ConnectionQuality,
  DisconnectReason,
  ParticipantDescription,
  ParticipantId,
  RoomActivity,
  Speaker,
  TrackDescription,
  TrackId,
} from "./model.js";
import type { RoomEvent, WireActiveSpeakers } from "../wire/messages.js";
import { readActivity, readParticipant, readQuality, readReason, readTrack } from "./vocabulary.js";

/** The active speakers; the list has a revision of its own. */
interface Speaking {
  readonly revision: bigint;
  /** Loudest first. */
  readonly speakers: readonly Speaker[];
}

export interface Roster {
  readonly revision: bigint;
  readonly speaking: Speaking;
  readonly activity: RoomActivity;
  readonly own: ParticipantDescription | null;
  readonly others: ReadonlyMap<ParticipantId, ParticipantDescription>;
}

export type RosterNotice =
  | { readonly type: "participant-joined"; readonly participant: ParticipantDescription }
  | { readonly type: "participant-left"; readonly id: ParticipantId; readonly reason: DisconnectReason }
  | { readonly type: "participant-updated"; readonly participant: ParticipantDescription }
  | { readonly type: "track-published"; readonly track: TrackDescription }
  | { readonly type: "track-unpublished"; readonly track: TrackDescription }
  | { readonly type: "track-muted"; readonly track: TrackDescription }
  | { readonly type: "track-updated"; readonly track: TrackDescription }
  | { readonly type: "connection-quality"; readonly id: ParticipantId; readonly quality: ConnectionQuality }
  | { readonly type: "active-speakers"; readonly speakers: readonly Speaker[] }
  | { readonly type: "recording-changed"; readonly recording: boolean }
  | { readonly type: "transcribing-changed"; readonly transcribing: boolean };

type Step = readonly [Roster, readonly RosterNotice[]];

/** The room's state in the answer of a join and in a snapshot. */
export interface WholeRoom {
  readonly participants: readonly ParticipantDescription[];
  readonly revision: bigint;
  readonly activity: RoomActivity;
  readonly speakers: WireActiveSpeakers | undefined;
}

export const EMPTY_ROSTER: Roster = {
  revision: 0n,
  speaking: { revision: 0n, speakers: [] },
  activity: { recording: false, transcribing: false },
  own: null,
  others: new Map(),
};

/** The track of this id, remote or local. */
function findTrack(roster: Roster, id: TrackId): TrackDescription | undefined {
  for (const participant of allParticipants(roster)) {
    const track = participant.tracks.find((one) => one.id === id);
    if (track !== undefined) return track;
  }
  return undefined;
}

export function applyRoomEvent(roster: Roster, event: RoomEvent): Step {
  // 0 marks events without state. An event that is not newer than the roster is a repetition.
  if (event.revision !== 0n && event.revision <= roster.revision) return [roster, []];
  const [next, notices] = applyBody(roster, event.event);
  return [event.revision === 0n ? next : { ...next, revision: event.revision }, notices];
}

function applyBody(roster: Roster, body: RoomEvent["event"]): Step {
  switch (body.case) {
    case "participantJoined":
      return body.value.participant === undefined ? [roster, []] : join(roster, readParticipant(body.value.participant));
    case "participantLeft":
      return leave(roster, body.value.participantId as ParticipantId, readReason(body.value.reason));
    case "participantUpdated":
      return body.value.participant === undefined ? [roster, []] : update(roster, readParticipant(body.value.participant));
    case "trackPublished":
      return body.value.track === undefined ? [roster, []] : publish(roster, readTrack(body.value.track));
    case "trackUnpublished":
      return unpublish(roster, body.value.trackId as TrackId);
    case "trackMuted":
      return mute(roster, body.value.trackId as TrackId, body.value.muted);
    case "trackUpdated":
      return body.value.track === undefined ? [roster, []] : redescribe(roster, readTrack(body.value.track));
    case "connectionQuality":
      return rate(roster, body.value.participantId as ParticipantId, readQuality(body.value.quality));
    case "activeSpeakers":
      return setSpeakers(roster, body.value);
    case "roomUpdated":
      return body.value.room === undefined ? [roster, []] : setActivity(roster, readActivity(body.value.room));
    default:
      return [roster, []];
  }
}

/** Applies a list of speakers, unless it is older than a snapshot that came before it. Revision 0 counts as new. */
function setSpeakers(roster: Roster, list: WireActiveSpeakers): Step {
  const { revision } = list;
  if (revision !== 0n && revision <= roster.speaking.revision) return [roster, []];
  const speakers = list.speakers.map(readSpeaker);
  return [{ ...roster, speaking: { revision, speakers } }, [{ type: "active-speakers", speakers }]];
}

function setActivity(roster: Roster, activity: RoomActivity): Step {
  const { recording, transcribing } = activity;
  const notices: RosterNotice[] = [];
  if (recording !== roster.activity.recording) notices.push({ type: "recording-changed", recording });
  if (transcribing !== roster.activity.transcribing) notices.push({ type: "transcribing-changed", transcribing });
  return [{ ...roster, activity }, notices];
}

/** Replaces the whole state. Differences become the notices that the missed events would have caused. */
export function applySnapshot(roster: Roster, { participants, revision, activity, speakers }: WholeRoom): Step {
  let step: Step = setActivity(roster, activity);
  const present = new Set(participants.map((participant) => participant.id));
  for (const id of roster.others.keys()) {
    // The reason was in an event that was missed.
    if (!present.has(id)) step = chain(step, (now) => leave(now, id, "signaling-lost"));
  }
  for (const participant of participants) {
    if (participant.id === roster.own?.id) {
      step = chain(step, (now) => rate(now, participant.id, participant.connectionQuality));
      continue;
    }
    const before = roster.others.get(participant.id);
    step = chain(step, (now) => (before === undefined ? join(now, participant) : refresh(now, before, participant)));
  }
  // Revision 0: no participant has spoken yet, or the server does not send speakers.
  if (speakers !== undefined && speakers.revision !== 0n) step = chain(step, (now) => setSpeakers(now, speakers));
  return [{ ...step[0], revision }, step[1]];
}

function refresh(roster: Roster, before: ParticipantDescription, after: ParticipantDescription): Step {
  let step: Step = [roster, []];
  const kept = new Map(after.tracks.map((track) => [track.id, track]));
  for (const track of before.tracks) {
    const now = kept.get(track.id);
    if (now === undefined) step = chain(step, (one) => unpublish(one, track.id));
    else step = chain(chain(step, (one) => mute(one, track.id, now.muted)), (one) => redescribe(one, now));
  }
  const old = new Set(before.tracks.map((track) => track.id));
  for (const track of after.tracks) if (!old.has(track.id)) step = chain(step, (one) => publish(one, track));
  step = chain(step, (one) => rate(one, after.id, after.connectionQuality));
  return sameProfile(before, after) ? step : chain(step, (one) => update(one, after));
}

function join(roster: Roster, participant: ParticipantDescription): Step {
  if (participant.id === roster.own?.id || roster.others.has(participant.id)) return [roster, []];
  return [put(roster, participant), [{ type: "participant-joined", participant }]];
}

function leave(roster: Roster, id: ParticipantId, reason: DisconnectReason): Step {
  const participant = roster.others.get(id);
  if (participant === undefined) return [roster, []];
  const others = new Map(roster.others);
  others.delete(id);
  const tracks = participant.tracks.map((track) => ({ type: "track-unpublished", track }) as const);
  return [{ ...roster, others }, [...tracks, { type: "participant-left", id, reason }]];
}

function update(roster: Roster, participant: ParticipantDescription): Step {
  const before = find(roster, participant.id);
  if (before === undefined) return [roster, []];
  // Tracks have events of their own.
  const after = { ...participant, tracks: before.tracks, connectionQuality: before.connectionQuality };
  return [put(roster, after), [{ type: "participant-updated", participant: after }]];
}

function publish(roster: Roster, track: TrackDescription): Step {
  const owner = find(roster, track.participantId);
  if (owner === undefined || owner.tracks.some((one) => one.id === track.id)) return [roster, []];
  return [put(roster, { ...owner, tracks: [...owner.tracks, track] }), [{ type: "track-published", track }]];
}

function unpublish(roster: Roster, id: TrackId): Step {
  const track = findTrack(roster, id);
  const owner = track && find(roster, track.participantId);
  if (track === undefined || owner === undefined) return [roster, []];
  const tracks = owner.tracks.filter((one) => one.id !== id);
  return [put(roster, { ...owner, tracks }), [{ type: "track-unpublished", track }]];
}

function mute(roster: Roster, id: TrackId, muted: boolean): Step {
  const track = findTrack(roster, id);
  const owner = track && find(roster, track.participantId);
  if (track === undefined || owner === undefined || track.muted === muted) return [roster, []];
  const after = { ...track, muted };
  const tracks = owner.tracks.map((one) => (one.id === id ? after : one));
  return [put(roster, { ...owner, tracks }), [{ type: "track-muted", track: after }]];
}

/** Applies a track's new description. Muting has events of its own, and only local tracks have a mid. */
function redescribe(roster: Roster, described: TrackDescription): Step {
  const before = findTrack(roster, described.id);
  const owner = before && find(roster, before.participantId);
  if (before === undefined || owner === undefined) return [roster, []];
  const after = { ...described, muted: before.muted, mid: before.mid };
  if (JSON.stringify(after) === JSON.stringify(before)) return [roster, []];
  const tracks = owner.tracks.map((one) => (one.id === after.id ? after : one));
  return [put(roster, { ...owner, tracks }), [{ type: "track-updated", track: after }]];
}

function rate(roster: Roster, id: ParticipantId, quality: ConnectionQuality): Step {
  const participant = find(roster, id);
  if (participant === undefined || participant.connectionQuality === quality) return [roster, []];
  return [put(roster, { ...participant, connectionQuality: quality }), [{ type: "connection-quality", id, quality }]];
}

function chain([roster, notices]: Step, change: (roster: Roster) => Step): Step {
  const [next, more] = change(roster);
  return [next, [...notices, ...more]];
}

function put(roster: Roster, participant: ParticipantDescription): Roster {
  if (participant.id === roster.own?.id) return { ...roster, own: participant };
  return { ...roster, others: new Map(roster.others).set(participant.id, participant) };
}

function find(roster: Roster, id: ParticipantId): ParticipantDescription | undefined {
  return roster.own?.id === id ? roster.own : roster.others.get(id);
}

function* allParticipants(roster: Roster): Iterable<ParticipantDescription> {
  if (roster.own !== null) yield roster.own;
  yield* roster.others.values();
}

function sameProfile(a: ParticipantDescription, b: ParticipantDescription): boolean {
  const profile = ({ name, metadata, attributes }: ParticipantDescription): string =>
    JSON.stringify([name, metadata, Object.entries(attributes).sort()]);
  return profile(a) === profile(b);
}

const readSpeaker = (speaker: { participantId: string; trackId: string; levelDbov: number }): Speaker => ({
  participantId: speaker.participantId as ParticipantId,
  trackId: speaker.trackId as TrackId,
  levelDbov: speaker.levelDbov,
});
