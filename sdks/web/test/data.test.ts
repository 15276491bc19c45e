/** Data messages through the public API, on fake channels. */
import { describe, expect, it } from "vitest";
import { PART_BYTES, readEnvelope, writeEnvelope } from "../src/core/data_envelope.js";
import type { DataInfo, Room } from "../src/index.js";
import type { FakeDataChannel, FakePlatform } from "../src/testing.js";
import { failure, participantOf, world } from "./fixtures.js";

const bob = participantOf("PA_bob", "bob");
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

async function joined(): Promise<{ room: Room; platform: FakePlatform; channel: FakeDataChannel }> {
  const { platform, join } = world({ others: [bob] });
  const room = await join();
  const [channel] = platform.peer.dataChannels;
  if (channel === undefined) throw new Error("there is no channel before the offer");
  return { room, platform, channel };
}

/** A message as the server forwards it: with the sender's id in place of the destinations. */
function forwarded(sender: string, flags: number, topic: string, payload: string): Uint8Array {
  const id = bytes(sender);
  return Uint8Array.from([1, flags, id.length, ...id, topic.length, ...bytes(topic), 0, ...bytes(payload)]);
}

describe("publishing data", () => {
  it("has its channel in the first offer and opens others when they are needed", async () => {
    const { room, platform, channel } = await joined();
    expect(channel).toMatchObject({ protocol: "nexus.data.v1", ordered: true, maxRetransmits: null });
    channel.open();
    await room.publishData("hi", { topic: "chat" });
    expect(channel.sent).toEqual([writeEnvelope(true, "chat", [], bytes("hi"))]);
    const lossy = room.publishData(Uint8Array.of(1, 2), { reliable: false });
    await Promise.resolve();
    await Promise.resolve();
    const [, second] = platform.peer.dataChannels;
    expect(second).toMatchObject({ ordered: false, maxRetransmits: 0 });
    second?.open();
    await lossy;
    expect(second?.sent).toEqual([writeEnvelope(false, "", [], Uint8Array.of(1, 2))]);
  });

  it("addresses participants by identity or object", async () => {
    const { room, channel } = await joined();
    channel.open();
    const [participant] = room.participants.values();
    if (participant === undefined) throw new Error("there is no participant");
    await room.publishData("1", { to: "bob" });
    await room.publishData("2", { to: [participant] });
    await room.publishData("3", { to: [] });
    expect(channel.sent).toEqual(["1", "2"].map((text) => writeEnvelope(true, "", ["PA_bob"], bytes(text))));
  });

  it("waits while too much is buffered, and keeps the order of the calls", async () => {
    const { room, channel } = await joined();
    channel.open();
    channel.bufferedAmount = 2 * 1024 * 1024;
    const sends = [room.publishData("a"), room.publishData("b")];
    await new Promise((resolve) => setTimeout(resolve));
    expect(channel.sent).toHaveLength(0);
    channel.drain();
    await Promise.all(sends);
    expect(channel.sent).toEqual(["a", "b"].map((text) => writeEnvelope(true, "", [], bytes(text))));
  });

  it("sends more than 255 KiB in two parts, with nothing between them", async () => {
    const { room, channel } = await joined();
    channel.open();
    const large = new Uint8Array(256 * 1024).fill(7);
    await Promise.all([room.publishData(large), room.publishData("after")]);
    const [first, last, after] = channel.sent.map((message) => readEnvelope(message));
    expect(first?.part).toMatchObject({ last: false });
    expect(last?.part).toEqual({ number: first?.part?.number, last: true });
    expect([first?.payload.length, last?.payload.length]).toEqual([PART_BYTES, 1024]);
    expect(after?.part).toBeNull();
    expect(Math.max(...channel.sent.map(({ length }) => length))).toBeLessThanOrEqual(256 * 1024);
  });

  it.each([
    ["x".repeat(256 * 1024 + 1), {}, "DATA_TOO_LARGE"],
    ["x", { topic: "ü".repeat(65) }, "INVALID_ARGUMENT"],
    ["x", { to: Array.from({ length: 33 }, () => "bob") }, "INVALID_ARGUMENT"],
    ["x", { to: "carol" }, "PARTICIPANT_NOT_FOUND"],
  ])("rejects a message that cannot be sent (%#)", async (payload, options, code) => {
    const { room, channel } = await joined();
    channel.open();
    expect(await failure(room.publishData(payload, options))).toMatchObject({ code });
    expect(channel.sent).toEqual([]);
  });

  it("needs the grant `data`", async () => {
    const { join } = world({ grants: { publish: true, subscribe: true } });
    expect(await failure((await join()).publishData("x"))).toMatchObject({ code: "PERMISSION_DENIED" });
  });

  it("opens a new channel after the server has closed one", async () => {
    const { room, platform, channel } = await joined();
    channel.open();
    channel.end();
    const sent = room.publishData("again");
    await Promise.resolve();
    await Promise.resolve();
    platform.peer.dataChannels[1]?.open();
    await sent;
    expect(platform.peer.dataChannels).toHaveLength(2);
  });

  it("rejects when the room is left", async () => {
    const { room } = await joined();
    const waiting = failure(room.publishData("x"));
    await room.leave();
    expect(await waiting).toMatchObject({ code: "CLOSED" });
    expect(await failure(room.publishData("x"))).toMatchObject({ code: "CLOSED" });
  });
});

describe("receiving data", () => {
  const listen = (room: Room): [Uint8Array | string, DataInfo][] => {
    const heard: [Uint8Array | string, DataInfo][] = [];
    room.on("data", (payload, info) => heard.push([payload, info]));
    return heard;
  };

  it("reports content, sender and delivery", async () => {
    const { room, channel } = await joined();
    const heard = listen(room);
    channel.receive(forwarded("PA_bob", 1, "chat", "hi"));
    channel.receive(forwarded("", 2, "news", "x"));
    channel.receive(forwarded("", 4, "", "x"));
    channel.receive(Uint8Array.of(9, 9));
    const participant = room.participants.values().next().value;
    expect(heard).toEqual([
      ["hi", { participant, fromServer: false, topic: "chat", directed: false, reliable: true }],
      [bytes("x"), { participant: null, fromServer: true, topic: "news", directed: false, reliable: true }],
      [bytes("x"), { participant: null, fromServer: false, topic: "", directed: true, reliable: true }],
    ]);
  });

  it("reports a message in two parts once it is complete", async () => {
    const { room, channel } = await joined();
    const heard = listen(room);
    const number = [0, 0, 0, 5];
    const of = (flags: number, payload: Uint8Array): Uint8Array =>
      Uint8Array.from([1, flags, ...number, 6, ...bytes("PA_bob"), 0, 0, ...payload]);
    channel.receive(of(16, Uint8Array.of(2)));
    expect(heard).toEqual([]);
    channel.receive(of(8, new Uint8Array(PART_BYTES).fill(1)));
    const [[payload] = []] = heard;
    expect([heard.length, payload?.length, payload?.at(0), payload?.at(-1)]).toEqual([1, PART_BYTES + 1, 1, 2]);
  });

  it("keeps a message until its sender is known", async () => {
    const { room, platform, channel } = await joined();
    const heard = listen(room);
    channel.receive(forwarded("PA_eve", 1, "", "early"));
    expect(heard).toEqual([]);
    const event = { case: "participantJoined", value: { participant: participantOf("PA_eve", "eve") } };
    platform.server.tell({ case: "event", value: { revision: 6n, event } });
    await platform.settle();
    expect(heard.map(([payload, { participant }]) => [payload, participant?.identity])).toEqual([["early", "eve"]]);
  });
});
