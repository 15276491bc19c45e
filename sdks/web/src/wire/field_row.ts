/** How `schema.gen.ts` describes the fields of a message. */

/**
 * Number, name, type (a scalar, an enum or a message), and a label: `*` repeated, `%` map of strings, `?` with presence,
 * otherwise the name of the oneof that it is a member of.
 */
export type FieldRow = readonly [number: number, name: string, type: string, label?: string];
export type MessageTable = readonly FieldRow[];

/**
 * Reads a table from text, which takes less space in a bundle. Rows have commas between them. A row has name, type and label;
 * a number before the name if it is not the next one; and no type if that is `uint32`.
 */
export function table(text: string): MessageTable {
  let number = 0;
  return text.split(",").flatMap((row) => {
    const [start = "", type = "uint32", ...label] = row.split(" ");
    const name = start.replace(/^\d+/, "");
    number = name === start ? number + 1 : Number.parseInt(start);
    return name === "" ? [] : [[number, name, type, ...label] as unknown as FieldRow];
  });
}
