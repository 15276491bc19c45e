/** The tables of `schema.gen.ts` as both codecs read them: fields, defaults and oneofs of a message. */
import type { FieldRow, MessageTable } from "./field_row.js";
import { ENUMS, MESSAGES } from "./schema.gen.js";

/** A message in memory: a plain object; a oneof is `{ case, value }`. */
export type AnyMessage = Record<string, unknown>;
type OneOf = { readonly case: string | undefined; readonly value?: unknown };

/** Maximum depth of nested messages, which bounds the recursion of the reader. */
export const MAX_DEPTH = 16;

export function tableOf(type: string): MessageTable {
  const table = MESSAGES[type];
  if (table === undefined) throw new TypeError(`there is no message ${type}`);
  return table;
}

export const isMessage = (type: string): boolean => MESSAGES[type] !== undefined;

/** The oneof that a field is a member of. */
function oneofOf([, , , label]: FieldRow): string | null {
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

/** The value of a field in a message; undefined if it is not set. */
export function fieldValue(message: AnyMessage, row: FieldRow): unknown {
  const [, name, type, label] = row;
  const oneof = oneofOf(row);
  if (oneof !== null) {
    const member = message[oneof] as OneOf | undefined;
    return member?.case === name ? (member.value ?? defaultOf(type)) : undefined;
  }
  const value = message[name];
  // proto3 does not send default values.
  return label !== "?" && !isMessage(type) && value === defaultOf(type) ? undefined : value;
}

export function setField(message: AnyMessage, row: FieldRow, value: unknown): void {
  const oneof = oneofOf(row);
  if (oneof === null) message[row[1]] = value;
  else message[oneof] = { case: row[1], value };
}

/** The names of an enum's values in canonical JSON, by number; undefined for another type. */
export function enumNames(type: string): Readonly<Record<number, string>> | undefined {
  const values = ENUMS[type];
  const prefix = type === "ErrorCode" ? "" : `${type.replace(/\B[A-Z]/g, "_$&").toUpperCase()}_`;
  return values && Object.fromEntries(Object.entries(values).map(([name, number]) => [number, prefix + name]));
}
