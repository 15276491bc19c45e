/** Whole calls through the public API, on the fake platform and the real wire format. */
import { describe, expect, it } from "vitest";
import { createCameraVideoTrack, createScreenTracks, NexusClient, NexusError, type LocalTrack, type RemoteParticipant, type RemoteTrack, type Room } from "../src/index.js";
import { FakeElement, FakePlatform, type ServerBody } from "../src/testing.js";
import { APP, failure, microphone, participantOf, ROOM, slotTable, token, track, world, type World } from "./fixtures.js";

const bob = participantOf("PA_bob", "bob", [microphone("TR_bobmic", 1, "PA_bob"), track("TR_bob", 2, "PA_bob")]);

describe("joining", () => {
  it("takes one round trip, which carries the offer", async () => {
    const { platform, join } = world();
    const room = await join();
    expect(platform.server.requests.map(({ name }) => name)).toEqual(["join"]);
    const value = platform.server.requests[0]?.value ?? {};
    expect(value).toMatchObject({ token: token(), room: ROOM, appId: APP, bindExisting: true });
    expect((value["sdp"] as string).match(/^m=.*/gm)?.map((line) => line.slice(2, 7))).toEqual([
      ...["audio", "video", "audio", "video", "audio", "video", "audio", "video"],
      ...["audio", "audio", "audio"],
    ]);
    expect(room.localParticipant.identity).toBe("ada");
    expect(platform.peer.configuration).toMatchObject({ bundlePolicy: "max-bundle", iceServers: [{ username: "u" }] });
  });

  it("publishes open tracks with the join itself", async () => {
    const { platform, join } = world();
    const camera = await createCameraVideoTrack({ codec: "h264" }, platform);
    const room = await join({ tracks: [camera] });
    expect(platform.server.requests).toHaveLength(1);
    expect(platform.server.requests[0]?.value["publications"]).toMatchObject([{ mid: "11", width: 1280 }]);
    expect(camera.id).toBe("TR_own11");
    expect([...room.localParticipant.tracks]).toEqual([camera]);
  });

  it.each([
    [undefined, "wss://app.example/v1/rtc"],
    ["http://127.0.0.1:7880", "ws://127.0.0.1:7880/v1/rtc"],
    ["wss://rtc.example/prefix/", "wss://rtc.example/prefix/v1/rtc"],
  ])("uses the server URL %s", async (serverUrl, expected) => {
    const { platform, join } = world({ client: serverUrl === undefined ? {} : { serverUrl } });
    await join();
    expect(platform.server.url).toBe(expected);
  });

  it("prefers the URL in the token to the page's origin", async () => {
    const { platform, join } = world({ client: { token: token({ url: "https://claimed.example" }) } });
    await join();
    expect(platform.server.url).toBe("wss://claimed.example/v1/rtc");
  });

  it("uses JSON if the option says so", async () => {
    const { platform, join } = world({ client: { wireFormat: "json" }, others: [bob] });
    const room = await join();
    expect(platform.server.subprotocol).toBe("nexus.v1.json");
    expect([...room.participants.values()].map(({ name }) => name)).toEqual(["BOB"]);
  });

  it("rejects a token of another app before it connects", async () => {
    const { platform, join } = world({ client: { appId: "another" } });
    expect(await failure(join())).toMatchObject({ code: "APP_MISMATCH", details: { iss: APP } });
    expect(platform.server.url).toBe("");
  });

  it("rejects with the server's error", async () => {
    const { platform, join } = world();
    platform.server.on("join", () => ({ case: "error", value: { code: 22, message: "expired", fatal: true } }));
    const error = await failure(join());
    expect(error).toBeInstanceOf(NexusError);
    expect(error).toMatchObject({ code: "TOKEN_EXPIRED", message: "expired" });
    expect(platform.peer.closed).toBe(true);
  });

  it("reports a server that cannot be reached", async () => {
    const { platform, join } = world();
    platform.server.unreachable = true;
    expect(await failure(join())).toMatchObject({ code: "CONNECTION_FAILED" });
  });

  it("times out when the server does not answer", async () => {
    const { platform, join } = world();
    platform.server.silent = true;
    const joining = failure(join());
    await platform.settle();
    await platform.advance(15_000);
    expect(await joining).toMatchObject({ code: "TIMEOUT" });
  });

  it("can be aborted", async () => {
    const { platform, join } = world();
    platform.server.silent = true;
    const giveUp = new AbortController();
    const joining = failure(join({ signal: giveUp.signal }));
    await platform.settle();
    giveUp.abort();
    expect(await joining).toMatchObject({ code: "ABORTED" });
    expect(platform.server.closedByClient).toBe(1000);
  });

  it("closes when the browser rejects the answer", async () => {
    const { platform, client } = world();
    const joining = failure(client.join(ROOM));
    platform.peer.refuseAnswer = true;
    expect(await joining).toMatchObject({ code: "NEGOTIATION_FAILED" });
    expect(platform.server.closedByClient).toBe(1000);
  });
});

/** The program of the README, with fake elements. */
function showAll(room: Room, shown: Map<string, FakeElement>): void {
  room.on("participant-joined", (participant) => {
    participant.on("track-published", (one) => {
      const element = new FakeElement();
      one.attach(element.asMediaElement());
      shown.set(one.id, element);
    });
  });
}

describe("participants and tracks", () => {
  it("are reported once and in order, whether they came before the listener or after", async () => {
    const { platform, join } = world({ others: [bob] });
    const room = await join();
    const heard: string[] = [];
    room.on("participant-joined", (participant) => {
      heard.push(participant.identity);
      participant.on("track-published", (one) => heard.push(one.id));
    });
    expect(heard).toEqual([]);
    await platform.settle();
    expect(heard).toEqual(["bob", "TR_bobmic", "TR_bob"]);
    const carol = participantOf("PA_carol", "carol", [track("TR_carol", 3, "PA_carol")]);
    sendEvent(platform, 6n, { case: "participantJoined", value: { participant: carol } });
    await platform.settle();
    sendEvent(platform, 7n, { case: "trackPublished", value: { track: track("TR_share", 4, "PA_carol") } });
    expect(heard).toEqual(["bob", "TR_bobmic", "TR_bob", "carol", "TR_carol", "TR_share"]);
  });

  it("leave with their tracks", async () => {
    const { platform, join } = world({ others: [bob] });
    const room = await join();
    const gone: string[] = [];
    room.on("track-unpublished", (one) => gone.push(one.id));
    room.on("participant-left", (participant, reason) => gone.push(`${participant.identity}:${reason}`));
    sendEvent(platform, 6n, { case: "participantLeft", value: { participantId: "PA_bob", reason: 2 } });
    expect(gone).toEqual(["TR_bobmic", "TR_bob", "bob:replaced"]);
    expect(room.participants.size).toBe(0);
  });

  it("are corrected by a snapshot", async () => {
    const { platform, join } = world({ others: [bob] });
    const room = await join();
    const reported: string[] = [];
    room.on("participant-left", (participant) => reported.push(`-${participant.identity}`));
    room.on("participant-joined", (participant) => reported.push(`+${participant.identity}`));
    await platform.settle();
    const participants = [participantOf("PA_ada", "ada"), participantOf("PA_dan", "dan")];
    platform.server.tell({ case: "snapshot", value: { participants, revision: 9n } });
    expect(reported).toEqual(["+bob", "-bob", "+dan"]);
    sendEvent(platform, 8n, { case: "participantLeft", value: { participantId: "PA_dan" } });
    expect(room.participants.size).toBe(1);
  });

  it("become active speakers", async () => {
    const { platform, join } = world({ others: [bob] });
    const room = await join();
    const heard: string[][] = [];
    room.on("active-speakers", (speakers) => heard.push(speakers.map(({ participant }) => participant.identity)));
    await platform.settle();
    const speaker = (participantId: string): object => ({ participantId, trackId: "", levelDbov: -20 });
    sendEvent(platform, 0n, { case: "activeSpeakers", value: { speakers: [speaker("PA_bob"), speaker("PA_ada")] } });
    expect(room.localParticipant.speaking).toBe(true);
    sendEvent(platform, 0n, { case: "activeSpeakers", value: { speakers: [] } });
    expect(heard).toEqual([["bob", "ada"], []]);
    expect(room.localParticipant.speaking).toBe(false);
  });

  it("are muted", async () => {
    const { platform, join } = world({ others: [bob] });
    const room = await join();
    const reported: [string, boolean][] = [];
    room.on("track-muted", (one, muted) => reported.push([one.id, muted]));
    sendEvent(platform, 6n, { case: "trackMuted", value: { trackId: "TR_bob", participantId: "PA_bob", muted: true } });
    expect(reported).toEqual([["TR_bob", true]]);
  });
});

describe("videos", () => {
  it("are shown from a fresh slot that the join has bound, without a request", async () => {
    const { platform, join } = world({ others: [bob], bound: { "1": "TR_bob" } });
    const shown = new Map<string, FakeElement>();
    showAll(await join(), shown);
    await platform.settle();
    expect(streamTracks(shown.get("TR_bob"))).toEqual(["remote-1"]);
    expect(platform.server.named("updateSlots")).toEqual([]);
  });

  it("are requested when attached, several in one request", async () => {
    const { platform, join } = world({ others: [participantOf("PA_bob", "bob", [track("TR_a", 2, "PA_bob"), track("TR_b", 3, "PA_bob")])] });
    const room = await join();
    showAll(room, new Map());
    await platform.settle();
    expect(platform.server.named("updateSlots").map(({ value }) => value["bindTrackIds"])).toEqual([["TR_a", "TR_b"]]);
  });

  it("are removed from a track whose slot carries another participant's video", async () => {
    const carol = participantOf("PA_carol", "carol", [track("TR_carol", 3, "PA_carol")]);
    const { platform, join } = world({ others: [bob, carol], bound: { "1": "TR_bob" } });
    const shown = new Map<string, FakeElement>();
    const room = await join();
    showAll(room, shown);
    await platform.settle();
    platform.peer.playFrom("1", 2, 10);
    await platform.advance(100);
    const { sdp } = await platform.peer.createOffer();
    // The slot is bound to Carol's track. Bob's video continues until her first keyframe.
    sendEvent(platform, 0n, { case: "slotsChanged", value: { slots: slotTable(sdp ?? "", 2, { "1": "TR_carol" }) } });
    expect(shown.get("TR_bob")?.srcObject).toBeNull();
    await platform.advance(100);
    expect(shown.get("TR_carol")?.srcObject).toBeNull();
    platform.peer.playFrom("1", 3, 20);
    await platform.advance(100);
    expect(streamTracks(shown.get("TR_carol"))).toEqual(["remote-1"]);
    expect(shown.get("TR_bob")?.srcObject).toBeNull();
  });

  it("are not shown from a slot that has carried media since it was last read", async () => {
    const carol = participantOf("PA_carol", "carol", [track("TR_carol", 3, "PA_carol")]);
    const { platform, join } = world({ others: [bob, carol], bound: { "1": "TR_bob" } });
    const shown = new Map<string, FakeElement>();
    showAll(await join(), shown);
    await platform.settle();
    platform.peer.playFrom("1", 2, 10);
    const { sdp } = await platform.peer.createOffer();
    const slots = slotTable(sdp ?? "", 2, { "1": "TR_carol" });
    sendEvent(platform, 0n, { case: "slotsChanged", value: { slots } });
    expect(shown.get("TR_carol")?.history).toEqual([]);
  });

  it("release their slot some time after the last element was detached", async () => {
    const { platform, join } = world({ others: [bob], bound: { "1": "TR_bob" } });
    const room = await join();
    const video = trackOf(room, "PA_bob", "camera");
    const element = new FakeElement().asMediaElement();
    video.attach(element);
    video.detach(element);
    video.attach(element);
    await platform.advance(3_000);
    expect(platform.server.named("updateSlots")).toEqual([]);
    video.detach();
    await platform.advance(1_000);
    expect(platform.server.named("updateSlots")).toEqual([]);
    await platform.advance(1_500);
    expect(platform.server.named("updateSlots").map(({ value }) => value["unbindTrackIds"])).toEqual([["TR_bob"]]);
  });

  it("get more slots by a re-offer when the server needs them", async () => {
    const { platform, join } = world({ others: [bob] });
    await join();
    sendEvent(platform, 0n, { case: "reofferNeeded", value: { pairs: 6, audioSlots: 4 } });
    await platform.settle();
    const [offer] = platform.server.named("offer");
    expect((offer?.value["sdp"] as string).split("m=video")).toHaveLength(7);
    expect((offer?.value["sdp"] as string).split("m=audio")).toHaveLength(11);
  });
});

describe("audio", () => {
  it("is played once, by elements of the SDK, whether attached or not", async () => {
    const { platform, join } = world({ others: [bob] });
    await join();
    expect(platform.audioElements).toHaveLength(7);
    expect(platform.audioElements.every((element) => element.playing && !element.muted)).toBe(true);
  });

  it("follows the CSRC with volume and local muting", async () => {
    const { platform, join } = world({ others: [bob] });
    const room = await join();
    const audio = trackOf(room, "PA_bob", "microphone");
    audio.setVolume(0.5);
    audio.setLocallyMuted(true);
    platform.peer.playFrom("8", 1, 10);
    await platform.advance(100);
    expect(platform.audioElements.map(({ muted }) => muted)).toEqual([false, false, false, false, true, false, false]);
    expect(platform.audioElements[4]?.volume).toBe(0.5);
    platform.peer.playFrom("0", 1, 20);
    await platform.advance(100);
    expect(platform.audioElements.map(({ muted }) => muted)).toEqual([true, false, false, false, false, false, false]);
  });

  it("that the browser blocks is reported and can be started", async () => {
    const { platform, join } = world({ others: [bob] });
    platform.autoplayBlocked = true;
    const room = await join();
    let reported = 0;
    room.on("autoplay-blocked", () => (reported += 1));
    await platform.settle();
    expect([reported, room.audioBlocked]).toEqual([1, true]);
    platform.autoplayBlocked = false;
    await room.startAudio();
    expect(room.audioBlocked).toBe(false);
    expect(platform.audioElements.every(({ playing }) => playing)).toBe(true);
  });
});

describe("publishing", () => {
  const publishCamera = async ({ join }: World): Promise<[Room, LocalTrack]> => {
    const room = await join();
    const camera = await room.createCameraVideoTrack({ resolution: "720p", codec: "h264" });
    await room.publish(camera);
    return [room, camera];
  };

  it("re-offers with the chosen codec first", async () => {
    const one = world();
    const [, camera] = await publishCamera(one);
    const sending = one.platform.peer.transceivers[11];
    expect(sending?.direction).toBe("sendonly");
    expect(sending?.codecPreferences[0]?.mimeType).toBe("video/H264");
    expect(camera.negotiatedCodec).toBe("h264");
  });

  it("falls back when the browser cannot send the codec", async () => {
    const one = world();
    one.platform.sendable = ["VP8", "VP9"];
    const [, camera] = await publishCamera(one);
    expect(camera.codec).toBe("vp8");
  });

  it("chooses H.264 by default only where hardware encodes it", async () => {
    const one = world();
    one.platform.hardware = ["video/H264"];
    const camera = await createCameraVideoTrack({}, one.platform);
    expect(camera.codec).toBe("h264");
  });

  it("publishes several tracks of one turn together", async () => {
    const { platform, join } = world();
    const room = await join();
    const [camera, audio] = [await room.createCameraVideoTrack(), await room.createMicrophoneAudioTrack()];
    await Promise.all([room.publish(camera), room.publish(audio)]);
    const offers = platform.server.named("offer");
    // The first offer may be in flight when the second track is published.
    expect(offers.at(-1)?.value["publications"]).toMatchObject([{ mid: "11" }, { mid: "12" }]);
    expect([camera.id, audio.id]).toEqual(["TR_own11", "TR_own12"]);
  });

  it("ends a publication that the server rejects", async () => {
    const { platform, join } = world();
    const room = await join();
    platform.server.on("offer", () => ({ case: "error", value: { code: 26, message: "no" } }));
    const camera = await room.createCameraVideoTrack();
    expect(await failure(room.publish(camera))).toMatchObject({ code: "PERMISSION_DENIED" });
    await platform.settle();
    expect(platform.peer.signalingState).toBe("stable");
    expect(room.localParticipant.tracks.size).toBe(0);
  });

  it("reuses a section after unpublishing", async () => {
    const one = world();
    const [room, camera] = await publishCamera(one);
    await room.unpublish(camera);
    expect(camera.mediaStreamTrack.readyState).toBe("ended");
    expect(one.platform.server.named("offer").at(-1)?.value["publications"]).toEqual([]);
    const again = await room.createCameraVideoTrack();
    await room.publish(again);
    expect(one.platform.peer.transceivers).toHaveLength(12);
    expect(again.id).toBe("TR_own11");
  });

  it("mutes for all participants, and can release the device", async () => {
    const one = world();
    const [, camera] = await publishCamera(one);
    await camera.setMuted(true, { releaseDevice: true });
    expect(camera.mediaStreamTrack.readyState).toBe("ended");
    await camera.setMuted(false);
    expect(camera.mediaStreamTrack.readyState).toBe("live");
    expect(one.platform.server.named("setMuted").map(({ value }) => value)).toEqual([
      { trackId: "TR_own11", muted: true },
      { trackId: "TR_own11", muted: false },
    ]);
  });

  it("stays muted when the device does not open again", async () => {
    const one = world();
    const [, camera] = await publishCamera(one);
    await camera.setMuted(true, { releaseDevice: true });
    one.platform.deviceAccess.refusal = "NotReadableError";
    expect(await failure(camera.setMuted(false))).toMatchObject({ code: "DEVICE_IN_USE" });
    expect(camera.muted).toBe(true);
    expect(one.platform.server.named("setMuted")).toHaveLength(1);
  });

  it("switches devices without another offer", async () => {
    const one = world();
    const [, camera] = await publishCamera(one);
    await camera.setDevice("second");
    expect(camera.mediaStreamTrack.getSettings().deviceId).toBe("second");
    expect(one.platform.peer.transceivers[11]?.sender.track).toBe(camera.mediaStreamTrack);
    expect(one.platform.server.named("offer")).toHaveLength(1);
  });

  it("ends when the user stops sharing the screen", async () => {
    const { platform, join } = world();
    const room = await join();
    const { video, audio } = await room.createScreenTracks();
    expect([video.source, audio?.source, video.mediaStreamTrack.contentHint]).toEqual(["screen", "screen-audio", "detail"]);
    await room.publish(video);
    platform.deviceAccess.opened[0]?.endFromOutside();
    await platform.settle();
    expect(room.localParticipant.tracks.size).toBe(0);
  });

  it.each([
    ["NotAllowedError", "DEVICE_DENIED"],
    ["NotFoundError", "DEVICE_NOT_FOUND"],
    ["OverconstrainedError", "DEVICE_NOT_FOUND"],
    ["NotReadableError", "DEVICE_IN_USE"],
    ["TimeoutError", "DEVICE_TIMEOUT"],
    ["InvalidStateError", "PAGE_INACTIVE"],
    ["NotSupportedError", "UNSUPPORTED"],
  ])("reports why a device did not open: %s", async (name, code) => {
    const { platform } = world();
    platform.deviceAccess.refusal = name;
    expect(await failure(createCameraVideoTrack({}, platform))).toMatchObject({ code, cause: { name } });
  });

  it("has separate messages for a device that did not start in time and for an inactive page", async () => {
    const { platform } = world();
    const texts: string[] = [];
    for (const name of ["TimeoutError", "InvalidStateError", "NotSupportedError", "NotReadableError"]) {
      platform.deviceAccess.refusal = name;
      const error = await failure(createScreenTracks({}, platform));
      texts.push((error as NexusError).message.replace(" (refused).", "."));
    }
    expect(texts[0]).toBe("The screen could not be opened: it did not start in time.");
    expect(new Set(texts).size).toBe(4);
  });
});

describe("a session ends", () => {
  it("when the page leaves", async () => {
    const { platform, join } = world();
    const room = await join();
    const camera = await room.createCameraVideoTrack();
    await room.publish(camera);
    const reasons: string[] = [];
    room.on("disconnected", (reason) => reasons.push(reason));
    await room.leave();
    expect(platform.server.requests.at(-1)?.name).toBe("leave");
    expect([platform.server.closedByClient, platform.peer.closed, camera.stopped]).toEqual([1000, true, true]);
    expect([reasons, await room.closed, room.connectionState]).toEqual([["client-left"], "client-left", "closed"]);
    expect(await failure(room.publish(await room.createCameraVideoTrack()))).toMatchObject({ code: "CLOSED" });
  });

  it.each([
    [4002, "replaced"],
    [4003, "removed"],
    [4004, "room-closed"],
    [1006, "signaling-lost"],
  ])("with the reason of close code %i", async (code, reason) => {
    const { platform, join } = world();
    const room = await join();
    platform.server.close(code);
    expect(await room.closed).toBe(reason);
  });

  it("with the message `disconnected` of the server", async () => {
    const { platform, join } = world();
    const room = await join();
    platform.server.tell({ case: "disconnected", value: { reason: 3, message: "bye", canRejoin: false } });
    expect(await room.closed).toBe("removed");
  });

  it("when the server is silent, but not while pings are answered", async () => {
    const { platform, join } = world();
    const room = await join();
    await platform.advance(60_000);
    expect(platform.server.named("ping").length).toBeGreaterThanOrEqual(11);
    expect(room.connectionState).not.toBe("closed");
    platform.server.on("ping", () => null);
    await platform.advance(20_000);
    expect(await room.closed).toBe("signaling-lost");
    expect(platform.server.closedByClient).toBe(4007);
  });

  it("when media fails at the first attempt, but not when it is interrupted", async () => {
    const { platform, join } = world();
    const room = await join();
    const states: string[] = [];
    room.on("connection-state", (state) => states.push(state));
    for (const state of ["connecting", "connected", "disconnected", "connected"] as const) platform.peer.become(state);
    await platform.advance(20_000);
    expect(states).toEqual(["connected", "interrupted", "connected"]);
    expect(platform.peer.iceGeneration).toBe(0);
    const second = world();
    const other = await second.join();
    second.platform.peer.become("failed");
    expect(await other.closed).toBe("media-failed");
  });

  it("when ICE restarts do not repair the media path", async () => {
    const { platform, join } = world();
    const room = await join();
    platform.peer.become("connected");
    platform.peer.become("disconnected");
    await platform.advance(1_999);
    expect(platform.peer.iceGeneration).toBe(0);
    await platform.advance(2);
    expect(platform.peer.iceGeneration).toBe(1);
    expect(platform.server.named("offer").at(-1)?.value["sdp"]).toContain("generation1");
    platform.peer.become("connected");
    await platform.advance(60_000);
    expect([room.connectionState, platform.peer.iceGeneration]).toEqual(["connected", 1]);
    // A failure is restarted at once and repeatedly, until the server has freed the transport.
    platform.peer.become("failed");
    await platform.advance(1);
    expect(platform.peer.iceGeneration).toBe(2);
    await platform.advance(28_000);
    expect(platform.peer.iceGeneration).toBe(5);
    expect(room.connectionState).toBe("interrupted");
    await platform.advance(2_000);
    expect(await room.closed).toBe("media-failed");
  });

  it("when the server sends an invalid message", async () => {
    const { platform, join } = world();
    const room = await join();
    platform.server.tellRaw(Uint8Array.of(0xff, 0xff).buffer);
    expect(await room.closed).toBe("protocol-error");
  });
});

it("lists devices as the SDK describes them", async () => {
  const platform = new FakePlatform();
  const device = { deviceId: "c1", kind: "videoinput", label: "Front", groupId: "g" } as MediaDeviceInfo;
  platform.deviceAccess.list = [device];
  expect(await NexusClient.devices(platform)).toEqual([{ id: "c1", kind: "camera", label: "Front", groupId: "g" }]);
});

function sendEvent(platform: FakePlatform, revision: bigint, event: ServerBody): void {
  platform.server.tell({ case: "event", value: { revision, event } });
}

function trackOf(room: Room, id: string, source: RemoteTrack["source"]): RemoteTrack {
  const participant = [...room.participants.values()].find((one: RemoteParticipant) => one.id === id);
  const found = participant?.track(source);
  if (found === undefined) throw new Error(`${id} publishes no ${source}`);
  return found;
}

function streamTracks(element: FakeElement | undefined): string[] {
  return element?.srcObject?.getTracks().map(({ id }) => id) ?? [];
}
