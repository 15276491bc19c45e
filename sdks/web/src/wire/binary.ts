/** Binary protobuf (https://protobuf.dev/programming-guides/encoding), driven by the tables of `schema.gen.ts`. */
import type { FieldRow } from "./field_row.js";
import {
  defaultOf,
  emptyMessage,
  fieldValue,
  isMessage,
  MAX_DEPTH,
  setField,
  tableOf,
  type AnyMessage,
} from "./table.js";

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;

const textEncoder = new TextEncoder();
const textDecoder = new TextDecoder("utf-8", { fatal: true });

export function encodeBinary(type: string, message: AnyMessage): Uint8Array<ArrayBuffer> {
  const bytes: number[] = [];
  for (const row of tableOf(type)) {
    const value = fieldValue(message, row);
    if (value === undefined) continue;
    if (row[3] === "*") for (const item of value as readonly unknown[]) writeField(bytes, row, item);
    else if (row[3] === "%") writeMap(bytes, row, value as Readonly<Record<string, string>>);
    else writeField(bytes, row, value);
  }
  return Uint8Array.from(bytes);
}

function writeField(bytes: number[], [number, , type]: FieldRow, value: unknown): void {
  switch (type) {
    case "string":
      writeTag(bytes, number, BYTES);
      return writeBytes(bytes, textEncoder.encode(value as string));
    case "float": {
      writeTag(bytes, number, FIXED32);
      const view = new DataView(new ArrayBuffer(4));
      view.setFloat32(0, value as number, true);
      for (let index = 0; index < 4; index += 1) bytes.push(view.getUint8(index));
      return;
    }
    default:
      if (isMessage(type)) {
        writeTag(bytes, number, BYTES);
        return writeBytes(bytes, encodeBinary(type, value as AnyMessage));
      }
      writeTag(bytes, number, VARINT);
      if (typeof value === "number" && value >= 0) return writeSmall(bytes, value);
      // Negative numbers are sent as ten bytes, sign extended.
      return writeVarint(bytes, BigInt.asUintN(64, BigInt(value as number | bigint | boolean)));
  }
}

function writeMap(bytes: number[], [number]: FieldRow, map: Readonly<Record<string, string>>): void {
  for (const [key, value] of Object.entries(map)) {
    const entry: number[] = [];
    writeField(entry, [1, "key", "string"], key);
    writeField(entry, [2, "value", "string"], value);
    writeTag(bytes, number, BYTES);
    writeBytes(bytes, entry);
  }
}

function writeTag(bytes: number[], number: number, wireType: number): void {
  writeSmall(bytes, number * 8 + wireType);
}

function writeBytes(bytes: number[], content: Iterable<number> & { readonly length: number }): void {
  writeSmall(bytes, content.length);
  for (const byte of content) bytes.push(byte);
}

/** Writes an integer below 2^53, several times as fast as a bigint. */
function writeSmall(bytes: number[], value: number): void {
  let rest = value;
  for (; rest > 0x7f; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80);
  bytes.push(rest);
}

function writeVarint(bytes: number[], value: bigint): void {
  let rest = value;
  while (rest > 0x7fn) {
    bytes.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  bytes.push(Number(rest));
}

/** Throws RangeError or TypeError if the bytes are not such a message. */
export function decodeBinary(type: string, bytes: Uint8Array): AnyMessage {
  return readMessage(type, new Reader(bytes), 0);
}

function readMessage(type: string, reader: Reader, depth: number): AnyMessage {
  if (depth > MAX_DEPTH) throw new RangeError("messages nested too deeply");
  const message = emptyMessage(type);
  const rows = new Map(tableOf(type).map((row) => [row[0], row]));
  while (!reader.done) {
    const tag = Number(reader.varint());
    const row = rows.get(Math.floor(tag / 8));
    // A newer server may send fields that this version does not know.
    if (row === undefined) reader.skip(tag % 8);
    else readField(message, row, reader, tag % 8, depth);
  }
  return message;
}

function readField(message: AnyMessage, row: FieldRow, reader: Reader, wireType: number, depth: number): void {
  const [, name, type, label] = row;
  if (wireType !== wireTypeOf(type)) throw new TypeError(`wire type ${wireType} for ${name}`);
  if (label === "%") {
    const [key, value] = readEntry(reader.sub());
    // Without the prototype's setters: a key may be called __proto__.
    Object.defineProperty(message[name], key, { value, enumerable: true, configurable: true, writable: true });
    return;
  }
  const value = isMessage(type) ? readMessage(type, reader.sub(), depth + 1) : readScalar(type, reader);
  if (label === "*") (message[name] as unknown[]).push(value);
  else setField(message, row, value);
}

function readEntry(reader: Reader): [key: string, value: string] {
  const entry: [string, string] = ["", ""];
  while (!reader.done) {
    const tag = Number(reader.varint());
    if (tag === 8 + BYTES) entry[0] = reader.string();
    else if (tag === 16 + BYTES) entry[1] = reader.string();
    else reader.skip(tag % 8);
  }
  return entry;
}

function wireTypeOf(type: string): number {
  if (type === "string" || isMessage(type)) return BYTES;
  return type === "float" ? FIXED32 : VARINT;
}

function readScalar(type: string, reader: Reader): unknown {
  switch (type) {
    case "string":
      return reader.string();
    case "float":
      return reader.float();
    case "bool":
      return reader.varint() !== 0n;
    case "int64":
      return BigInt.asIntN(64, reader.varint());
    case "uint64":
      return reader.varint();
    case "uint32":
      return Number(BigInt.asUintN(32, reader.varint()));
    default:
      // int32 and enums.
      return typeof defaultOf(type) === "number" ? Number(BigInt.asIntN(32, reader.varint())) : undefined;
  }
}

/** A bounded reader: no length reaches beyond the end of the message. */
class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get done(): boolean {
    return this.#at >= this.#bytes.length;
  }

  varint(): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.#bytes[this.#at];
      if (byte === undefined) throw new RangeError("message ends within a number");
      this.#at += 1;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
    throw new RangeError("number of more than ten bytes");
  }

  sub(): Reader {
    return new Reader(this.#take(Number(this.varint())));
  }

  string(): string {
    return textDecoder.decode(this.#take(Number(this.varint())));
  }

  float(): number {
    const bytes = this.#take(4);
    return new DataView(bytes.buffer, bytes.byteOffset, 4).getFloat32(0, true);
  }

  skip(wireType: number): void {
    if (wireType === VARINT) this.varint();
    else if (wireType === FIXED64) this.#take(8);
    else if (wireType === BYTES) this.#take(Number(this.varint()));
    else if (wireType === FIXED32) this.#take(4);
    else throw new RangeError(`wire type ${wireType}`);
  }

  #take(length: number): Uint8Array {
    const end = this.#at + length;
    if (end > this.#bytes.length) throw new RangeError("message ends within a field");
    const taken = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return taken;
  }
}
