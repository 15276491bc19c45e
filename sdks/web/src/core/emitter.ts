/**
 * Typed events. Some are *standing*: what they told before still holds (people in a room, tracks of a person), and a
 * listener that comes late is told it in a microtask, in order and once, so that it does not matter who came first.
 */

export type EventMap = { [Name in string]: readonly unknown[] };
type Listener<Args extends readonly unknown[]> = (...args: Args) => void;

interface Entry<Args extends readonly unknown[]> {
  readonly listener: Listener<Args>;
  readonly once: boolean;
  /** Subjects of a standing event that this listener has been told of. */
  readonly told: WeakSet<object>;
  /** The microtask that tells what already stands has not run yet. */
  catchingUp: boolean;
}

/** What already stands for an event: the argument lists with which it would have been emitted. */
export type Standing<Events extends EventMap> = { readonly [Name in keyof Events]?: () => Iterable<Events[Name]> };

/** A thing that tells events; see each class for its events. */
export class Emitter<Events extends EventMap> {
  readonly #entries = new Map<keyof Events, Entry<never>[]>();
  readonly #standing: Standing<Events>;

  protected constructor(standing: Standing<Events> = {}) {
    this.#standing = standing;
  }

  /** Adds a listener; what is returned removes it. */
  on<Name extends keyof Events>(event: Name, listener: (...args: Events[Name]) => void): () => void {
    return this.#add(event, listener, false);
  }

  /** Adds a listener that is called one time. */
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
      // Its own microtask is about to tell it everything, this included, in order.
      if (standing && entry.catchingUp) continue;
      this.#tell(event, entry, args, standing);
    }
  }

  /** @internal */
  removeAllListeners(): void {
    this.#entries.clear();
  }

  #add<Name extends keyof Events>(event: Name, listener: Listener<Events[Name]>, once: boolean): () => void {
    const standing = this.#standing[event];
    const entry: Entry<Events[Name]> = { listener, once, told: new WeakSet(), catchingUp: standing !== undefined };
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
    for (const args of [...standing()]) this.#tell(event, entry, args, true);
  }

  #tell<Name extends keyof Events>(
    event: Name,
    entry: Entry<Events[Name]>,
    args: Events[Name],
    standing: boolean,
  ): void {
    if (!this.#list(event).includes(entry)) return;
    const subject = args[0];
    if (standing && typeof subject === "object" && subject !== null) {
      if (entry.told.has(subject)) return;
      entry.told.add(subject);
    }
    if (entry.once) this.#remove(event, entry);
    try {
      entry.listener(...args);
    } catch (error) {
      // A listener that throws must not keep the others from hearing; the page's own error handling sees it.
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
