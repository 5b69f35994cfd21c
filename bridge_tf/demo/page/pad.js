// The pad: the model's pixels, to draw on with a pointer or cell by cell with the keyboard.

const element = (id) => document.getElementById(id);

/** `pixels` are the model's, another array after each change; `empty` where nothing is drawn. */
export class Pad {
  /** Calls `changed` after each change that the user makes. */
  constructor(bitmap, changed) {
    Object.assign(this, { bitmap, changed, x: 0, y: 0, last: null });
    const { width, height, channels } = bitmap;
    this.box = element("pad");
    this.context = element("shown").getContext("2d");
    Object.assign(this.context.canvas, { width, height });
    this.box.style.aspectRatio = `${width} / ${height}`;
    this.box.style.setProperty("--columns", width);
    this.box.style.setProperty("--rows", height);
    this.box.classList.toggle("fine", Math.max(width, height) > 40);
    this.box.setAttribute("aria-label", `Drawing pad, ${width} by ${height} pixels`);
    element("grey-ink").hidden = channels !== 1;
    element("colour-ink").hidden = channels === 1;
    this.listen();
    this.redraw();
    this.place();
  }

  /** What the pen draws with, a value for each channel. */
  get ink() {
    if (this.bitmap.channels === 1) return [Number(element("ink").value)];
    return element("colour").value.match(/[0-9a-f]{2}/gi).map((pair) => parseInt(pair, 16));
  }

  /** Shows the drawing, or the picture that was `given`, which may be black. */
  redraw(given = false) {
    const { width, height, channels } = this.bitmap;
    const pixels = this.bitmap.pixels();
    this.pixels = pixels;
    this.empty = !given && pixels.every((value) => value === 0);
    element("hint").hidden = !this.empty;
    const image = this.context.createImageData(width, height);
    for (let k = 0; k < width * height; k++) {
      for (let c = 0; c < 3; c++) image.data[4 * k + c] = pixels[k * channels + (c % channels)];
      image.data[4 * k + 3] = 255;
    }
    this.context.putImageData(image, 0, 0);
    this.announce();
  }

  /** One change of the drawing, which can be undone. */
  change(make) {
    this.bitmap.keep();
    make();
    this.finish();
  }

  undo() {
    if (this.bitmap.undo()) this.finish();
  }

  finish() {
    this.redraw();
    this.changed();
  }

  listen() {
    const { box, bitmap } = this;
    box.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || !event.isPrimary) return;
      bitmap.keep();
      box.setPointerCapture(event.pointerId);
      this.last = this.point(event);
      this.draw(event);
    });
    box.addEventListener("pointermove", (event) => {
      if (!this.last || !event.isPrimary) return;
      const passed = event.getCoalescedEvents?.() ?? [];
      (passed.length ? passed : [event]).forEach((one) => this.draw(one));
    });
    for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) {
      box.addEventListener(end, () => (this.last = null));
    }
    box.addEventListener("keydown", (event) => this.key(event));
    box.addEventListener("focus", () => this.announce());
    element("undo").addEventListener("click", () => this.undo());
    element("clear").addEventListener("click", () => this.change(() => bitmap.erase()));
    for (const [id, unit] of [["ink", ""], ["pen", " %"]]) {
      element(id).addEventListener("input", (event) => {
        element(`${id}-value`).value = `${event.target.value}${unit}`;
      });
    }
  }

  /** Where a pointer is, in pixels of the model. */
  point(event) {
    const box = this.context.canvas.getBoundingClientRect();
    return {
      x: ((event.clientX - box.left) / box.width) * this.bitmap.width,
      y: ((event.clientY - box.top) / box.height) * this.bitmap.height,
    };
  }

  draw(event) {
    const to = this.point(event);
    const pen = (Number(element("pen").value) / 100) * this.bitmap.width;
    this.bitmap.stroke(this.last, to, pen, this.ink);
    this.last = to;
    this.finish();
  }

  key(event) {
    const { width, height, channels } = this.bitmap;
    const black = Array(channels).fill(0);
    const paint = (ink) => this.change(() => this.bitmap.paint(this.x, this.y, ink));
    const keys = {
      ArrowLeft: () => (this.x = Math.max(this.x - 1, 0)),
      ArrowRight: () => (this.x = Math.min(this.x + 1, width - 1)),
      ArrowUp: () => (this.y = Math.max(this.y - 1, 0)),
      ArrowDown: () => (this.y = Math.min(this.y + 1, height - 1)),
      Home: () => (this.x = 0),
      End: () => (this.x = width - 1),
      " ": () => paint(this.ink),
      Enter: () => paint(this.ink),
      Backspace: () => paint(black),
      Delete: () => paint(black),
    };
    const undoes = event.key.toLowerCase() === "z" && (event.ctrlKey || event.metaKey);
    const action = undoes ? () => this.undo() : keys[event.key];
    if (!action || (!undoes && (event.ctrlKey || event.metaKey || event.altKey))) return;
    event.preventDefault();
    action();
    this.place();
    this.announce();
  }

  /** Puts the cursor on its cell. */
  place() {
    const { style } = element("cursor");
    style.left = `${(100 * this.x) / this.bitmap.width}%`;
    style.top = `${(100 * this.y) / this.bitmap.height}%`;
  }

  /** Tells the cell under the cursor, which is there for who uses the keyboard only. */
  announce() {
    if (!this.box.matches(":focus-visible")) {
      element("cell").textContent = "";
      return;
    }
    const { width, channels } = this.bitmap;
    const first = (this.y * width + this.x) * channels;
    const value = [...this.pixels.slice(first, first + channels)].join(", ");
    element("cell").textContent = `row ${this.y + 1}, column ${this.x + 1}: ${value}`;
  }
}
