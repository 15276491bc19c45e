/** Samples are kept until they are stored, in bounds, and packed so that each message can be read. */
import { describe, expect, it } from "vitest";
import fc from "fast-check";
import type { WireSeries, WireTelemetry } from "../wire/messages.js";
import { KEEP_BYTES, KEEP_MS, MESSAGE_BYTES, TelemetryOutbox } from "./telemetry_outbox.js";
import { encodeBinary } from "../wire/binary.js";

const series = (number: number, trackId: string): WireSeries => ({ number, trackId });
const numbers = (messages: readonly WireTelemetry[]): number[] => messages.flatMap(({ samples = [] }) => samples.map(({ number = 0 }) => number));
const sampleOf = (used: readonly WireSeries[]): { receivedAudio: { series: number }[] } => ({
  receivedAudio: used.map(({ number = 0 }) => ({ series: number })),
});

describe("the outbox", () => {
  it("numbers samples from 1 and sends each once", () => {
    const outbox = new TelemetryOutbox();
    outbox.add({}, [], 0);
    outbox.add({}, [], 1000);
    expect(numbers(outbox.unsent())).toEqual([1, 2]);
    outbox.add({}, [], 2000);
    expect(numbers(outbox.unsent())).toEqual([3]);
    expect(outbox.unsent()).toEqual([]);
  });

  it("forgets what is stored and sends again what was not kept", () => {
    const outbox = new TelemetryOutbox();
    for (let second = 0; second < 4; second += 1) outbox.add({}, [], second * 1000);
    outbox.unsent();
    outbox.stored(2, false);
    expect(outbox.size).toBe(2);
    expect(outbox.unsent()).toEqual([]);
    outbox.stored(2, true);
    expect(numbers(outbox.unsent())).toEqual([3, 4]);
    outbox.stored(1, false);
    expect(outbox.size).toBe(2);
  });

  it("keeps samples for 120 s and drops the oldest, counted", () => {
    const outbox = new TelemetryOutbox();
    for (let second = 0; second <= 130; second += 1) outbox.add({}, [], second * 1000);
    expect(outbox.size).toBe(1 + KEEP_MS / 1000);
    expect(outbox.dropped).toBe(10);
    const [first] = outbox.unsent();
    expect(first?.droppedSamples).toBe(10);
    expect(first?.samples?.[0]?.number).toBe(11);
  });

  it("keeps at most 256 KiB", () => {
    const outbox = new TelemetryOutbox();
    const used = Array.from({ length: 64 }, (_, index) => series(index + 1, `TR_${index}`));
    const large = { receivedAudio: used.map(({ number = 0 }) => ({ series: number, packets: 2 ** 31, bytes: 2 ** 31, samples: 2 ** 31, nacks: 2 ** 31 })) };
    for (let index = 0; index < 400; index += 1) outbox.add(large, used, 1);
    expect(outbox.dropped).toBeGreaterThan(0);
    expect(outbox.size + outbox.dropped).toBe(400);
    const bytes = outbox.remaining(Infinity).reduce((sum, one) => sum + encodeBinary("Telemetry", { ...one, series: [] }).length, 0);
    expect(bytes).toBeLessThanOrEqual(KEEP_BYTES);
    expect(bytes).toBeGreaterThan(KEEP_BYTES * 0.95);
  });

  it("reports the newest samples if space is short", () => {
    const outbox = new TelemetryOutbox();
    for (let second = 0; second < 100; second += 1) outbox.add({ events: [] }, [], second * 1000);
    const messages = outbox.remaining(100);
    expect(messages).toHaveLength(1);
    expect(numbers(messages).at(-1)).toBe(100);
    expect(numbers(messages).length).toBeLessThan(30);
  });

  it("declares every series before or with its first use, whatever is changed, stored and sent again", () => {
    const change = fc.record({ key: fc.integer({ min: 1, max: 4 }), name: fc.constantFrom("a", "b", "c") });
    const step = fc.oneof(
      fc.record({ kind: fc.constant("add" as const), changes: fc.array(change, { maxLength: 3 }) }),
      fc.record({ kind: fc.constant("send" as const) }),
      fc.record({ kind: fc.constant("store" as const), upTo: fc.nat(40), resend: fc.boolean() }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const outbox = new TelemetryOutbox();
        const current = new Map<number, WireSeries>();
        const truth = new Map<number, readonly WireSeries[]>();
        /** As signaling reads it. */
        const declared = new Map<number, WireSeries>();
        let number = 0;
        const read = (messages: readonly WireTelemetry[], known: Map<number, WireSeries>): void => {
          for (const message of messages) {
            expect(encodeBinary("Telemetry", message).length).toBeLessThanOrEqual(MESSAGE_BYTES);
            for (const one of message.series ?? []) known.set(one.number ?? 0, one);
            for (const sample of message.samples ?? []) {
              for (const one of truth.get(sample.number ?? 0) ?? []) expect(known.get(one.number ?? 0)).toEqual(one);
            }
          }
        };
        for (const one of steps) {
          if (one.kind === "add") {
            for (const { key, name } of one.changes) current.set(key, series(key, `TR_${name}`));
            number += 1;
            truth.set(number, [...current.values()]);
            outbox.add(sampleOf([...current.values()]), [...current.values()], number);
          } else if (one.kind === "send") read(outbox.unsent(), declared);
          else outbox.stored(Math.min(one.upTo, number), one.resend);
          read(outbox.remaining(MESSAGE_BYTES), new Map());
        }
      }),
    );
  });
});
