// The page for votes: one candidate at a time, or a grid of a class. Votes leave through outbox.js.
"use strict";

const LEAST_AHEAD = 4; // candidates that the page has in advance
const N_ASKED = 8; // candidates in one answer
const RUN = 24; // candidates of one class, after which another one is asked about
const MAX_HISTORY = 200; // votes that can be undone
const TINY = 100; // pixels; a smaller picture is enlarged so that its pixels are to be seen
const PROGRESS_EVERY = 1500; // milliseconds between two requests
const WORDS = { yes: "Yes", no: "No", unsure: "Unsure", "": "" };
const DONE = "has enough votes";
const VERDICT_OF_KEY = { y: "yes", n: "no", u: "unsure" };

const find = (id) => document.getElementById(id);
const isDecisive = (verdict) => verdict === "yes" || verdict === "no";
const writeNumber = (number) => number.toLocaleString("en");
const countVotes = (number) => (number === 1 ? "1 vote" : `${writeNumber(number)} votes`);

// Return the answer to a request as JSON. Raises the sentence of the server if there is none.
async function ask(address, request) {
  const options = request ? { method: "POST", body: JSON.stringify(request) } : {};
  let response;
  try {
    response = await fetch(address, options);
  } catch {
    throw new Error("The server cannot be reached.");
  }
  if (response.status === 403) {
    throw new Error(ENDED);
  }
  if (!response.ok) {
    throw new Error((await response.text()).trim());
  }
  return response.json();
}
// Say what becomes of votes that are not saved yet.
function describeWaiting(nWaiting, hasEnded, isKept) {
  const [it, is, them] = nWaiting === 1 ? ["it", "is", "it"] : ["they", "are", "them"];
  if (isKept && hasEnded) {
    return `This browser keeps ${them}, and the new page sends ${them}.`;
  }
  if (isKept) {
    return `This browser keeps ${them}, and ${it} ${is} sent again.`;
  }
  if (hasEnded) {
    return `This browser keeps nothing, so ${it} ${is} lost: vote again at the new address.`;
  }
  return `This browser keeps nothing, so leave the page open: ${it} ${is} sent again.`;
}

// How long the picture has been in view, while the page is not hidden.
class Stopwatch {
  start() {
    this.total = 0;
    this.begin = document.hidden ? null : performance.now();
  }

  stop() {
    this.total = null;
    this.begin = null;
  }

  pause() {
    if (this.begin !== null && this.begin !== undefined) {
      this.total += performance.now() - this.begin;
      this.begin = null;
    }
  }

  resume() {
    if (typeof this.total === "number" && this.begin === null) {
      this.begin = performance.now();
    }
  }

  // Seconds; null while the picture is not there.
  read() {
    if (typeof this.total !== "number") {
      return null;
    }
    const running = this.begin === null ? 0 : performance.now() - this.begin;
    return Math.round(this.total + running) / 1000;
  }
}

// The votes of this tab that can be undone, also after a reload.
class VoteHistory {
  constructor(key, edition) {
    this.key = key;
    const kept = browserStorage.read("sessionStorage", key) ?? {};
    this.edition = edition;
    this.votes = kept.edition === edition ? kept.votes : [];
  }

  add(vote) {
    this.votes.push(vote);
    this.votes.splice(0, this.votes.length - MAX_HISTORY);
    this.keep();
  }

  take() {
    const vote = this.votes.pop();
    this.keep();
    return vote;
  }

  // Remember what the server answered to a vote.
  answer(id, result) {
    const vote = this.votes.find((other) => other.id === id);
    if (vote) {
      vote.undo = { at: result.at, former: result.former };
      this.keep();
    }
  }

  keep() {
    const { edition, votes } = this;
    browserStorage.write("sessionStorage", this.key, { edition, votes });
  }
}

class VotingPage {
  constructor() {
    const { dataset, votes, annotator, edition, now } = document.body.dataset;
    this.dataset = dataset;
    this.nVotes = Number(votes);
    this.clockDifference = Number(now) / 1000 - Date.now(); // of the server, in milliseconds
    this.lastTime = 0;
    this.nameKey = "cnlw-votes/name";
    this.name = annotator || browserStorage.read("localStorage", this.nameKey) || "";
    this.classes = [];
    this.label = null; // of the chosen class; null: all
    this.trail = []; // candidates that were shown or will be, in order
    this.place = 0; // of the one that is shown
    this.examples = new Map(); // by label: promises of addresses
    this.stopwatch = new Stopwatch();
    this.history = new VoteHistory(`cnlw-votes/${dataset}/history`, edition);
    this.missing = new Map(); // by row: votes of yes and no that a candidate lacks
    this.nCounted = 0; // votes that were counted here before the server had them
    this.generation = 0; // counts choices of a class or a person
    this.isGrid = false;
    this.gridChoseClass = false; // the person did not, and goes back to all classes after the grid
    this.rowFromGrid = null; // of the candidate that was opened from the grid
    this.refusal = ""; // what was said of a vote that was refused; it stays in view
    this.gridRows = { rows: [], image_ids: [], verdicts: [] };
    this.outbox = new Outbox({
      dataset,
      saved: (op, result) => this.#noteSaved(op, result),
      refused: (op, sentence) => this.#noteRefused(sentence),
      report: (state) => this.#reportSaving(state),
    });
    this.#listen();
    this.#showName();
  }

  async start() {
    if (!this.name) {
      this.#askName();
      return;
    }
    const progress = this.#updateProgress();
    if (location.hash) {
      await progress;
      this.#restorePlace();
    }
    this.#fill();
    this.show();
  }

  // Go on with the class and the grid that the address names.
  #restorePlace() {
    const place = new URLSearchParams(location.hash.slice(1));
    const label = Number(place.get("class") ?? NaN);
    if (!this.classes[label]) {
      return;
    }
    this.label = label;
    find("class-menu").value = label;
    this.#showProgress();
    if (place.has("grid")) {
      this.#toggleGrid();
    }
  }

  // Write the class and the grid into the address, so that a reload finds them again.
  #keepPlace() {
    const grid = this.isGrid ? "&grid" : "";
    const address = location.pathname + location.search;
    const place = this.label === null ? "" : `#class=${this.label}${grid}`;
    history.replaceState(null, "", address + place);
  }

  get current() {
    return this.trail[this.place];
  }

  // ---- one candidate ----

  show() {
    const candidate = this.current;
    this.stopwatch.stop();
    for (const button of document.querySelectorAll("[data-verdict]")) {
      button.disabled = !candidate;
      button.setAttribute("aria-pressed", String(candidate?.verdict === button.dataset.verdict));
    }
    find("previous").disabled = this.place === 0;
    find("next").disabled = !candidate;
    find("undo").disabled = !this.history.votes.length;
    find("grid-undo").disabled = !this.history.votes.length;
    this.#showPicture(candidate);
    this.#showQuestion(candidate);
    this.#preload();
  }

  #showPicture(candidate) {
    const picture = find("picture");
    if (!candidate) {
      picture.hidden = true;
      picture.removeAttribute("src");
      find("message").textContent = this.#describeEnd();
      if (this.isExhausted && this.trail.every((other) => other.verdict)) {
        this.#showEnding();
      }
      return;
    }
    find("message").textContent = "";
    picture.hidden = false;
    const address = `pictures/${candidate.row}.jpg`;
    picture.alt = `Candidate for the class ${this.#className(candidate.label)}`;
    if (picture.getAttribute("src") === address && picture.complete && picture.naturalWidth) {
      this.stopwatch.start();
    } else {
      picture.removeAttribute("src"); // so that the one before disappears at once
      picture.src = address;
    }
  }

  #describeEnd() {
    if (!this.isExhausted) {
      return this.problem || "Loading ...";
    }
    const nSkipped = this.trail.filter((candidate) => !candidate.verdict).length;
    if (nSkipped) {
      const noun = nSkipped === 1 ? "one candidate" : `${nSkipped} candidates`;
      return `You passed ${noun} without a vote: press ← to go back.`;
    }
    const place = this.label === null ? "" : ` in the class ${this.#className(this.label)}`;
    return (
      `Nothing is left for you to vote on${place}. ` +
      `Each candidate has ${this.#describeVotes()} of yes or no, or a vote of yours. Thank you. ` +
      "If candidates were fetched after `cnlw votes annotate` was started, " +
      "start it again to see them."
    );
  }

  // Say how much red noise the votes allow, and which command comes next.
  async #showEnding() {
    const { generation } = this;
    const { level, command } = await ask("end").catch(() => ({}));
    if (generation !== this.generation || this.current || !command) {
      return;
    }
    const code = document.createElement("code");
    for (const word of command.split(" ")) {
      const part = document.createElement("span"); // it does not break at a hyphen
      part.textContent = word;
      code.append(part, " ");
    }
    const text = document.createElement("p");
    text.append(`${level} When everyone has finished, run: `, code);
    find("message").querySelector("p")?.remove(); // if the page was drawn twice while it asked
    find("message").append(text);
  }

  #showQuestion(candidate) {
    find("ask").textContent = candidate
      ? `Does this picture show: ${this.#className(candidate.label)}?`
      : "";
    const box = find("examples");
    if (!candidate) {
      box.replaceChildren();
      box.removeAttribute("data-label");
      return;
    }
    this.#showExamples(box, candidate.label);
  }

  // Show pictures of a class in a box, unless they are there.
  async #showExamples(box, label) {
    if (box.dataset.label === String(label)) {
      return;
    }
    box.dataset.label = label;
    box.replaceChildren();
    let addresses = [];
    try {
      ({ pictures: addresses } = await this.#loadExamples(label));
    } catch {
      this.examples.delete(label); // the next candidate of the class asks again
    }
    if (box.dataset.label !== String(label)) {
      return;
    }
    const name = this.#className(label);
    box.setAttribute("aria-label", `Pictures that show ${name}`);
    const children = addresses.map((address, i) => {
      const picture = document.createElement("img");
      picture.src = address;
      picture.alt = `Example ${i + 1} of ${name}`;
      return picture;
    });
    if (children.length) {
      const note = document.createElement("p");
      note.className = "faint";
      note.textContent = "Examples of this class";
      children.push(note);
    }
    box.replaceChildren(...children);
  }

  #loadExamples(label) {
    if (!this.examples.has(label)) {
      this.examples.set(label, ask(`examples/${label}`));
    }
    return this.examples.get(label);
  }

  #preload() {
    for (const candidate of this.trail.slice(this.place + 1, this.place + 3)) {
      new Image().src = `pictures/${candidate.row}.jpg`;
    }
  }

  // Ask for more candidates if few are left.
  async #fill() {
    if (this.isFilling || this.isExhausted || this.trail.length - this.place > LEAST_AHEAD) {
      return;
    }
    this.isFilling = true;
    const { generation } = this;
    const unanswered = this.trail.filter((other) => !other.verdict).map((other) => other.row);
    const held = [...unanswered, ...this.outbox.waitingRows()];
    const { name, label } = this;
    const { page } = this.outbox;
    const request = { name, page, label, first_label: this.#firstLabel(), n: N_ASKED, held };
    let candidates = null;
    try {
      ({ candidates } = await ask("next", request));
      this.problem = "";
    } catch (error) {
      this.problem = error.message;
      setTimeout(() => this.#fill(), 2000);
    }
    this.isFilling = false;
    if (generation !== this.generation) {
      this.#fill();
    } else if (candidates) {
      this.#extend(candidates);
    }
    if (!this.current) {
      this.show();
    }
  }

  // The class to ask about: that of the last candidates; after a run of it, the one behind it.
  #firstLabel() {
    const label = this.trail.at(-1)?.label ?? null;
    const rest = this.trail.slice(-RUN);
    const isOver = rest.length === RUN && rest.every((candidate) => candidate.label === label);
    return isOver ? label + 1 : label;
  }

  #extend(candidates) {
    const wasEmpty = !this.current;
    for (const { row, missing } of candidates) {
      this.missing.set(row, missing);
    }
    const rows = new Set(this.trail.map((other) => other.row));
    const unseen = candidates.filter((candidate) => !rows.has(candidate.row));
    this.trail.push(...unseen.map((candidate) => ({ ...candidate, verdict: "" })));
    this.isExhausted = !unseen.length;
    if (wasEmpty || this.isExhausted) {
      this.show();
    } else {
      this.#preload();
    }
  }

  move(step) {
    const place = this.place + step;
    if (place < 0 || place > this.trail.length || (step > 0 && !this.current)) {
      return;
    }
    this.place = place;
    this.show();
    this.#fill();
  }

  vote(verdict) {
    const candidate = this.current;
    if (!candidate || this.outbox.hasEnded) {
      return;
    }
    this.#give(candidate, verdict, this.stopwatch.read());
    this.move(1);
  }

  #give(candidate, verdict, seconds) {
    const { row, image_id, label } = candidate;
    const id = `${this.outbox.page}/${this.#time()}`;
    const at = this.lastTime;
    const before = candidate.verdict;
    this.history.add({ id, name: this.name, row, image_id, label, before, verdict });
    this.#count(candidate, before, verdict);
    this.outbox.add({ id, name: this.name, row, image_id, label, verdict, seconds, at });
    candidate.verdict = verdict;
  }

  // The time by the clock of the server in microseconds; no two votes have the same.
  #time() {
    const time = Math.round((Date.now() + this.clockDifference) * 1000);
    this.lastTime = Math.max(this.lastTime + 1, time);
    return this.lastTime;
  }

  undo() {
    const vote = this.outbox.hasEnded ? undefined : this.history.take();
    if (!vote) {
      return;
    }
    const { id, name, row, image_id, label, undo } = vote;
    if (!this.outbox.cancel(id)) {
      this.outbox.add({ id: `undo ${id}`, name, image_id, label, undoes: id, undo });
    }
    const verdict = vote.before || undo?.former?.verdict || "";
    this.#count(vote, vote.verdict, verdict);
    this.#goTo({ row, image_id, label, verdict });
    this.#markInGrid(row, verdict);
    this.show();
  }

  // Show a candidate that was shown before, or that comes from the grid.
  #goTo(candidate) {
    const place = this.trail.findIndex((other) => other.row === candidate.row);
    if (place >= 0) {
      this.trail[place].verdict = candidate.verdict;
      this.place = place;
    } else {
      this.trail.splice(this.place, 0, candidate);
    }
  }

  // ---- saving and progress ----

  #noteSaved(op, result) {
    this.history.answer(op.id, result);
    this.#requestProgress();
  }

  #noteRefused(sentence) {
    this.refusal = `A vote was refused: ${sentence}`;
  }

  #reportSaving({ nWaiting, problem, hasEnded, isKept }) {
    const box = find("saving");
    const noun = nWaiting === 1 ? "One vote is" : `${nWaiting} votes are`;
    const kept = `${noun} not saved yet. ${problem} ${describeWaiting(nWaiting, hasEnded, isKept)}`;
    const waiting = nWaiting ? kept : problem;
    const text = problem ? waiting : this.refusal;
    box.hidden = !text;
    if (text && box.textContent !== text) {
      box.textContent = text; // read aloud once
    }
    document.body.dataset.waiting = nWaiting;
  }

  #showProblem(sentence) {
    find("saving").hidden = false;
    find("saving").textContent = sentence;
  }

  #requestProgress() {
    if (!this.progressTimer) {
      this.progressTimer = setTimeout(() => {
        this.progressTimer = null;
        this.#updateProgress();
      }, PROGRESS_EVERY);
    }
  }

  // Ask how far all classes are, unless votes are on their way, which the page has counted itself.
  async #updateProgress() {
    if (this.classes.length && this.outbox.ops.length) {
      this.#requestProgress();
      return;
    }
    const { nCounted } = this;
    let classes;
    try {
      ({ classes } = await ask(`progress?name=${encodeURIComponent(this.name)}`));
    } catch {
      return; // the outbox says that the server is lost
    }
    if (nCounted !== this.nCounted) {
      this.#requestProgress();
      return;
    }
    this.classes = classes;
    this.#fillMenu();
    this.#showProgress();
    if (this.current && find("ask").textContent === "") {
      this.show();
    }
  }

  // Count what a person said of a candidate before the server does.
  #count({ row, label }, before, after) {
    const entry = this.classes[label];
    this.nCounted += 1;
    if (!entry) {
      return;
    }
    const missing = this.missing.get(row) ?? 0;
    const left = missing + isDecisive(before) - isDecisive(after);
    this.missing.set(row, left);
    entry.n_given += Math.max(0, missing) - Math.max(0, left);
    entry.n_complete += (left <= 0) - (missing <= 0);
    entry.n_own += (after !== "") - (before !== "");
    entry.n_open += (after === "" && left > 0) - (before === "" && missing > 0);
    this.#fillMenu();
    this.#showProgress();
  }

  #fillMenu() {
    const menu = find("class-menu");
    this.classes.forEach(({ name, n_complete, n_candidates }, label) => {
      let option = menu.options[label + 1];
      if (!option) {
        option = new Option("", label);
        menu.add(option);
      }
      option.text = `${name} (${n_complete} of ${n_candidates})`;
    });
    this.#showQuestion(this.current);
  }

  #showProgress() {
    const chosen = this.label === null ? this.classes : [this.classes[this.label]];
    const sum = (key) => chosen.reduce((total, entry) => total + entry[key], 0);
    const [nGiven, nOwn, nOpen] = ["n_given", "n_own", "n_open"].map(sum);
    const nNeeded = sum("n_candidates") * this.nVotes;
    const place = this.label === null ? "" : `${this.#className(this.label)}: `;
    find("progress").textContent =
      `${place}${writeNumber(nGiven)} of ${countVotes(nNeeded)}; ` +
      `you: ${countVotes(nOwn)}, ${writeNumber(nOpen)} to go`;
    find("bar-filled").style.width = `${nNeeded ? (100 * nGiven) / nNeeded : 0}%`;
  }

  #describeVotes() {
    return this.nVotes === 1 ? "one vote" : `${this.nVotes} votes`;
  }

  #className(label) {
    return this.classes[label]?.name ?? "";
  }

  // ---- person and class ----

  #showName() {
    find("name").textContent = this.name || "Name";
  }

  #askName() {
    find("name-field").value = this.name;
    find("name-error").textContent = "";
    find("name-cancel").hidden = !this.name;
    find("name-dialog").showModal();
  }

  // Take the name of the dialog if the server accepts it.
  async #takeName() {
    const name = find("name-field").value.trim();
    try {
      await ask(`progress?name=${encodeURIComponent(name)}`);
    } catch (error) {
      find("name-error").textContent = error.message;
      return;
    }
    find("name-dialog").close();
    browserStorage.write("localStorage", this.nameKey, name);
    if (name !== this.name) {
      this.name = name;
      this.#showName();
      this.#restart();
    }
  }

  // Drop the candidates that are still to come, since they were chosen for another person or class.
  #restart() {
    this.generation += 1;
    this.trail = this.trail.slice(0, this.place);
    this.isExhausted = false;
    this.show();
    this.#updateProgress();
    this.#fill();
    if (this.isGrid) {
      this.#loadGrid();
    }
  }

  #chooseClass() {
    const { value } = find("class-menu");
    this.label = value === "" ? null : Number(value);
    find("class-menu").blur(); // so that letters are votes again
    this.gridChoseClass = false;
    this.rowFromGrid = null;
    if (this.isGrid && this.label === null) {
      this.#toggleGrid();
    }
    this.#keepPlace();
    this.#restart();
  }

  // ---- the grid of a class ----

  #toggleGrid() {
    const candidate = this.current ?? this.trail[this.place - 1];
    if (!this.isGrid && this.label === null && !candidate) {
      return;
    }
    this.isGrid = !this.isGrid;
    if (this.isGrid && this.label === null) {
      this.label = candidate.label;
      this.gridChoseClass = true;
    } else if (!this.isGrid && this.gridChoseClass) {
      this.label = null;
      this.gridChoseClass = false;
    }
    find("class-menu").value = this.label ?? "";
    find("grid-toggle").setAttribute("aria-pressed", String(this.isGrid));
    find("single").hidden = this.isGrid;
    find("grid-view").hidden = !this.isGrid;
    this.#keepPlace();
    this.#showProgress();
    if (this.isGrid) {
      this.#loadGrid();
    } else {
      this.#leaveGrid();
    }
  }

  // Go on with one candidate at a time; those that got a vote in the grid do not come again.
  #leaveGrid() {
    const ahead = this.trail.slice(this.place).filter((candidate) => !candidate.verdict);
    this.trail = [...this.trail.slice(0, this.place), ...ahead];
    this.show();
    this.#fill();
  }

  async #loadGrid() {
    const { label } = this;
    let answer;
    try {
      answer = await ask("class", { name: this.name, label });
    } catch (error) {
      this.#showProblem(error.message);
      return;
    }
    if (label !== this.label) {
      return;
    }
    this.gridRows = answer;
    answer.rows.forEach((row, index) => this.missing.set(row, answer.missing[index]));
    this.#showExamples(find("grid-examples"), label);
    find("grid-ask").textContent = `Which pictures show: ${this.#className(label)}?`;
    this.grid ??= this.#makeGrid();
    this.grid.setCount(answer.rows.length);
    const index = answer.rows.indexOf(this.rowFromGrid);
    if (index >= 0) {
      this.grid.focus(index);
    }
    find("grid").focus();
  }

  #makeGrid() {
    const element = find("grid");
    element.addEventListener("keydown", () => (this.isTapped = false), { capture: true });
    element.addEventListener("pointerdown", () => (this.isTapped = true), { capture: true });
    return new PictureGrid(element, {
      cellSize: 150,
      captionHeight: 24,
      count: 0,
      drawCell: (cell, index) => this.#drawCell(cell, index),
      focusCell: (index) => {
        this.isNewlyFocused = index !== this.focusedIndex;
        this.focusedIndex = index;
      },
      openCell: (index) => this.#openCell(index),
    });
  }

  #drawCell(cell, index) {
    const verdict = this.gridRows.verdicts[index];
    cell.showPicture(`thumbnails/${this.gridRows.rows[index]}.jpg`);
    cell.dataset.voted = verdict;
    const isDone = this.missing.get(this.gridRows.rows[index]) <= 0;
    cell.dataset.done = isDone;
    cell.caption.textContent = WORDS[verdict] || (isDone ? DONE : "");
    const said = verdict ? `, your vote: ${WORDS[verdict]}` : "";
    const done = isDone ? `, ${DONE}` : "";
    cell.setAttribute("aria-label", `Candidate ${index + 1}${said}${done}`);
  }

  // The first tap chooses a picture; a second one, or Enter, shows it large.
  #openCell(index) {
    if (this.isTapped && this.isNewlyFocused) {
      return;
    }
    const { rows, image_ids, verdicts } = this.gridRows;
    const candidate = { row: rows[index], image_id: image_ids[index], label: this.label };
    this.#toggleGrid();
    this.#goTo({ ...candidate, verdict: verdicts[index] });
    this.rowFromGrid = candidate.row;
    this.show();
  }

  // Go back to the grid from which a candidate was opened.
  #returnToGrid() {
    const candidate = this.trail.find((other) => other.row === this.rowFromGrid);
    if (candidate && this.label === null) {
      this.label = candidate.label;
      this.gridChoseClass = true;
    }
    this.#toggleGrid();
  }

  #voteInGrid(verdict) {
    const index = this.grid?.focused ?? -1;
    if (index < 0 || this.outbox.hasEnded) {
      return;
    }
    const { rows, image_ids, verdicts } = this.gridRows;
    const shown = this.trail.find((other) => other.row === rows[index]);
    const candidate = shown ?? { row: rows[index], image_id: image_ids[index], label: this.label };
    candidate.verdict = verdicts[index];
    this.#give(candidate, verdict, null);
    this.#markInGrid(rows[index], verdict);
    this.grid.focus(index + 1);
    find("grid-undo").disabled = false;
  }

  #markInGrid(row, verdict) {
    const index = this.gridRows.rows.indexOf(row);
    if (index >= 0) {
      this.gridRows.verdicts[index] = verdict;
      if (this.isGrid) {
        this.grid.focus(index);
        this.grid.redrawCell(index);
      }
    }
  }

  // ---- events ----

  #listen() {
    const picture = find("picture");
    picture.addEventListener("load", () => {
      this.stopwatch.start();
      const isTiny = Math.max(picture.naturalWidth, picture.naturalHeight) < TINY;
      picture.classList.toggle("enlarged", isTiny);
    });
    picture.addEventListener("error", () => this.#passBroken(picture.getAttribute("src")));
    for (const button of document.querySelectorAll("[data-verdict]")) {
      button.addEventListener("click", () => this.vote(button.dataset.verdict));
    }
    for (const button of document.querySelectorAll("[data-grid-verdict]")) {
      button.addEventListener("click", () => this.#voteInGrid(button.dataset.gridVerdict));
    }
    find("undo").addEventListener("click", () => this.undo());
    find("grid-undo").addEventListener("click", () => this.undo());
    find("previous").addEventListener("click", () => this.move(-1));
    find("next").addEventListener("click", () => this.move(1));
    find("grid-toggle").addEventListener("click", () => this.#toggleGrid());
    find("name").addEventListener("click", () => this.#askName());
    find("class-menu").addEventListener("change", () => this.#chooseClass());
    find("name-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#takeName();
    });
    find("name-cancel").addEventListener("click", () => find("name-dialog").close());
    find("name-dialog").addEventListener("cancel", (event) => {
      if (!this.name) {
        event.preventDefault();
      }
    });
    document.addEventListener("keydown", (event) => this.#handleKey(event));
    document.addEventListener("visibilitychange", () =>
      document.hidden ? this.stopwatch.pause() : this.stopwatch.resume(),
    );
  }

  // A picture that the server does not have is left out; if the server is lost, the page waits.
  async #passBroken(address) {
    if (!address) {
      return;
    }
    const response = await fetch(address).catch(() => null);
    const { current } = this;
    if (!current || address !== `pictures/${current.row}.jpg`) {
      return;
    }
    if (response?.status === 404) {
      this.trail.splice(this.place, 1);
      this.show();
      this.#fill();
      return;
    }
    find("picture").hidden = true;
    if (response?.status === 403) {
      find("message").textContent = ENDED;
      return;
    }
    find("message").textContent = "The picture cannot be loaded now. The page will try again.";
    setTimeout(() => current === this.current && this.show(), 2000);
  }

  #handleKey(event) {
    const isTyping = event.target.closest("input, select, dialog");
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping || !this.name) {
      return;
    }
    const key = event.key.toLowerCase();
    const act = this.#actionOfKey(key);
    if (act) {
      event.preventDefault();
    }
    if (act && !event.repeat) {
      act(); // a key that is held down is one vote
    }
  }

  #actionOfKey(key) {
    const verdict = VERDICT_OF_KEY[key];
    if (verdict) {
      return () => (this.isGrid ? this.#voteInGrid(verdict) : this.vote(verdict));
    }
    if (key === "z" || key === "backspace") {
      return () => this.undo();
    }
    if (key === "g" || (key === "escape" && this.isGrid)) {
      return () => this.#toggleGrid();
    }
    if (key === "escape" && this.rowFromGrid !== null) {
      return () => this.#returnToGrid();
    }
    if (this.isGrid) {
      return null; // the grid moves by itself
    }
    return { arrowleft: () => this.move(-1), arrowright: () => this.move(1) }[key];
  }
}

new VotingPage().start();
