import { describe, expect, it } from "vitest";
import { readEnvelope, writeEnvelope } from "./data_envelope.js";

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

  it("reads back what it writes", () => {
    const read = readEnvelope(writeEnvelope(false, "größe", ["PA_1"], bytes("\x00\xFF")));
    expect(read).toMatchObject({ topic: "größe", destinations: ["PA_1"], sender: "" });
    expect(read?.payload).toEqual(bytes("\x00\xFF"));
  });

  it("refuses every cut of the header", () => {
    const wire = writeEnvelope(true, "t", ["PA_2"], bytes(""));
    for (let size = 0; size < wire.length; size += 1) expect(readEnvelope(wire.subarray(0, size))).toBeNull();
    expect(readEnvelope(wire)).not.toBeNull();
  });

  it("refuses versions and flags that it does not know", () => {
    expect(readEnvelope(bytes("\x02\x00\x00\x00\x00"))).toBeNull();
    expect(readEnvelope(bytes("\x01\x08\x00\x00\x00"))).toBeNull();
  });
});
