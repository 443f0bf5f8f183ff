/** Messages on their way to the office: sent one after another, kept until the office has them. */

const KEPT_AS = "motcua.unsent";
const TIME_LIMIT = 15_000;
const HOPELESS = new Set([400, 413]); // the same words would be refused again

/**
 * @typedef {{id: string, at: string, text?: string, pressed?: string, label?: string, refused?: boolean}} Letter
 */

export class Outbox {
  #unsent = new Map(load().map((letter) => [letter.id, letter]));
  #underWay = new Set();
  #line = Promise.resolve();
  #onState;

  /** @param {(id: string, state: "sending" | "sent" | "failed", reason?: string) => void} onState */
  constructor(onState) {
    this.#onState = onState;
  }

  /** @returns {Letter[]} what a reload found unsent, oldest first */
  get unsent() {
    return [...this.#unsent.values()];
  }

  /** @param {Letter} letter */
  send(letter) {
    this.#unsent.set(letter.id, letter);
    this.#keep();
    this.retry(letter.id);
  }

  /** @param {string} id the same id again is harmless: the office knows what it has */
  retry(id) {
    const letter = this.#unsent.get(id);
    if (!letter || this.#underWay.has(id)) return;
    this.#underWay.add(id);
    this.#onState(id, "sending");
    this.#line = this.#line.then(() => this.#post(letter));
  }

  retryAll() {
    for (const { id, refused } of this.unsent) if (!refused) this.retry(id);
  }

  /** @param {string} id the office has it */
  forget(id) {
    this.#unsent.delete(id);
    this.#keep();
  }

  async #post(letter) {
    const { id, text, pressed, label } = letter;
    try {
      const response = await fetch("/chat/messages", {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ id, text, pressed, label }),
        signal: AbortSignal.timeout(TIME_LIMIT),
      });
      if (response.ok) {
        this.forget(id);
        this.#onState(id, "sent");
        return;
      }
      const { message } = await response.json().catch(() => ({}));
      letter.refused = HOPELESS.has(response.status);
      this.#keep();
      this.#onState(id, "failed", message);
    } catch {
      this.#onState(id, "failed");
    } finally {
      this.#underWay.delete(id);
    }
  }

  #keep() {
    try {
      sessionStorage.setItem(KEPT_AS, JSON.stringify(this.unsent.filter(({ refused }) => !refused)));
    } catch {
      // storage is closed to us: what is unsent lives as long as the page
    }
  }
}

function load() {
  try {
    return JSON.parse(sessionStorage.getItem(KEPT_AS)) ?? [];
  } catch {
    return [];
  }
}
