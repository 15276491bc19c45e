/** The envelope, compared with bytes that the engine's tests share; messages in two parts, and malformed headers. */
import { describe, expect, it } from "vitest";
import { MAX_DATA_BYTES, PART_BYTES, readEnvelope, writeEnvelope, writeMessages } from "./data_envelope.js";

const bytes = (text: string): Uint8Array => Uint8Array.from(text, (char) => char.charCodeAt(0));

describe("data envelope", () => {
  it("writes the bytes that the engine reads", () => {
    const wire = writeEnvelope(true, "chat", ["PA_a", "PA_b"], bytes("hi"));
    expect(wire).toEqual(bytes("\x01\x01\x00\x04chat\x02\x04PA_a\x04PA_bhi"));
  });

  it("reads what the engine writes", () => {
    const read = readEnvelope(bytes("\x01\x06\x05PA_me\x00\x00"));
    expect(read).toMatchObject({ text: false, fromServer: true, directed: true, sender: "PA_me", topic: "" });
    expect(read?.payload).toHaveLength(0);
  });

  it("reads what it writes", () => {
    const read = readEnvelope(writeEnvelope(false, "größe", ["PA_1"], bytes("\x00\xFF")));
    expect(read).toMatchObject({ topic: "größe", destinations: ["PA_1"], sender: "" });
    expect(read?.payload).toEqual(bytes("\x00\xFF"));
  });

  it("rejects every truncated header", () => {
    const wire = writeEnvelope(true, "t", ["PA_2"], bytes(""));
    for (let size = 0; size < wire.length; size += 1) expect(readEnvelope(wire.subarray(0, size))).toBeNull();
    expect(readEnvelope(wire)).not.toBeNull();
  });

  it("writes a large payload as two parts that fit and can be read", () => {
    const payload = Uint8Array.from({ length: MAX_DATA_BYTES }, (_one, index) => index * 7);
    expect(writeMessages(false, "", [], payload.subarray(0, PART_BYTES), 9)).toHaveLength(1);
    const messages = writeMessages(false, "t".repeat(128), ["PA_1"], payload, 0xfe000009);
    expect(messages.map(({ length }) => length <= 256 * 1024)).toEqual([true, true]);
    const parts = messages.map(readEnvelope);
    expect(parts.map((one) => one?.part)).toEqual([
      { number: 0xfe000009, last: false },
      { number: 0xfe000009, last: true },
    ]);
    expect(parts[0]?.payload).toEqual(payload.subarray(0, PART_BYTES));
    expect(parts[1]?.payload).toEqual(payload.subarray(PART_BYTES));
  });

  it("rejects parts of other lengths", () => {
    expect(readEnvelope(bytes("\x01\x10\x00\x00\x00\x09\x00\x00\x00x"))?.part).toEqual({ number: 9, last: true });
    expect(readEnvelope(bytes("\x01\x10\x00\x00\x00\x09\x00\x00\x00"))).toBeNull();
    expect(readEnvelope(bytes("\x01\x08\x00\x00\x00\x09\x00\x00\x00x"))).toBeNull();
    expect(readEnvelope(bytes("\x01\x18\x00\x00\x00\x09\x00\x00\x00x"))).toBeNull();
  });

  it("rejects unknown versions and flags", () => {
    expect(readEnvelope(bytes("\x02\x00\x00\x00\x00"))).toBeNull();
    expect(readEnvelope(bytes("\x01\x20\x00\x00\x00"))).toBeNull();
  });
});
