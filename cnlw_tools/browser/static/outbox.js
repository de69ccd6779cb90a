// Votes on their way to the server. They lie in localStorage until the server has answered that
// they are on the disk, so that neither a reload nor a lost server loses one.
//
//     const outbox = new Outbox({
//       dataset: "flowers",
//       saved(op, result) { ... },     // the server has saved it
//       refused(op, sentence) { ... }, // it is not valid, and was dropped
//       report(state) { ... },         // { nWaiting, problem, hasEnded, isKept }: a sentence, or
//                                      // "" if all is well; whether votes cannot be sent from here
//                                      // any more; whether the browser keeps those that wait
//     });
//     outbox.add({ id, name, row, image_id, label, verdict, seconds, at });
//     outbox.add({ id, name, image_id, label, undoes: id of a vote, undo: { at, former } });
//
// Each page has an outbox of its own, and takes over those of pages that are gone. If the server
// does not know the address any more, since it was restarted, the page leaves its votes to the
// page at the new address.
"use strict";

const ENDED =
  "The server was restarted, so this address no longer works: open the new one that cnlw printed.";

// Storage of the browser, local or for the session. It may be full, or not allowed; then nothing is
// kept, and the page works without it.
const browserStorage = {
  // Return what was kept; null if nothing was, or it is damaged.
  read(kind, key) {
    try {
      return JSON.parse(window[kind].getItem(key));
    } catch {
      return null;
    }
  },

  // Keep a value; return whether that worked.
  write(kind, key, value) {
    try {
      window[kind].setItem(key, JSON.stringify(value));
    } catch {
      return false;
    }
    return true;
  },

  remove(kind, key) {
    try {
      window[kind].removeItem(key);
    } catch {
      // nothing was kept
    }
  },

  keys(kind) {
    try {
      return Object.keys(window[kind]);
    } catch {
      return [];
    }
  },
};

class Outbox {
  static MAX_SENT = 100; // at once
  static RETRY = [1000, 2000, 5000, 10000]; // milliseconds between two attempts
  static HEARTBEAT = 4000; // milliseconds; a page whose outbox is three times older is gone

  constructor(options) {
    this.options = options;
    this.prefix = `cnlw-votes/${options.dataset}/outbox/`;
    this.page = crypto.getRandomValues(new Uint32Array(2)).join("-");
    this.ops = [];
    this.nInFlight = 0;
    this.nFailures = 0;
    this.batchSize = Outbox.MAX_SENT;
    this.problem = "";
    this.isKept = true; // whether waiting votes are also in the storage of the browser
    this.hasEnded = false; // whether the server does not know this address any more
    const own = browserStorage.read("sessionStorage", "cnlw-votes/page");
    browserStorage.write("sessionStorage", "cnlw-votes/page", this.page);
    this.#takeOver(own, Date.now() - 3 * Outbox.HEARTBEAT);
    this.timerOfHeartbeat = setInterval(() => this.#beat(), Outbox.HEARTBEAT);
    window.addEventListener("online", () => this.#send());
    this.#send();
  }

  // Take a vote or an undoing, and send it.
  add(op) {
    this.ops.push(op);
    this.#keep();
    this.#report();
    this.#send();
  }

  // Take back a vote that has not been sent yet; return whether it was still here.
  cancel(id) {
    const place = this.ops.findIndex((op) => op.id === id);
    if (place < this.nInFlight || place < 0 || this.ops[place].wasSent) {
      return false;
    }
    this.ops.splice(place, 1);
    this.#keep();
    this.#report();
    return true;
  }

  // Return the rows of candidates whose votes the server may not have yet.
  waitingRows() {
    return this.ops.filter((op) => "verdict" in op).map((op) => op.row);
  }

  // Show that this page is there, and send what pages at an old address left. Others may be alive,
  // since a browser slows down the clock of a page that nobody sees.
  #beat() {
    this.#takeOver("", 1);
    this.#send();
  }

  // Take over what this tab left when it was reloaded, and what pages left that are gone: those
  // that were there last before a time, in milliseconds.
  #takeOver(own, oldest) {
    for (const key of browserStorage.keys("localStorage")) {
      const kept = key.startsWith(this.prefix) ? browserStorage.read("localStorage", key) : null;
      if (!kept) {
        continue;
      }
      const { touched, ops } = kept;
      const isOther = key !== this.prefix + this.page;
      if (isOther && (key === this.prefix + own || touched < oldest)) {
        this.ops.push(...ops);
        browserStorage.remove("localStorage", key);
      }
    }
    this.#keep();
  }

  #keep() {
    const key = this.prefix + this.page;
    if (this.hasEnded) {
      return; // the page at the new address has these votes
    }
    if (this.ops.length) {
      const kept = { touched: Date.now(), ops: this.ops };
      this.isKept = browserStorage.write("localStorage", key, kept);
    } else {
      browserStorage.remove("localStorage", key);
    }
  }

  #report() {
    const { problem, hasEnded, isKept } = this;
    this.options.report({ nWaiting: this.ops.length, problem, hasEnded, isKept });
  }

  // The first votes of one person that can be sent: no undoing before the vote has been answered.
  #nextBatch() {
    const batch = [];
    for (const op of this.ops.slice(0, this.batchSize)) {
      if (op.name !== this.ops[0].name || ("undoes" in op && !op.undo)) {
        break;
      }
      batch.push(op);
    }
    return batch;
  }

  async #send() {
    if (this.nInFlight || !this.ops.length || this.hasEnded) {
      return;
    }
    clearTimeout(this.timer);
    const batch = this.#nextBatch();
    if (!batch.length) {
      this.ops.shift(); // the vote that it undoes was refused
      this.#keep();
      this.#send();
      return;
    }
    this.nInFlight = batch.length;
    for (const op of batch) {
      op.wasSent = true;
    }
    const answer = await this.#post(batch);
    this.nInFlight = 0;
    if (answer.results) {
      this.#finish(batch, answer.results);
    } else if (answer.status === 403) {
      this.#leave();
    } else if (answer.status === 400) {
      this.#refuse(batch, answer.sentence);
    } else {
      this.#wait(answer.sentence);
    }
    this.#report();
  }

  // Return { results }, or { status, sentence } if the votes were not saved.
  async #post(batch) {
    const votes = batch.map(({ image_id, label, verdict, seconds, at, undo }) =>
      undo ? { image_id, label, undo } : { image_id, label, verdict, seconds, at },
    );
    try {
      const response = await fetch("votes", {
        method: "POST",
        body: JSON.stringify({ name: batch[0].name, votes }),
      });
      if (response.ok) {
        return await response.json();
      }
      return { status: response.status, sentence: (await response.text()).trim() };
    } catch {
      return { status: 0, sentence: "The server cannot be reached." };
    }
  }

  #finish(batch, results) {
    this.ops.splice(0, batch.length);
    this.nFailures = 0;
    this.problem = "";
    this.batchSize = Outbox.MAX_SENT;
    batch.forEach((op, i) => {
      const { at, former } = results[i];
      for (const other of this.ops) {
        if (other.undoes === op.id) {
          other.undo = { at, former };
        }
      }
      this.options.saved(op, results[i]);
    });
    this.#keep();
    this.#send();
  }

  // Find the vote that is not valid by sending one at a time, and drop it.
  #refuse(batch, sentence) {
    if (batch.length > 1) {
      this.batchSize = 1;
    } else {
      this.ops.shift();
      this.#keep();
      this.options.refused(batch[0], sentence);
    }
    this.#send();
  }

  // Leave the votes to the page at the new address.
  #leave() {
    const kept = { touched: 0, ops: this.ops };
    this.isKept = browserStorage.write("localStorage", this.prefix + this.page, kept);
    clearInterval(this.timerOfHeartbeat);
    this.hasEnded = true;
    this.problem = ENDED;
  }

  #wait(sentence) {
    const delay = Outbox.RETRY[Math.min(this.nFailures, Outbox.RETRY.length - 1)];
    this.nFailures += 1;
    this.problem = sentence;
    this.timer = setTimeout(() => this.#send(), delay);
  }
}
