// Pictures of any size, as the model's pixels.

import { isWebp, orientationOf, turn } from "./webp.js";

const LARGEST = 2048;

/**
 * Reads a picture file (a Blob) as H×W×channels whole numbers 0…255; transparent is black.
 * It is turned upright as its EXIF data says, as in training and predictions of files.
 */
export async function readPicture(blob, height, width, channels) {
  const buffer = await blob.arrayBuffer();
  const webp = isWebp(buffer);
  const imageOrientation = webp ? "none" : "from-image";
  let bitmap;
  try {
    bitmap = await createImageBitmap(blob, { imageOrientation, colorSpaceConversion: "none" });
  } catch {
    throw new Error("This can't be read as a picture; take a PNG, JPEG, GIF, BMP or WEBP file.");
  }
  const orientation = webp ? orientationOf(buffer) : 1;
  const shrink = Math.min(1, LARGEST / Math.max(bitmap.width, bitmap.height));
  const stored = [Math.ceil(bitmap.width * shrink), Math.ceil(bitmap.height * shrink)];
  const upright = orientation > 4 ? [stored[1], stored[0]] : stored;
  const own = { width: upright[0], height: upright[1] };
  const canvas = new OffscreenCanvas(own.width, own.height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "black";
  context.fillRect(0, 0, own.width, own.height);
  turn(context, orientation, ...stored);
  context.drawImage(bitmap, 0, 0, ...stored);
  bitmap.close();
  const rgba = context.getImageData(0, 0, own.width, own.height).data;
  const rgb = channels === 1 ? luminance(rgba) : rgba.filter((_, k) => k % 4 !== 3);
  const wide = shrunk(rgb, own.height, own.width, width, channels);
  // The same along the other axis: a row is then one value of many channels.
  return shrunk(wide, 1, own.height, height, width * channels).map(Math.round);
}

/** Grey values, by the weights that Pillow takes (ITU-R 601-2). */
function luminance(rgba) {
  const grey = new Float32Array(rgba.length / 4);
  for (let k = 0; k < grey.length; k++) {
    const [red, green, blue] = rgba.subarray(4 * k, 4 * k + 3);
    grey[k] = (19595 * red + 38470 * green + 7471 * blue + 32768) >> 16;
  }
  return grey;
}

/** Averages `size` values a row to `wanted`, each weighed by how much of it is covered. */
function shrunk(values, rows, size, wanted, channels) {
  const result = new Float32Array(rows * wanted * channels);
  const step = size / wanted;
  for (let to = 0; to < wanted; to++) {
    const begin = to * step;
    const end = begin + step;
    for (let from = Math.floor(begin); from < Math.min(Math.ceil(end), size); from++) {
      const weight = (Math.min(from + 1, end) - Math.max(from, begin)) / step;
      for (let row = 0; row < rows; row++) {
        const source = (row * size + from) * channels;
        const target = (row * wanted + to) * channels;
        for (let c = 0; c < channels; c++) result[target + c] += weight * values[source + c];
      }
    }
  }
  return result;
}
