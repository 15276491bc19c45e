/** How `schema.gen.ts` describes the fields of a message. */

/**
 * Number, name, type (a scalar, an enum or a message), and a label: `*` repeated, `%` map of strings, `?` with presence,
 * otherwise the name of the oneof that it is a member of.
 */
export type FieldRow = readonly [number: number, name: string, type: string, label?: string];
export type MessageTable = readonly FieldRow[];
