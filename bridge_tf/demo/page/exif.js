// Pictures without EXIF data. Browsers turn a picture as these ask (Chromium 156 even if
// createImageBitmap is told not to), which neither training nor predictions of files do.

const EXIF = "Exif\0";
// Where the first segment of a JPEG and the first chunk of a PNG begin.
const JPEG_BEGIN = 2;
const PNG_BEGIN = 8;

/** A JPEG or PNG file (a Blob) without its EXIF data; another file as it is. */
export async function withoutExif(blob) {
  const view = new DataView(await blob.arrayBuffer());
  const kept = [];
  let begin = 0;
  for (const part of exifParts(view)) {
    kept.push(blob.slice(begin, part.begin));
    begin = part.end;
  }
  return begin ? new Blob([...kept, blob.slice(begin)]) : blob;
}

/** The parts of a file that hold EXIF data, as far as it is whole. */
function* exifParts(view) {
  try {
    if (view.getUint16(0) === 0xffd8) yield* ofJpeg(view);
    else if (text(view, 1, 3) === "PNG") yield* ofPng(view);
  } catch (error) {
    // The file ends too early, which who decodes it tells.
    if (!(error instanceof RangeError)) throw error;
  }
}

/** Segments APP1 of EXIF: a marker FF E1, and a length that counts itself. */
function* ofJpeg(view) {
  let begin = JPEG_BEGIN;
  while (view.getUint8(begin) === 0xff) {
    const marker = view.getUint8(begin + 1);
    if (marker === 0xda) return; // From here on, the pixels.
    if (marker === 0xff) {
      begin += 1; // Fills up.
      continue;
    }
    const end = begin + 2 + view.getUint16(begin + 2);
    if (marker === 0xe1 && text(view, begin + 4, EXIF.length) === EXIF) yield { begin, end };
    begin = end;
  }
}

/** Chunks eXIf: a length of the data, the type, the data, a checksum. */
function* ofPng(view) {
  let begin = PNG_BEGIN;
  while (begin < view.byteLength) {
    const end = begin + 12 + view.getUint32(begin);
    if (text(view, begin + 4, 4) === "eXIf") yield { begin, end };
    begin = end;
  }
}

function text(view, begin, length) {
  return String.fromCharCode(...Array.from({ length }, (_, k) => view.getUint8(begin + k)));
}
