// A grid of pictures that scrolls through any number of cells, but keeps only those in the document
// that can be seen, and a few rows more.
//
//     const grid = new PictureGrid(element, {
//       cellSize: 160,        // least width of a cell, in pixels; cells widen to fill their row
//       captionHeight: 40,    // pixels below the picture
//       count: 10000,
//       drawCell(cell, index) { cell.showPicture(`thumbnails/${index}.jpg`); ... },
//       openCell(index) { ... },      // Enter, or a click
//       focusCell(index) { ... },     // optional: another cell has the focus
//     });
//
// `element` is the box that scrolls. A cell is a <div class="cell" data-index="7"> with
// `cell.picture` (an <img>, whose address `cell.showPicture` sets) and `cell.caption` (a <div>).
// Cells are used again for other indices, so drawCell sets everything that it ever sets.
"use strict";

class PictureGrid {
  // A browser cannot make an element of any height. Higher grids move by more than one pixel for
  // each pixel that is scrolled.
  static MAX_HEIGHT = 8_000_000;
  static SPARE_ROWS = 2; // above and below those that can be seen
  static GAP = 8; // pixels between two cells
  static TINY = 100; // pixels; those of a smaller picture are to be seen when it is enlarged

  constructor(element, options) {
    this.element = element;
    this.options = { cellSize: 160, captionHeight: 40, count: 0, focusCell() {}, ...options };
    this.count = this.options.count;
    this.rows = new Map(); // the elements of rows in the document, by number
    this.unusedRows = [];
    this.focusedIndex = 0;
    this.nColumns = 0;
    this.#prepareElement();
    element.addEventListener("scroll", () => this.#requestDrawing(), { passive: true });
    element.addEventListener("keydown", (event) => this.#handleKey(event));
    element.addEventListener("click", (event) => this.#handleClick(event));
    this.observer = new ResizeObserver(() => this.#layOut());
    this.observer.observe(element);
    this.#layOut();
  }

  // The index of the cell that has the focus; -1 where there are no cells.
  get focused() {
    return this.count ? this.focusedIndex : -1;
  }

  // Set the number of cells and draw them all again, from the top.
  setCount(count) {
    this.count = count;
    this.focusedIndex = 0;
    this.element.scrollTop = 0;
    this.#measure();
    this.redraw();
  }

  // Set the least width of a cell.
  setCellSize(cellSize) {
    this.options.cellSize = cellSize;
    this.#layOut();
  }

  // Draw the cells again that are in the document.
  redraw() {
    for (const [row, element] of this.rows) {
      if (row < this.nRows) {
        this.#fillRow(element, row);
      }
    }
    this.#drawVisibleRows();
  }

  // Draw one cell again, if it is in the document.
  redrawCell(index) {
    const cell = this.#findCell(index);
    if (cell) {
      this.options.drawCell(cell, index);
    }
  }

  // Give a cell the focus, and scroll until it can be seen.
  focus(index) {
    if (!this.count) {
      return;
    }
    const previous = this.focusedIndex;
    this.focusedIndex = Math.min(Math.max(index, 0), this.count - 1);
    this.#scrollToFocus();
    this.#drawVisibleRows();
    this.#markFocus(previous);
    this.options.focusCell(this.focusedIndex);
  }

  #prepareElement() {
    const { element } = this;
    element.classList.add("picture-grid");
    element.id ||= "grid";
    element.tabIndex = 0;
    element.setAttribute("role", "grid");
    element.setAttribute("aria-readonly", "true");
    this.spacer = document.createElement("div");
    this.spacer.className = "spacer";
    this.spacer.setAttribute("role", "presentation");
    element.append(this.spacer);
  }

  // Choose the columns for the width, and keep the first visible cell where it is.
  #layOut() {
    const firstIndex = this.nColumns ? this.#firstVisibleRow() * this.nColumns : 0;
    const isAtTop = this.element.scrollTop === 0;
    const hasChanged = this.#measure();
    if (hasChanged) {
      if (!isAtTop) {
        this.#scrollTo(Math.floor(firstIndex / this.nColumns) * this.rowHeight);
      }
      this.redraw();
    } else {
      this.#drawVisibleRows();
    }
  }

  // Compute the sizes; return whether the shape of the rows has changed.
  #measure() {
    const gap = PictureGrid.GAP;
    const { cellSize, captionHeight } = this.options;
    const style = getComputedStyle(this.element);
    const padding = parseFloat(style.paddingLeft) + parseFloat(style.paddingRight);
    const width = Math.max(1, this.element.clientWidth - padding);
    const nColumns = Math.max(1, Math.floor((width + gap) / (cellSize + gap)));
    const cellWidth = Math.floor((width + gap) / nColumns - gap);
    const hasChanged = nColumns !== this.nColumns || cellWidth !== this.cellWidth;
    this.nColumns = nColumns;
    this.cellWidth = cellWidth;
    this.rowHeight = cellWidth + captionHeight + gap;
    this.nRows = Math.ceil(this.count / nColumns);
    this.height = this.nRows * this.rowHeight;
    const spacerHeight = Math.min(this.height, PictureGrid.MAX_HEIGHT);
    const { element, spacer } = this;
    spacer.style.height = `${spacerHeight}px`;
    element.style.setProperty("--columns", nColumns);
    element.style.setProperty("--cell-width", `${cellWidth}px`);
    element.style.setProperty("--caption-height", `${captionHeight}px`);
    element.setAttribute("aria-rowcount", this.nRows);
    element.setAttribute("aria-colcount", nColumns);
    this.viewHeight = element.clientHeight;
    const range = spacerHeight - this.viewHeight;
    this.scale = range > 0 ? (this.height - this.viewHeight) / range : 1;
    return hasChanged;
  }

  // The pixels of the whole grid above the visible part.
  #top() {
    return this.element.scrollTop * this.scale;
  }

  #scrollTo(top) {
    this.element.scrollTop = top / this.scale;
  }

  #firstVisibleRow() {
    return Math.floor(this.#top() / this.rowHeight);
  }

  #scrollToFocus() {
    const rowTop = Math.floor(this.focusedIndex / this.nColumns) * this.rowHeight;
    const top = this.#top();
    if (rowTop < top) {
      this.#scrollTo(rowTop);
    } else if (rowTop + this.rowHeight > top + this.viewHeight) {
      this.#scrollTo(rowTop + this.rowHeight - this.viewHeight);
    }
  }

  #requestDrawing() {
    if (this.isDrawingRequested) {
      return;
    }
    this.isDrawingRequested = true;
    requestAnimationFrame(() => {
      this.isDrawingRequested = false;
      this.#drawVisibleRows();
    });
  }

  #drawVisibleRows() {
    const spare = PictureGrid.SPARE_ROWS;
    const top = this.#top();
    const first = Math.max(0, Math.floor(top / this.rowHeight) - spare);
    const last = Math.ceil((top + this.viewHeight) / this.rowHeight) + spare;
    const end = Math.min(this.nRows, last);
    for (const row of this.rows.keys()) {
      if (row < first || row >= end) {
        this.#releaseRow(row);
      }
    }
    const shift = this.element.scrollTop - top; // 0 but in a grid of more than MAX_HEIGHT
    for (let row = first; row < end; row += 1) {
      const element = this.rows.get(row) ?? this.#drawRow(row);
      element.style.transform = `translateY(${row * this.rowHeight + shift}px)`;
    }
    for (const element of this.unusedRows) {
      element.hidden = true;
    }
  }

  #releaseRow(row) {
    this.unusedRows.push(this.rows.get(row));
    this.rows.delete(row);
  }

  #drawRow(row) {
    const element = this.unusedRows.pop() ?? this.#makeRow();
    element.hidden = false;
    this.#fillRow(element, row);
    this.rows.set(row, element);
    return element;
  }

  #fillRow(element, row) {
    element.setAttribute("aria-rowindex", row + 1);
    while (element.children.length < this.nColumns) {
      element.append(this.#makeCell());
    }
    while (element.children.length > this.nColumns) {
      element.lastChild.remove();
    }
    for (let column = 0; column < this.nColumns; column += 1) {
      this.#drawCell(element.children[column], row * this.nColumns + column, column);
    }
  }

  #makeRow() {
    const element = document.createElement("div");
    element.className = "row";
    element.setAttribute("role", "row");
    this.spacer.append(element);
    return element;
  }

  #makeCell() {
    const cell = document.createElement("div");
    cell.className = "cell";
    cell.setAttribute("role", "gridcell");
    const picture = document.createElement("img");
    picture.loading = "lazy";
    picture.decoding = "async";
    picture.alt = "";
    picture.draggable = false;
    picture.addEventListener("load", () => {
      const side = Math.max(picture.naturalWidth, picture.naturalHeight);
      picture.classList.toggle("enlarged", side < PictureGrid.TINY && side * 2 <= this.cellWidth);
    });
    picture.addEventListener("error", () => {
      picture.classList.toggle("broken", picture.hasAttribute("src"));
    });
    const caption = document.createElement("div");
    caption.className = "caption";
    cell.append(picture, caption);
    cell.picture = picture;
    cell.caption = caption;
    cell.showPicture = (address) => this.#showPicture(cell, address);
    return cell;
  }

  // Show a picture, or none where the address is empty. The one before it disappears at once, even
  // if this one takes a while.
  #showPicture(cell, address) {
    if (cell.address === address) {
      return;
    }
    cell.address = address;
    cell.picture.removeAttribute("src");
    cell.picture.classList.remove("enlarged", "broken");
    if (address) {
      cell.picture.src = address;
    }
  }

  #drawCell(cell, index, column) {
    const isEmpty = index >= this.count;
    cell.hidden = isEmpty;
    if (isEmpty) {
      cell.removeAttribute("id");
      cell.removeAttribute("data-index");
      return;
    }
    cell.dataset.index = index;
    cell.id = `${this.element.id}-cell-${index}`;
    cell.setAttribute("aria-colindex", column + 1);
    this.options.drawCell(cell, index);
    this.#showFocus(cell, index === this.focusedIndex);
  }

  #findCell(index) {
    const row = this.rows.get(Math.floor(index / this.nColumns));
    return row?.children[index % this.nColumns];
  }

  #markFocus(previous) {
    const cell = this.#findCell(previous);
    if (cell) {
      this.#showFocus(cell, previous === this.focusedIndex);
    }
    this.#showFocus(this.#findCell(this.focusedIndex), true);
  }

  #showFocus(cell, hasFocus) {
    cell.classList.toggle("focused", hasFocus);
    if (hasFocus) {
      this.element.setAttribute("aria-activedescendant", cell.id);
    }
  }

  #handleKey(event) {
    if (!this.count || event.ctrlKey || event.metaKey || event.altKey) {
      return;
    }
    if (event.target !== this.element) {
      return; // a button within a cell has keys of its own
    }
    if (event.key === "Enter") {
      event.preventDefault();
      this.options.openCell(this.focusedIndex);
      return;
    }
    const rowsOfPage = Math.max(1, Math.floor(this.viewHeight / this.rowHeight));
    const steps = {
      ArrowLeft: -1,
      ArrowRight: 1,
      ArrowUp: -this.nColumns,
      ArrowDown: this.nColumns,
      PageUp: -rowsOfPage * this.nColumns,
      PageDown: rowsOfPage * this.nColumns,
      Home: -this.count,
      End: this.count,
    };
    const step = steps[event.key];
    if (step !== undefined) {
      event.preventDefault();
      this.#moveFocus(step);
    }
  }

  // Move the focus; a step of whole rows stays in its column.
  #moveFocus(step) {
    const index = this.focusedIndex + step;
    const isRowStep = Math.abs(step) >= this.nColumns && Math.abs(step) < this.count;
    if (isRowStep && index < 0) {
      this.focus(this.focusedIndex % this.nColumns);
    } else if (isRowStep && index >= this.count) {
      const column = this.focusedIndex % this.nColumns;
      const lastInColumn = (this.nRows - 1) * this.nColumns + column;
      this.focus(lastInColumn);
    } else {
      this.focus(index);
    }
  }

  #handleClick(event) {
    const cell = event.target.closest(".cell");
    if (!cell || event.target.closest("button, a, input")) {
      return;
    }
    const index = Number(cell.dataset.index);
    this.focus(index);
    this.options.openCell(index);
  }
}
