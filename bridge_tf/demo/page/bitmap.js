// The drawing: a bitmap finer than the model's image, whose averages are the model's pixels.

const FINE = 256;
const KEPT_STEPS = 50;

/** A colour of CSS, from one value for each channel (one or three), 0…255. */
function css(ink) {
  const [red, green, blue] = ink.length === 1 ? [ink[0], ink[0], ink[0]] : ink;
  return `rgb(${red} ${green} ${blue})`;
}

export class Bitmap {
  /** Of `height`×`width` pixels of the model with `channels` 1 or 3. */
  constructor(height, width, channels) {
    Object.assign(this, { height, width, channels });
    this.scale = Math.max(1, Math.round(FINE / Math.max(height, width)));
    const canvas = new OffscreenCanvas(width * this.scale, height * this.scale);
    this.context = canvas.getContext("2d", { willReadFrequently: true });
    this.context.lineCap = "round";
    this.steps = [];
    this.erase();
  }

  /** Keeps the drawing as it is for `undo`. */
  keep() {
    const { width, height } = this.context.canvas;
    this.steps = [...this.steps.slice(1 - KEPT_STEPS), this.context.getImageData(0, 0, width, height)];
  }

  /** Goes back to what was kept last; false if nothing was. */
  undo() {
    const last = this.steps.pop();
    if (last) this.context.putImageData(last, 0, 0);
    return Boolean(last);
  }

  erase() {
    this.context.fillStyle = "black";
    this.context.fillRect(0, 0, this.context.canvas.width, this.context.canvas.height);
  }

  /** Draws a stroke between two points, in pixels of the model; `pen` is its width in these. */
  stroke(from, to, pen, ink) {
    const { context, scale } = this;
    context.strokeStyle = css(ink);
    context.lineWidth = Math.max(1, pen * scale);
    context.beginPath();
    context.moveTo(from.x * scale, from.y * scale);
    // A line without length wouldn't be drawn, and a click is to leave a dot.
    const dot = from.x === to.x && from.y === to.y ? 0.01 : 0;
    context.lineTo(to.x * scale + dot, to.y * scale);
    context.stroke();
  }

  /** Gives one pixel of the model exactly this ink. */
  paint(x, y, ink) {
    this.context.fillStyle = css(ink);
    this.context.fillRect(x * this.scale, y * this.scale, this.scale, this.scale);
  }

  /** Shows an image of the model's size: H×W×channels values 0…255, one after another. */
  show(pixels) {
    for (let k = 0; k < this.height * this.width; k++) {
      const ink = pixels.slice(k * this.channels, (k + 1) * this.channels);
      this.paint(k % this.width, Math.floor(k / this.width), ink);
    }
  }

  /** The model's pixels, H×W×channels whole numbers 0…255. */
  pixels() {
    const { width, height, scale, channels } = this;
    const fine = this.context.getImageData(0, 0, width * scale, height * scale).data;
    const sums = new Float32Array(height * width * channels);
    for (let y = 0; y < height * scale; y++) {
      const row = Math.floor(y / scale) * width;
      for (let x = 0; x < width * scale; x++) {
        const to = (row + Math.floor(x / scale)) * channels;
        const from = (y * width * scale + x) * 4;
        for (let c = 0; c < channels; c++) sums[to + c] += fine[from + c];
      }
    }
    return sums.map((sum) => Math.round(sum / scale ** 2));
  }
}
