/**
 * Typed events. Some are *standing*: what they announced still holds (participants of a room, tracks of a participant). A
 * listener that is added later is called for it in a microtask, in order and once, so that the order of calls is irrelevant.
 */

export type EventMap = { [Name in string]: readonly unknown[] };
type Listener<Args extends readonly unknown[]> = (...args: Args) => void;

interface Entry<Args extends readonly unknown[]> {
  readonly listener: Listener<Args>;
  readonly once: boolean;
  /** Subjects of a standing event for which this listener has been called. */
  readonly delivered: WeakSet<object>;
  /** The microtask that delivers what already stands has not run yet. */
  catchingUp: boolean;
}

/** The argument lists with which each standing event would have been emitted so far. */
export type Standing<Events extends EventMap> = { readonly [Name in keyof Events]?: () => Iterable<Events[Name]> };

/** Emits typed events; each class documents its own. */
export class Emitter<Events extends EventMap> {
  readonly #entries = new Map<keyof Events, Entry<never>[]>();
  readonly #standing: Standing<Events>;

  protected constructor(standing: Standing<Events> = {}) {
    this.#standing = standing;
  }

  /** Adds a listener. Returns a function that removes it. */
  on<Name extends keyof Events>(event: Name, listener: (...args: Events[Name]) => void): () => void {
    return this.#add(event, listener, false);
  }

  /** Adds a listener that is called once. Returns a function that removes it. */
  once<Name extends keyof Events>(event: Name, listener: (...args: Events[Name]) => void): () => void {
    return this.#add(event, listener, true);
  }

  /** Removes a listener. */
  off<Name extends keyof Events>(event: Name, listener: (...args: Events[Name]) => void): void {
    const entries = this.#list(event).filter((entry) => entry.listener !== listener);
    this.#entries.set(event, entries);
  }

  /** @internal */
  emit<Name extends keyof Events>(event: Name, ...args: Events[Name]): void {
    const standing = this.#standing[event] !== undefined;
    for (const entry of [...this.#list(event)]) {
      // Its microtask is about to deliver everything in order, this included.
      if (standing && entry.catchingUp) continue;
      this.#deliver(event, entry, args, standing);
    }
  }

  /** @internal */
  removeAllListeners(): void {
    this.#entries.clear();
  }

  #add<Name extends keyof Events>(event: Name, listener: Listener<Events[Name]>, once: boolean): () => void {
    const standing = this.#standing[event];
    const entry: Entry<Events[Name]> = { listener, once, delivered: new WeakSet(), catchingUp: standing !== undefined };
    this.#entries.set(event, [...this.#list(event), entry] as Entry<never>[]);
    if (standing !== undefined) queueMicrotask(() => this.#catchUp(event, entry, standing));
    return () => this.#remove(event, entry);
  }

  #catchUp<Name extends keyof Events>(
    event: Name,
    entry: Entry<Events[Name]>,
    standing: () => Iterable<Events[Name]>,
  ): void {
    entry.catchingUp = false;
    for (const args of [...standing()]) this.#deliver(event, entry, args, true);
  }

  #deliver<Name extends keyof Events>(
    event: Name,
    entry: Entry<Events[Name]>,
    args: Events[Name],
    standing: boolean,
  ): void {
    if (!this.#list(event).includes(entry)) return;
    const subject = args[0];
    if (standing && typeof subject === "object" && subject !== null) {
      if (entry.delivered.has(subject)) return;
      entry.delivered.add(subject);
    }
    if (entry.once) this.#remove(event, entry);
    try {
      entry.listener(...args);
    } catch (error) {
      // A listener that throws must not stop the others. The error reaches the page's own error handling.
      queueMicrotask(() => {
        throw error;
      });
    }
  }

  #remove<Name extends keyof Events>(event: Name, entry: Entry<Events[Name]>): void {
    this.#entries.set(event, this.#list(event).filter((one) => one !== entry));
  }

  #list<Name extends keyof Events>(event: Name): Entry<Events[Name]>[] {
    return (this.#entries.get(event) ?? []) as unknown as Entry<Events[Name]>[];
  }
}
