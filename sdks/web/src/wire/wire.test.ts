/** Compares the SDK's codec with `@bufbuild/protobuf`, an independent implementation, on random messages. */
import { execFileSync } from "node:child_process";
import { create, fromBinary, fromJsonString, toBinary, toJsonString, ScalarType, type DescField, type DescMessage } from "@bufbuild/protobuf";
import { reflect, type ReflectMessage } from "@bufbuild/protobuf/reflect";
import { ClientMessageSchema, ServerMessageSchema, TelemetryReportSchema } from "@nexus-rtc/proto/signaling/v1/session";
import { describe, expect, it } from "vitest";
import { decodeBinary, encodeBinary } from "./binary.js";
import { decodeJson, encodeJson } from "./json.js";
import type { AnyMessage } from "./table.js";

/** A linear congruential generator: the same messages in every run. */
function generator(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const TEXTS = ["", "a", "ünï©ode 🎉", "__proto__", "\u0000\n\"\\", "x".repeat(300)];
const NUMBERS = [0, 1, 127, 128, 300, 65_536, 2 ** 31 - 1];

function scalar(field: DescField, next: (below: number) => number): unknown {
  if (field.enum) return field.enum.values[next(field.enum.values.length)]?.number;
  const type = "scalar" in field && field.scalar !== undefined ? field.scalar : ScalarType.STRING;
  const number = NUMBERS[next(NUMBERS.length)] ?? 0;
  switch (type) {
    case ScalarType.BOOL:
      return next(2) === 1;
    case ScalarType.UINT32:
      return next(4) === 0 ? 2 ** 32 - 1 : number;
    case ScalarType.INT32:
      return next(2) === 0 ? -number : number;
    case ScalarType.INT64:
      return BigInt(number) * (next(2) === 0 ? -4_000_000n : 4_000_000n);
    case ScalarType.UINT64:
      return next(4) === 0 ? 2n ** 64n - 1n : BigInt(number);
    case ScalarType.FLOAT:
      return -number / 4;
    default:
      return TEXTS[next(TEXTS.length)];
  }
}

function fill(message: ReflectMessage, next: (below: number) => number): void {
  const chosen = new Map(message.desc.oneofs.map((oneof) => [oneof, oneof.fields[next(oneof.fields.length)]]));
  for (const field of message.fields) {
    if (field.oneof ? chosen.get(field.oneof) !== field : next(3) === 0) continue;
    if (field.fieldKind === "map") for (let n = next(4); n > 0; n -= 1) message.get(field).set(TEXTS[n] ?? "", scalar(field, next));
    else if (field.fieldKind === "list") for (let n = next(4); n > 0; n -= 1) message.get(field).add(item(field, next));
    else if (field.fieldKind === "message") message.set(field, sub(field.message, next));
    else message.set(field, scalar(field, next));
  }
}

const item = (field: DescField, next: (below: number) => number): unknown => (field.message ? sub(field.message, next) : scalar(field, next));

function sub(desc: DescMessage, next: (below: number) => number): ReflectMessage {
  const message = reflect(desc, create(desc));
  fill(message, next);
  return message;
}

describe.each([
  ["ClientMessage", ClientMessageSchema],
  ["ServerMessage", ServerMessageSchema],
  ["TelemetryReport", TelemetryReportSchema],
] as const)("%s", (name, schema: DescMessage) => {
  const samples = Array.from({ length: 400 }, (_, seed) => sub(schema, generator(seed)).message);

  it("is read from binary and written to binary like the reference", () => {
    for (const sample of samples) {
      const ours = decodeBinary(name, toBinary(schema, sample));
      expect(toJsonString(schema, fromBinary(schema, encodeBinary(name, ours)))).toBe(toJsonString(schema, sample));
    }
  });

  it("is read from JSON and written to canonical JSON like the reference", () => {
    for (const sample of samples) {
      const text = toJsonString(schema, sample);
      const ours = decodeJson(name, text);
      expect(JSON.parse(encodeJson(name, ours))).toEqual(JSON.parse(text));
      expect(toBinary(schema, fromJsonString(schema, encodeJson(name, ours)))).toEqual(toBinary(schema, sample));
    }
  });

  it("never reads beyond its end", () => {
    for (const sample of samples.slice(0, 60)) {
      const bytes = toBinary(schema, sample);
      for (let end = 0; end < Math.min(bytes.length, 400); end += 1) {
        try {
          decodeBinary(name, bytes.subarray(0, end));
        } catch (error) {
          expect(error).toSatisfy((one) => one instanceof RangeError || one instanceof TypeError);
        }
      }
    }
  });
});

describe("messages of a newer or hostile peer", () => {
  const read = (...bytes: number[]): AnyMessage => decodeBinary("ServerMessage", Uint8Array.from(bytes));

  it("have unknown fields of every wire type skipped", () => {
    const unknown = [0xf8, 0x3e, 0x01, 0xf9, 0x3e, 1, 2, 3, 4, 5, 6, 7, 8, 0xfa, 0x3e, 2, 9, 9, 0xfd, 0x3e, 1, 2, 3, 4];
    expect(read(...unknown, 0x08, 7)).toEqual({ requestId: 7, body: { case: undefined } });
  });

  it.each([
    ["groups", [0xfb, 0x3e]],
    ["endless numbers", [0x08, ...Array.from({ length: 11 }, () => 0xff)]],
    ["lengths beyond the end", [0x12, 0xff, 0xff, 0x03]],
    ["the wrong wire type", [0x0a, 0x00]],
    ["text that is not UTF-8", [0x12, 4, 0x12, 2, 0xc3, 0x28]],
  ])("are rejected: %s", (_, bytes) => {
    expect(() => read(...bytes)).toThrow();
  });

  it.each(["null", "[]", "{", '{"requestId":"x"}', '{"join":{"participants":{}}}', '{"error":{"details":{"a":1}}}'])(
    "are rejected: JSON %s",
    (text) => {
      expect(() => decodeJson("ServerMessage", text)).toThrow();
    },
  );

  it("do not change prototypes", () => {
    const error = create(ServerMessageSchema, { body: { case: "error", value: { details: { ["__proto__"]: "polluted" } } } });
    decodeBinary("ServerMessage", toBinary(ServerMessageSchema, error));
    expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
  });
});

it("has tables that match proto/", () => {
  const root = new URL("../..", import.meta.url);
  expect(() => execFileSync("node", ["scripts/generate_schema.mjs", "--check"], { cwd: root, stdio: "pipe" })).not.toThrow();
});
