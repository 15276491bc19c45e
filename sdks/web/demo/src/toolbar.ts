/** The buttons of a call and their keys. */
import { h, icon, type IconName } from "./element.js";

export interface Action {
  readonly id: string;
  /** The key with the same action. */
  readonly key: string;
  readonly label: string;
  readonly icon: IconName;
  readonly run: () => void;
  readonly danger?: boolean;
  /** False hides the button, where the browser does not support the action. */
  readonly available?: boolean;
}

export class Toolbar {
  readonly root: HTMLElement;
  readonly #buttons = new Map<string, HTMLButtonElement>();
  readonly #actions: readonly Action[];

  constructor(actions: readonly Action[]) {
    this.#actions = actions.filter((action) => action.available !== false);
    this.root = h("nav", { class: "toolbar", "aria-label": "Call controls" }, ...this.#actions.map((action) => this.#button(action)));
  }

  /** Sets label, icon and state of a button. */
  set(id: string, state: { readonly label: string; readonly icon: IconName; readonly pressed: boolean }): void {
    const button = this.#buttons.get(id);
    if (button === undefined) return;
    button.querySelector("svg")?.replaceWith(icon(state.icon));
    button.setAttribute("aria-pressed", String(state.pressed));
    const label = button.querySelector(".label");
    if (label !== null) label.textContent = state.label;
    const { title } = button.dataset;
    button.title = `${state.label} (${title ?? ""})`;
  }

  setBusy(id: string, busy: boolean): void {
    const button = this.#buttons.get(id);
    if (button !== undefined) button.disabled = busy;
  }

  setHidden(id: string, hidden: boolean): void {
    const button = this.#buttons.get(id);
    if (button !== undefined) button.hidden = hidden;
  }

  /** Handles keys, unless the user is typing or holds a modifier. */
  readonly onKey = (event: KeyboardEvent): void => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    const { target } = event;
    if (target instanceof HTMLElement && target.closest("input, select, textarea, dialog") !== null) return;
    const action = this.#actions.find(({ key }) => key === event.key.toLowerCase());
    const button = action === undefined ? undefined : this.#buttons.get(action.id);
    if (action === undefined || button?.disabled === true || button?.hidden === true) return;
    event.preventDefault();
    action.run();
  };

  #button(action: Action): HTMLButtonElement {
    const button = h(
      "button",
      {
        type: "button",
        class: action.danger === true ? "danger" : "",
        "data-action": action.id,
        "data-title": action.key,
        title: `${action.label} (${action.key})`,
        "aria-keyshortcuts": action.key,
        click: action.run,
      },
      icon(action.icon),
      h("span", { class: "label" }, action.label),
      h("kbd", { "aria-hidden": "true" }, action.key),
    );
    this.#buttons.set(action.id, button);
    return button;
  }
}
