/** Canonical JSON of protobuf (https://protobuf.dev/programming-guides/json), driven by the tables of `schema.gen.ts`. */
import { emptyMessage, enumNames, fieldValue, isMessage, MAX_DEPTH, setField, tableOf, type AnyMessage } from "./table.js";

export const encodeJson = (type: string, message: AnyMessage): string => JSON.stringify(toJson(type, message));

/** Throws TypeError or SyntaxError if the text is not such a message. Skips unknown members. */
export const decodeJson = (type: string, text: string): AnyMessage => fromJson(type, JSON.parse(text) as unknown, 0);

function toJson(type: string, message: AnyMessage): AnyMessage {
  const json: AnyMessage = {};
  for (const row of tableOf(type)) {
    const [, name, fieldType, label] = row;
    const value = fieldValue(message, row);
    if (value === undefined) continue;
    if (label === "*") {
      if ((value as readonly unknown[]).length > 0) {
        json[name] = (value as readonly unknown[]).map((item) => toJsonValue(fieldType, item));
      }
    } else if (label === "%") {
      if (Object.keys(value as object).length > 0) json[name] = value;
    } else json[name] = toJsonValue(fieldType, value);
  }
  return json;
}

function toJsonValue(type: string, value: unknown): unknown {
  if (isMessage(type)) return toJson(type, value as AnyMessage);
  const names = enumNames(type);
  if (names !== undefined) return names[value as number] ?? value;
  // 64-bit numbers do not fit into numbers of JSON.
  if (typeof value === "bigint") return value.toString();
  if (typeof value === "number" && !Number.isFinite(value)) return String(value);
  return value;
}

function fromJson(type: string, json: unknown, depth: number): AnyMessage {
  if (depth > MAX_DEPTH) throw new RangeError("messages nested too deeply");
  const members = asObject(json, type);
  const message = emptyMessage(type);
  for (const row of tableOf(type)) {
    const [, name, fieldType, label] = row;
    const value = Object.hasOwn(members, name) ? members[name] : null;
    if (value === null) continue;
    if (label === "*") message[name] = asArray(value, name).map((item) => fromJsonValue(fieldType, item, depth));
    else if (label === "%") message[name] = asStringMap(value, name);
    else setField(message, row, fromJsonValue(fieldType, value, depth));
  }
  return message;
}

function fromJsonValue(type: string, value: unknown, depth: number): unknown {
  if (isMessage(type)) return fromJson(type, value, depth + 1);
  const names = enumNames(type);
  if (names !== undefined) return asEnum(names, value);
  switch (type) {
    case "string":
      if (typeof value === "string") return value;
      break;
    case "bool":
      if (typeof value === "boolean") return value;
      break;
    case "int64":
    case "uint64":
      if (typeof value === "string" || typeof value === "number") return BigInt(value);
      break;
    default:
      if (typeof value === "number") return value;
      if (typeof value === "string" && (value === "NaN" || !Number.isNaN(Number(value)))) return Number(value);
  }
  throw new TypeError(`not a ${type}`);
}

function asEnum(names: Readonly<Record<number, string>>, value: unknown): number {
  if (typeof value === "number") return value;
  const found = Object.entries(names).find(([, name]) => name === value);
  // A value that this version does not know is read as unspecified.
  return found === undefined ? 0 : Number(found[0]);
}

function asObject(value: unknown, what: string): Readonly<Record<string, unknown>> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new TypeError(`${what} is not an object`);
}

function asArray(value: unknown, what: string): readonly unknown[] {
  if (Array.isArray(value)) return value as unknown[];
  throw new TypeError(`${what} is not an array`);
}

function asStringMap(value: unknown, what: string): Record<string, string> {
  const map = asObject(value, what);
  if (Object.values(map).every((item) => typeof item === "string")) return map as Record<string, string>;
  throw new TypeError(`${what} contains a value that is not a string`);
}
