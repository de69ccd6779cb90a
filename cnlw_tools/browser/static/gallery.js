// A page of pictures: filters, an order, the grid, and the large picture. What it shows is in
// items.js, which defines ITEMS (browser/items.py says what it holds). The choices of the user are
// in the fragment of the address, so that a reload or a link shows the same.
"use strict";

const MAX_OPTIONS = 500; // of one choice: the first ones, which are the most common where it counts
const SEARCH_PAUSE = 150; // milliseconds without a key before the pictures are searched
const SMALL_CELL = 110; // pixels of a cell on a narrow screen, so that three are in a row
const TONES = new Map([
  ["wrong", "bad"],
  ["does not show it", "bad"],
  ["shows it", "good"],
  ["undecided", "unsure"],
]); // of the marks of pictures
const SIZES = ["96", "160", "260"]; // pixels of a cell
const NARROW = 500; // pixels of a narrow screen

// ---- Columns ------------------------------------------------------------------------------------

function decodeArray(block) {
  const text = atob(block.data);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i += 1) {
    bytes[i] = text.charCodeAt(i);
  }
  const types = { 1: Uint8Array, 2: Uint16Array, 4: Uint32Array };
  return new types[block.bytes](bytes.buffer);
}

function decodeNumbers(data) {
  return new Float32Array(decodeArray({ bytes: 1, data }).buffer);
}

function decodeColumn(block) {
  if (block.kind === "text") {
    return { kind: "text", values: block.values, codes: decodeArray(block.codes) };
  }
  if (block.kind === "number") {
    return { kind: "number", numbers: decodeNumbers(block.numbers), digits: block.digits };
  }
  const fields = {};
  for (const [name, field] of Object.entries(block.fields)) {
    fields[name] = decodeColumn(field);
  }
  const starts = decodeArray(block.starts);
  return { kind: "list", fields, starts, codes: decodeArray(block.codes) };
}

const columns = {};
for (const [name, block] of Object.entries(ITEMS.columns)) {
  columns[name] = decodeColumn(block);
}
const hasPicture = ITEMS.hasPicture && decodeArray(ITEMS.hasPicture);
const hasThumbnail = ITEMS.hasThumbnail && decodeArray(ITEMS.hasThumbnail);
const suffixes = ITEMS.suffixes && decodeColumn(ITEMS.suffixes);
const nameColumn = columns[ITEMS.name];

// Return the value of a column for an item, as a text.
function describe(column, item) {
  if (column.kind === "text") {
    return column.values[column.codes[item]];
  }
  const number = column.numbers[item];
  if (Number.isNaN(number)) {
    return "";
  }
  const digits = column.digits;
  const options = { minimumFractionDigits: digits, maximumFractionDigits: digits };
  return number.toLocaleString("en", options);
}

// Return the entries of a list as lines: the first field, then the others behind a colon.
function describeList(column, item, names) {
  const list = column.codes[item];
  const lines = [];
  for (let entry = column.starts[list]; entry < column.starts[list + 1]; entry += 1) {
    const [first, ...others] = names.map((name) => describe(column.fields[name], entry));
    const rest = others.filter((text) => text !== "").join(", ");
    lines.push(rest ? `${first}: ${rest}` : first);
  }
  return lines.join("\n");
}

// ---- Choices ------------------------------------------------------------------------------------

const choices = { sort: "", search: "", size: "160" }; // and each filter by its name
let shownItem = -1; // whose large picture is shown

function readAddress() {
  const parameters = new URLSearchParams(location.hash.slice(1));
  for (const { name } of ITEMS.filters) {
    choices[name] = parameters.get(name) ?? "";
  }
  choices.sort = parameters.get("sort") ?? "";
  choices.search = parameters.get("search") ?? "";
  const size = parameters.get("size");
  choices.size = SIZES.includes(size) ? size : "160";
  const picture = Number.parseInt(parameters.get("picture") ?? "-1", 10);
  shownItem = picture >= 0 && picture < ITEMS.count ? picture : -1;
}

function writeAddress() {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(choices)) {
    if (value && !(name === "size" && value === "160")) {
      parameters.set(name, value);
    }
  }
  if (shownItem >= 0) {
    parameters.set("picture", shownItem);
  }
  history.replaceState(null, "", `#${parameters}`);
}

// ---- Which items match --------------------------------------------------------------------------

// Return for each entry of the lists of a column whether it matches all filters.
function matchEntries(column, filters) {
  const { starts } = column;
  const matches = new Uint8Array(starts[starts.length - 1]).fill(1);
  for (const filter of filters) {
    const { codes, values } = column.fields[filter.field];
    const code = values.indexOf(choices[filter.name]);
    for (let entry = 0; entry < matches.length; entry += 1) {
      if (codes[entry] !== code) {
        matches[entry] = 0;
      }
    }
  }
  return matches;
}

// Return for each list whether an entry matches all filters of the column.
function matchLists(column, filters) {
  const { starts } = column;
  const isMatch = matchEntries(column, filters);
  const matches = new Uint8Array(starts.length - 1);
  for (let list = 0; list < matches.length; list += 1) {
    for (let entry = starts[list]; entry < starts[list + 1]; entry += 1) {
      matches[list] |= isMatch[entry];
    }
  }
  return matches;
}

// Return whether an item passes, by the code of a column, for each condition that is set.
function makeConditions() {
  const conditions = [];
  const listFilters = new Map();
  for (const filter of ITEMS.filters) {
    if (!choices[filter.name]) {
      continue;
    }
    const column = columns[filter.column];
    if (filter.field) {
      listFilters.set(filter.column, [...(listFilters.get(filter.column) ?? []), filter]);
    } else {
      const passes = new Uint8Array(column.values.length);
      const code = column.values.indexOf(choices[filter.name]);
      if (code >= 0) {
        passes[code] = 1;
      }
      conditions.push({ name: filter.column, codes: column.codes, passes });
    }
  }
  for (const [name, filters] of listFilters) {
    const column = columns[name];
    conditions.push({ name, codes: column.codes, passes: matchLists(column, filters) });
  }
  const words = choices.search.trim().toLowerCase();
  if (words) {
    conditions.push({ name: "search", codes: nameColumn.codes, passes: matchNames(words) });
  }
  return conditions;
}

function matchNames(words) {
  const passes = new Uint8Array(nameColumn.values.length);
  nameColumn.values.forEach((value, code) => {
    passes[code] = value.toLowerCase().includes(words) ? 1 : 0;
  });
  return passes;
}

// Count for each item the conditions that it fails, and note the last of them.
function findFailures(conditions) {
  const nFailed = new Uint8Array(ITEMS.count);
  const failed = new Uint8Array(ITEMS.count);
  conditions.forEach(({ codes, passes }, number) => {
    for (let item = 0; item < ITEMS.count; item += 1) {
      if (!passes[codes[item]]) {
        nFailed[item] += 1;
        failed[item] = number;
      }
    }
  });
  return { nFailed, failed };
}

// Count the items that would match if a filter had another value, by value.
function countValues(filter, conditions, failures) {
  const column = columns[filter.column];
  const own = conditions.findIndex(({ name }) => name === filter.column);
  if (!filter.field) {
    return countCodes(column.codes, column.values.length, own, failures);
  }
  const nItems = countCodes(column.codes, column.starts.length - 1, own, failures);
  return countEntries(column, filter, nItems);
}

// Count the items of each value, or of each list, that pass all conditions but the column's own.
function countCodes(codes, nCodes, own, { nFailed, failed }) {
  const counts = new Uint32Array(nCodes);
  for (let item = 0; item < ITEMS.count; item += 1) {
    if (nFailed[item] === 0 || (nFailed[item] === 1 && failed[item] === own)) {
      counts[codes[item]] += 1;
    }
  }
  return counts;
}

// Count the items with an entry of each value, among entries that match the other filters of the
// column.
function countEntries(column, filter, nItems) {
  const { starts } = column;
  const { codes, values } = column.fields[filter.field];
  const isMatch = matchEntries(column, otherFilters(column, filter));
  const counts = new Uint32Array(values.length);
  const lastList = new Int32Array(values.length).fill(-1); // so that a list counts once
  for (let list = 0; list < nItems.length; list += 1) {
    if (nItems[list] > 0) {
      for (let entry = starts[list]; entry < starts[list + 1]; entry += 1) {
        const code = codes[entry];
        if (isMatch[entry] && lastList[code] !== list) {
          lastList[code] = list;
          counts[code] += nItems[list];
        }
      }
    }
  }
  return counts;
}

// Return the filters of a list column that have a value, without one of them.
function otherFilters(column, filter) {
  return ITEMS.filters.filter(
    (other) =>
      other.field && columns[other.column] === column && other !== filter && choices[other.name],
  );
}

// ---- Order --------------------------------------------------------------------------------------

const orders = new Map(); // of all items, by the name of the sort

function rankValues(values) {
  const order = Array.from(values.keys());
  order.sort((a, b) => (values[a] < values[b] ? -1 : Number(values[a] > values[b])));
  const ranks = new Float64Array(values.length);
  order.forEach((code, rank) => {
    ranks[code] = rank;
  });
  return ranks;
}

// Return a number for each item; nan where it has none.
function makeKeys(sort) {
  const column = columns[sort.column];
  const keys = new Float64Array(ITEMS.count);
  if (column.kind === "number") {
    keys.set(column.numbers);
  } else if (column.kind === "text") {
    const ranks = sort.column === ITEMS.name ? rankValues(column.values) : null;
    for (let item = 0; item < ITEMS.count; item += 1) {
      keys[item] = ranks ? ranks[column.codes[item]] : column.codes[item];
    }
  } else {
    const means = averageLists(column, sort.field);
    for (let item = 0; item < ITEMS.count; item += 1) {
      keys[item] = means[column.codes[item]];
    }
  }
  return keys;
}

// Return the mean of a number over the entries of each list, of those that match the filters.
function averageLists(column, field) {
  const isMatch = matchEntries(column, otherFilters(column, null));
  const { numbers } = column.fields[field];
  const nLists = column.starts.length - 1;
  const means = new Float64Array(nLists);
  for (let list = 0; list < nLists; list += 1) {
    let sum = 0;
    let n = 0;
    for (let entry = column.starts[list]; entry < column.starts[list + 1]; entry += 1) {
      if (isMatch[entry] && !Number.isNaN(numbers[entry])) {
        sum += numbers[entry];
        n += 1;
      }
    }
    means[list] = n ? sum / n : Number.NaN;
  }
  return means;
}

// Return all items in an order; those without a number come last.
function sortItems(sort) {
  const keys = makeKeys(sort);
  const order = Uint32Array.from(keys.keys());
  const last = sort.descending ? -Infinity : Infinity;
  for (let item = 0; item < keys.length; item += 1) {
    if (Number.isNaN(keys[item])) {
      keys[item] = last;
    }
  }
  if (sort.descending) {
    return order.sort((a, b) => keys[b] - keys[a] || a - b);
  }
  return order.sort((a, b) => keys[a] - keys[b] || a - b);
}

function findOrder() {
  const sort = ITEMS.sorts.find(({ name }) => name === choices.sort);
  if (!sort) {
    return null;
  }
  if (sort.field) {
    return sortItems(sort); // it depends on the filters
  }
  if (!orders.has(sort.name)) {
    orders.set(sort.name, sortItems(sort));
  }
  return orders.get(sort.name);
}

// ---- The page -----------------------------------------------------------------------------------

let selection = new Uint32Array(0); // the items that match, in their order
const filterForm = document.getElementById("filters");
const selects = new Map(); // by the name of the filter

function select() {
  const conditions = makeConditions();
  const failures = findFailures(conditions);
  const order = findOrder();
  const matches = new Uint32Array(ITEMS.count);
  let n = 0;
  for (let place = 0; place < ITEMS.count; place += 1) {
    const item = order ? order[place] : place;
    if (failures.nFailed[item] === 0) {
      matches[n] = item;
      n += 1;
    }
  }
  selection = matches.subarray(0, n);
  for (const filter of ITEMS.filters) {
    showCounts(filter, countValues(filter, conditions, failures));
  }
  showSummary(conditions.length);
}

function showSummary(nConditions) {
  const format = (number) => number.toLocaleString("en");
  const all = format(ITEMS.count);
  const text = nConditions ? `${format(selection.length)} of ${all}` : all;
  document.getElementById("count").textContent = text;
  const toggle = document.getElementById("toggle-filters");
  toggle.textContent = nConditions ? `Filters (${nConditions})` : "Filters";
  document.getElementById("nothing").hidden = selection.length > 0;
  document.getElementById("grid").hidden = selection.length === 0;
  document.getElementById("clear").disabled = !nConditions && !choices.sort;
}

function showCounts(filter, counts) {
  for (const option of selects.get(filter.name).options) {
    if (option.value) {
      const count = counts[option.dataset.code] ?? 0; // a link may name a value that no picture has
      option.textContent = `${option.dataset.text} (${count.toLocaleString("en")})`;
    }
  }
}

function makeOption(value, text) {
  const option = document.createElement("option");
  option.value = value;
  option.textContent = text;
  return option;
}

function makeSelect(filter) {
  const column = columns[filter.column];
  const { values } = filter.field ? column.fields[filter.field] : column;
  const texts = new Map(filter.texts);
  const label = document.createElement("label");
  label.hidden = values.length < 2; // there is nothing to choose
  const element = document.createElement("select");
  element.name = filter.name;
  element.append(makeOption("", "all"));
  const named = new Set([...texts.keys(), ...values.slice(0, MAX_OPTIONS)]);
  for (const value of named) {
    const code = values.indexOf(value);
    if (value !== "" && code >= 0) {
      const option = makeOption(value, texts.get(value) ?? value);
      option.dataset.text = option.textContent;
      option.dataset.code = code;
      element.append(option);
    }
  }
  label.append(filter.label, element);
  filterForm.insertBefore(label, document.getElementById("sort").parentElement);
  selects.set(filter.name, element);
}

// Show the choices in the form; a value that the form lacks stands for itself.
function showChoices() {
  for (const [name, element] of selects) {
    const value = choices[name];
    if (value && !Array.from(element.options).some((option) => option.value === value)) {
      const option = makeOption(value, value);
      option.dataset.text = value;
      option.dataset.code = columnOf(name).values.indexOf(value);
      element.append(option);
    }
    element.value = value;
    element.parentElement.classList.toggle("chosen", value !== "");
  }
  const search = document.getElementById("search");
  search.value = choices.search;
  search.parentElement.classList.toggle("chosen", choices.search !== "");
  document.getElementById("sort").value = choices.sort;
  document.getElementById("size").value = choices.size;
}

function columnOf(name) {
  const filter = ITEMS.filters.find((candidate) => candidate.name === name);
  const column = columns[filter.column];
  return filter.field ? column.fields[filter.field] : column;
}

// Show what the choices ask for, from the top.
function update() {
  showChoices();
  select();
  grid.setCount(selection.length);
  grid.setCellSize(cellSize());
  viewer.setCount(selection.length);
  writeAddress();
}

function choose(name, value) {
  choices[name] = value;
  update();
}

function clearChoices() {
  for (const name of Object.keys(choices)) {
    if (name !== "size") {
      choices[name] = "";
    }
  }
  update();
  grid.element.focus();
}

function cellSize() {
  const size = Number(choices.size) || 160;
  const isNarrow = document.documentElement.clientWidth <= NARROW;
  return isNarrow && size === 160 ? SMALL_CELL : size;
}

// ---- Pictures -----------------------------------------------------------------------------------

function isShown(item) {
  return !hasPicture || hasPicture[item] === 1;
}

function pictureAddress(item) {
  return `pictures/${item}${suffixes ? describe(suffixes, item) : ".jpg"}`;
}

function thumbnailAddress(item) {
  const isSmall = hasThumbnail && hasThumbnail[item] === 0;
  return isSmall ? pictureAddress(item) : `thumbnails/${item}.jpg`;
}

function captionLines(item) {
  const [first, ...others] = ITEMS.caption.map((name) => describe(columns[name], item));
  return [first, others.filter((text) => text !== "").join(" · ")];
}

function showMark(element, item) {
  const mark = describe(columns[ITEMS.mark], item);
  element.dataset.mark = mark;
  element.dataset.tone = TONES.get(mark) ?? "";
}

function drawCell(cell, index) {
  const item = selection[index];
  if (!cell.firstLine) {
    cell.firstLine = document.createElement("span");
    cell.firstLine.className = "first";
    cell.secondLine = document.createElement("span");
    cell.secondLine.className = "second";
    cell.caption.append(cell.firstLine, cell.secondLine);
  }
  const [first, second] = captionLines(item);
  cell.firstLine.textContent = first;
  cell.secondLine.textContent = second;
  showMark(cell, item);
  cell.dataset.item = item;
  cell.title = second ? `${first}\n${second}` : first;
  cell.classList.toggle("empty", !isShown(item));
  cell.showPicture(isShown(item) ? thumbnailAddress(item) : "");
}

let itemsOfName = null; // by the code of the name; made when the first large picture is shown

// Return the other items that are the same picture, as lines.
function describeOthers(item) {
  if (nameColumn.values.length === ITEMS.count) {
    return "";
  }
  if (!itemsOfName) {
    itemsOfName = new Map();
    nameColumn.codes.forEach((code, other) => {
      const list = itemsOfName.get(code);
      if (list) {
        list.push(other);
      } else {
        itemsOfName.set(code, [other]);
      }
    });
  }
  const others = itemsOfName.get(nameColumn.codes[item]).filter((other) => other !== item);
  return others.map((other) => describeOther(other)).join("\n");
}

function describeOther(item) {
  const [first, second] = captionLines(item);
  const place = columns.place ? describeList(columns.place, item, ["config", "split"]) : "";
  const texts = [second ? `${first} (${second})` : first, place.replaceAll("\n", "; ")];
  return texts.filter((text) => text !== "").join(" in ");
}

function drawFacts(view, index) {
  const item = selection[index];
  const [first] = captionLines(item);
  view.title.textContent = first;
  showMark(view.title, item);
  const pairs = [];
  for (const fact of ITEMS.facts) {
    const column = columns[fact.column];
    const isList = column.kind === "list";
    const text = isList ? describeList(column, item, fact.fields) : describe(column, item);
    pairs.push([fact.label, text]);
  }
  pairs.push(["also stored as", describeOthers(item)]);
  view.showFacts(pairs);
}

// ---- Start --------------------------------------------------------------------------------------

document.title = ITEMS.title;
document.getElementById("title").textContent = ITEMS.title;
document.getElementById("about").textContent = ITEMS.about;
document.getElementById("noun").textContent = ITEMS.noun;
ITEMS.filters.forEach(makeSelect);
const sortSelect = document.getElementById("sort");
sortSelect.append(makeOption("", "as stored"));
for (const sort of ITEMS.sorts) {
  sortSelect.append(makeOption(sort.name, sort.label));
}
readAddress();
const firstItem = shownItem;

const grid = new PictureGrid(document.getElementById("grid"), {
  cellSize: cellSize(),
  captionHeight: 42,
  count: 0,
  drawCell,
  openCell(index) {
    viewer.open(index);
  },
});
const viewer = new PictureViewer({
  count: 0,
  address(index) {
    return isShown(selection[index]) ? pictureAddress(selection[index]) : "";
  },
  draw: drawFacts,
  change(index) {
    shownItem = index < 0 ? -1 : selection[index];
    writeAddress();
  },
  close(index) {
    grid.focus(index);
    grid.element.focus();
  },
});

function openFirst(item) {
  const index = selection.indexOf(item);
  if (index >= 0) {
    grid.focus(index);
    viewer.open(index);
  } else {
    shownItem = -1; // the filters leave it out
    writeAddress();
  }
}

update();
if (matchMedia("(pointer: fine)").matches) {
  grid.element.focus(); // so that keys work at once
}
if (firstItem >= 0) {
  openFirst(firstItem);
}

for (const [name, element] of selects) {
  element.addEventListener("change", () => choose(name, element.value));
}
for (const name of ["sort", "size"]) {
  const element = document.getElementById(name);
  element.addEventListener("change", () => choose(name, element.value));
}
const search = document.getElementById("search");
let pause = 0;
search.addEventListener("input", () => {
  clearTimeout(pause);
  pause = setTimeout(() => choose("search", search.value), SEARCH_PAUSE);
});
filterForm.addEventListener("submit", (event) => {
  event.preventDefault();
  grid.element.focus();
});
for (const id of ["clear", "clear-all"]) {
  document.getElementById(id).addEventListener("click", clearChoices);
}
const toggle = document.getElementById("toggle-filters");
toggle.addEventListener("click", () => {
  const isOpen = filterForm.classList.toggle("open");
  toggle.setAttribute("aria-expanded", isOpen);
});
window.addEventListener("hashchange", () => {
  viewer.close();
  readAddress();
  const item = shownItem;
  update();
  if (item >= 0) {
    openFirst(item);
  }
});
