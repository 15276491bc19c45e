/** How `schema.gen.ts` describes messages, and what both codecs ask of it. */
import { MESSAGES } from "./schema.gen.js";

export type ScalarType = "string" | "bool" | "uint32" | "int32" | "int64" | "uint64" | "float";

/**
 * Number, name, type (a scalar, an enum or a message), and a label: `*` repeated, `%` map of strings, `?` with presence,
 * otherwise the name of the oneof that it is a member of.
 */
export type FieldRow = readonly [number: number, name: string, type: string, label?: string];
export type MessageTable = readonly FieldRow[];

/** A message in memory: a plain object; a oneof is `{ case, value }`. */
export type AnyMessage = Record<string, unknown>;
export type OneOf = { readonly case: string | undefined; readonly value?: unknown };

/** Deeper than any message of ours; a peer cannot make the reader recurse further. */
export const MAX_DEPTH = 16;

const SCALARS: ReadonlySet<string> = new Set(["string", "bool", "uint32", "int32", "int64", "uint64", "float"]);

export const isScalar = (type: string): type is ScalarType => SCALARS.has(type);

export function tableOf(type: string): MessageTable {
  const table = MESSAGES[type];
  if (table === undefined) throw new TypeError(`no message is called ${type}`);
  return table;
}

export const isMessage = (type: string): boolean => MESSAGES[type] !== undefined;

/** The oneof that a field is a member of. */
export function oneofOf([, , , label]: FieldRow): string | null {
  return label === undefined || label.length === 1 ? null : label;
}

/** An empty message: each field at its default, as proto3 has it. */
export function emptyMessage(type: string): AnyMessage {
  const message: AnyMessage = {};
  for (const row of tableOf(type)) {
    const [, name, fieldType, label] = row;
    const oneof = oneofOf(row);
    if (oneof !== null) message[oneof] = { case: undefined };
    else if (label === "*") message[name] = [];
    else if (label === "%") message[name] = {};
    else if (label !== "?" && !isMessage(fieldType)) message[name] = defaultOf(fieldType);
  }
  return message;
}

export function defaultOf(type: string): unknown {
  switch (type) {
    case "string":
      return "";
    case "bool":
      return false;
    case "int64":
    case "uint64":
      return 0n;
    default:
      return 0;
  }
}

/** The value that a field has in a message; undefined when it is not set. */
export function fieldValue(message: AnyMessage, row: FieldRow): unknown {
  const [, name, type, label] = row;
  const oneof = oneofOf(row);
  if (oneof !== null) {
    const member = message[oneof] as OneOf | undefined;
    return member?.case === name ? (member.value ?? defaultOf(type)) : undefined;
  }
  const value = message[name];
  // proto3 does not send what is at its default.
  return label !== "?" && !isMessage(type) && value === defaultOf(type) ? undefined : value;
}

export function setField(message: AnyMessage, row: FieldRow, value: unknown): void {
  const oneof = oneofOf(row);
  if (oneof === null) message[row[1]] = value;
  else message[oneof] = { case: row[1], value };
}
