// The page: what is drawn or shown goes to the model, and its answers to the table.

import { Bitmap } from "./bitmap.js";
import { Pad } from "./pad.js";
import { readPicture } from "./picture.js";
import { members, say, showNothing, showResults } from "./results.js";
import { listenForFiles, showExamples } from "./sources.js";

const element = (id) => document.getElementById(id);

function tell(error) {
  element("error").textContent = error.message ?? String(error);
  element("error").hidden = false;
}

/** Tells what went wrong when the model ran; what it said before isn't of what is on the pad. */
function fail(error) {
  demo.results = {};
  element("output").ariaBusy = "false";
  showNothing("No answer.");
  tell(error);
}

/** Runs `work` when it is asked for, never twice at a time; what is asked meanwhile, once after. */
function oneAtATime(work) {
  let running = null;
  let again = false;
  async function loop() {
    do {
      again = false;
      // An error of what has been replaced meanwhile is no news.
      await work().catch((error) => again || fail(error));
    } while (again);
  }
  return () => {
    if (running) again = true;
    running ??= loop().finally(() => (running = null));
    return running;
  };
}

async function start() {
  const about = await (await fetch("./about.json")).json();
  const { name, height, width, channels, labels, positions, temperature, examples } = about;
  element("model-name").textContent = name;
  document.title = `${name}: bridge ensemble, live`;
  const bitmap = new Bitmap(height, width, channels);
  // Imported here, so that what goes wrong with the runtime is told on the page.
  const { loadEngine } = await import("./engine.js");
  const engine = await loadEngine(height * width * channels, temperature);
  let truth = "";
  // The pixels that the engine has seen last.
  let seen = null;
  let taken = 0;

  const update = oneAtATime(async () => {
    // The user may go on meanwhile.
    const { pixels } = pad;
    const label = truth;
    if (pad.empty) return;
    if (seen !== pixels) {
      seen = null;
      await engine.see(pixels);
      seen = pixels;
    }
    await engine.moveTo(Number(element("r").value));
    if (pad.empty) return;
    demo.results = engine.results;
    say(showResults(engine.results, labels, label), labels);
    element("output").ariaBusy = String(pad.pixels !== pixels);
  });
  const show = (label = "") => {
    truth = label;
    element("error").hidden = true;
    element("output").ariaBusy = String(!pad.empty);
    if (pad.empty) {
      demo.results = {};
      showNothing("Nothing is drawn yet. Draw on the pad, or choose a picture.");
    }
    return update();
  };
  const pad = new Pad(bitmap, () => show());
  const take = async (file, label) => {
    taken += 1;
    const turn = taken;
    try {
      const pixels = await readPicture(await file, height, width, channels);
      if (turn !== taken) return; // Another was chosen meanwhile.
      bitmap.keep();
      bitmap.show(pixels);
      pad.redraw(true);
      await show(label);
    } catch (error) {
      if (turn === taken) tell(error);
    }
  };
  showExamples(examples, take);
  listenForFiles(take);
  element("position").hidden = !engine.moves;
  // Bridges of Type II may be on curves between any two modes.
  if (engine.results.modes.length > 1) element("start").textContent = "mode the curve starts at";
  element("r").addEventListener("input", (event) => {
    element("r-value").value = Number(event.target.value).toFixed(2);
    update();
  });
  Object.assign(demo, { engine, idle: update, pixels: () => pad.pixels });
  element("members").textContent = members(engine, positions);
  // Hidden until there is something to answer: the page is laid out as it will be.
  showResults(engine.results, labels, "");
  await show();
  element("status").hidden = true;
}

/**
 * For tests: a promise `ready`, the `engine`, the `pixels` of the pad, and once `idle`, the
 * `results` of them, empty where there are none.
 */
const demo = (window.demo = { results: null });
demo.ready = start().catch((error) => {
  element("status").hidden = true;
  tell(new Error(`The demo can't run in this browser: ${error.message ?? error}`));
});
