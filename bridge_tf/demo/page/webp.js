// The orientation of WEBP pictures, which Chromium 156 ignores.

const ORIENTATION = 0x0112;
const PREFIX = "Exif\0\0";
// For each orientation the canvas transform from stored to upright, of a stored width and height.
const TURNS = {
  2: (w, h) => [-1, 0, 0, 1, w, 0],
  3: (w, h) => [-1, 0, 0, -1, w, h],
  4: (w, h) => [1, 0, 0, -1, 0, h],
  5: (w, h) => [0, 1, 1, 0, 0, 0],
  6: (w, h) => [0, 1, -1, 0, h, 0],
  7: (w, h) => [0, -1, -1, 0, h, w],
  8: (w, h) => [0, -1, 1, 0, 0, w],
};

/** Whether a file (an ArrayBuffer) is a WEBP picture. */
export function isWebp(buffer) {
  const view = new DataView(buffer);
  return buffer.byteLength > 12 && text(view, 0, 4) === "RIFF" && text(view, 8, 4) === "WEBP";
}

/** The orientation 1…8 in a WEBP picture's EXIF data; 1, as it is stored, if it has none. */
export function orientationOf(buffer) {
  const view = new DataView(buffer);
  try {
    // Chunks: a name, a length, the data, filled up to an even length.
    for (let at = 12; at < buffer.byteLength; ) {
      const length = view.getUint32(at + 4, true);
      if (text(view, at, 4) === "EXIF") {
        const found = inExif(view, at + 8);
        return found in TURNS ? found : 1;
      }
      at += 8 + length + (length % 2);
    }
  } catch (error) {
    // The EXIF data is damaged, which spoils no picture.
    if (!(error instanceof RangeError)) throw error;
  }
  return 1;
}

/** Makes a canvas's context draw a picture of a stored width and height upright. */
export function turn(context, orientation, width, height) {
  if (orientation in TURNS) context.setTransform(...TURNS[orientation](width, height));
}

/** The entry in the first directory of a TIFF file, from a place on. */
function inExif(view, begin) {
  const start = text(view, begin, PREFIX.length) === PREFIX ? begin + PREFIX.length : begin;
  const little = text(view, start, 2) === "II";
  const directory = start + view.getUint32(start + 4, little);
  for (let k = 0; k < view.getUint16(directory, little); k++) {
    const entry = directory + 2 + 12 * k;
    if (view.getUint16(entry, little) === ORIENTATION) return view.getUint16(entry + 8, little);
  }
  return 1;
}

function text(view, begin, length) {
  return String.fromCharCode(...Array.from({ length }, (_, k) => view.getUint8(begin + k)));
}
