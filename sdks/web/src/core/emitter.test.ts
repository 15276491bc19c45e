/** Listeners that are added late are called for standing events, in order and once. */
import { expect, it } from "vitest";
import { Emitter } from "./emitter.js";

interface Item {
  readonly name: string;
}

class Shelf extends Emitter<{ item: [item: Item]; noise: [] }> {
  readonly items: Item[] = [];

  constructor() {
    super({ item: () => this.items.map((item) => [item]) });
  }

  put(name: string): void {
    const item = { name };
    this.items.push(item);
    this.emit("item", item);
  }
}

const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0));

it("calls a late listener for standing events, asynchronously and in order", async () => {
  const shelf = new Shelf();
  shelf.put("a");
  const heard: string[] = [];
  shelf.on("item", ({ name }) => heard.push(name));
  shelf.put("b");
  expect(heard).toEqual([]);
  await turn();
  shelf.put("c");
  expect(heard).toEqual(["a", "b", "c"]);
});

it("calls each listener once", async () => {
  const shelf = new Shelf();
  const first: string[] = [];
  const second: string[] = [];
  shelf.on("item", ({ name }) => first.push(name));
  await turn();
  shelf.put("a");
  shelf.on("item", ({ name }) => second.push(name));
  await turn();
  expect([first, second]).toEqual([["a"], ["a"]]);
});

it("does not report what ended before the microtask, and does not call a removed listener", async () => {
  const shelf = new Shelf();
  shelf.put("a");
  const heard: string[] = [];
  shelf.on("item", ({ name }) => heard.push(name));
  shelf.items.length = 0;
  shelf.put("b");
  const remove = shelf.on("item", () => heard.push("removed"));
  remove();
  await turn();
  expect(heard).toEqual(["b"]);
});

it("calls a listener of `once` one time", async () => {
  const shelf = new Shelf();
  shelf.put("a");
  shelf.put("b");
  const heard: string[] = [];
  shelf.once("item", ({ name }) => heard.push(name));
  await turn();
  shelf.put("c");
  expect(heard).toEqual(["a"]);
});

it("removes a listener with `off`", () => {
  const shelf = new Shelf();
  let count = 0;
  const listener = (): void => void (count += 1);
  shelf.on("noise", listener);
  shelf.emit("noise");
  shelf.off("noise", listener);
  shelf.emit("noise");
  expect(count).toBe(1);
});
