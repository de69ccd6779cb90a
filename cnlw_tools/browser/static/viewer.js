// One large picture over the page, with what is known of it: a modal dialog.
//
//     const viewer = new PictureViewer({
//       count: 10000,
//       address(index) { return `pictures/${index}.jpg`; },
//       draw(viewer, index) { viewer.title.textContent = ...; viewer.showFacts([[name, value]]) },
//       close(index) { grid.focus(index); },    // optional: the dialog has closed
//       change(index) { ... },                  // optional: index of the picture, -1: closed
//     });
//     viewer.open(7);
//
// Arrow keys, Home, End, buttons and swipes go from picture to picture; Esc, the button and a swipe
// downwards close. A page may put more into `viewer.more`, which lies below the facts.
"use strict";

class PictureViewer {
  static SWIPE = 48; // least pixels that a finger moves
  static TINY = 100; // pixels; those of a smaller picture are to be seen

  constructor(options) {
    this.options = { id: "viewer", count: 0, draw() {}, close() {}, change() {}, ...options };
    this.count = this.options.count;
    this.index = -1;
    this.#build();
    this.element.addEventListener("keydown", (event) => this.#handleKey(event));
    this.element.addEventListener("close", () => this.#finish());
    this.#listenToTouch();
  }

  get isOpen() {
    return this.element.open;
  }

  setCount(count) {
    this.count = count;
  }

  // Show a picture.
  open(index) {
    if (!this.count) {
      return;
    }
    this.index = Math.min(Math.max(index, 0), this.count - 1);
    if (!this.element.open) {
      this.element.showModal();
      this.element.focus();
    }
    this.redraw();
    this.options.change(this.index);
  }

  close() {
    this.element.close();
  }

  // Go to another picture, if there is one.
  move(step) {
    const index = this.index + step;
    if (index >= 0 && index < this.count) {
      this.open(index);
    }
  }

  // Draw the picture and its facts again.
  redraw() {
    const { index, count } = this;
    this.#showPicture(this.options.address(index));
    this.place.textContent = `${(index + 1).toLocaleString("en")} of ${count.toLocaleString("en")}`;
    this.previousButton.disabled = index === 0;
    this.nextButton.disabled = index === count - 1;
    this.options.draw(this, index);
    this.#preload(index + 1);
    this.#preload(index - 1);
  }

  // Show pairs of a name and a value; pairs without a value are left out.
  showFacts(pairs) {
    const children = [];
    for (const [name, value] of pairs) {
      if (value === "" || value === null || value === undefined) {
        continue;
      }
      const term = document.createElement("dt");
      term.textContent = name;
      const description = document.createElement("dd");
      description.textContent = value;
      children.push(term, description);
    }
    this.facts.replaceChildren(...children);
  }

  #showPicture(address) {
    if (this.address === address) {
      return;
    }
    this.address = address;
    this.picture.removeAttribute("src");
    this.picture.classList.remove("enlarged", "broken");
    if (address) {
      this.picture.src = address;
    }
  }

  #preload(index) {
    const address = index >= 0 && index < this.count ? this.options.address(index) : "";
    if (address) {
      new Image().src = address;
    }
  }

  #build() {
    const dialog = document.createElement("dialog");
    dialog.id = this.options.id;
    dialog.className = "picture-viewer";
    dialog.tabIndex = -1;
    this.element = dialog;
    this.place = this.#make("span", "place");
    this.previousButton = this.#makeButton("previous", "‹", "Previous picture", () =>
      this.move(-1),
    );
    this.nextButton = this.#makeButton("next", "›", "Next picture", () => this.move(1));
    const closeButton = this.#makeButton("close", "×", "Close", () => this.close());
    const bar = this.#make("div", "bar");
    bar.append(this.previousButton, this.place, this.nextButton, closeButton);
    this.picture = this.#make("img", "large");
    this.picture.decoding = "async";
    this.picture.alt = "";
    this.picture.addEventListener("load", () => this.#showPixels());
    this.picture.addEventListener("error", () => {
      this.picture.classList.toggle("broken", this.picture.hasAttribute("src"));
    });
    this.stage = this.#make("div", "stage");
    this.stage.append(this.picture);
    this.title = this.#make("h2", "title");
    this.title.id = `${dialog.id}-title`;
    this.title.setAttribute("aria-live", "polite");
    dialog.setAttribute("aria-labelledby", this.title.id);
    this.facts = this.#make("dl", "facts");
    this.more = this.#make("div", "more");
    const side = this.#make("div", "side");
    side.append(this.title, this.facts, this.more);
    dialog.append(bar, this.stage, side);
    document.body.append(dialog);
  }

  #make(tag, name) {
    const element = document.createElement(tag);
    element.className = name;
    return element;
  }

  #makeButton(name, sign, label, act) {
    const button = this.#make("button", name);
    button.type = "button";
    button.textContent = sign;
    button.setAttribute("aria-label", label);
    button.addEventListener("click", act);
    return button;
  }

  // Show the pixels of a tiny picture; larger ones are enlarged smoothly.
  #showPixels() {
    const { picture } = this;
    const side = Math.max(picture.naturalWidth, picture.naturalHeight);
    picture.classList.toggle("enlarged", side < PictureViewer.TINY);
  }

  #finish() {
    const { index } = this;
    this.index = -1;
    this.options.change(-1);
    this.options.close(index);
  }

  #handleKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea")) {
      return;
    }
    const steps = { ArrowLeft: -1, ArrowRight: 1, Home: -this.index };
    steps.End = this.count - 1 - this.index;
    const step = steps[event.key];
    if (step !== undefined) {
      event.preventDefault();
      this.move(step);
    }
  }

  #listenToTouch() {
    let start = null;
    this.stage.addEventListener(
      "touchstart",
      (event) => {
        start = event.touches.length === 1 ? event.touches[0] : null;
      },
      { passive: true },
    );
    this.stage.addEventListener("touchend", (event) => {
      if (start && event.changedTouches.length === 1) {
        const end = event.changedTouches[0];
        this.#swipe(end.clientX - start.clientX, end.clientY - start.clientY);
      }
      start = null;
    });
  }

  #swipe(right, down) {
    const isSideways = Math.abs(right) > 1.5 * Math.abs(down);
    if (isSideways && Math.abs(right) >= PictureViewer.SWIPE) {
      this.move(right > 0 ? -1 : 1);
    } else if (!isSideways && down >= 2 * PictureViewer.SWIPE) {
      this.close();
    }
  }
}
