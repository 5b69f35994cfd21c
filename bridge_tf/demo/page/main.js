// The page: what is drawn or shown goes to the model, and its answers to the table.

import { Bitmap } from "./bitmap.js";
import { Pad } from "./pad.js";
import { readPicture } from "./picture.js";
import { say, showResults } from "./results.js";
import { listenForFiles, showExamples } from "./sources.js";

const element = (id) => document.getElementById(id);

function fail(error) {
  element("error").textContent = error.message ?? String(error);
  element("error").hidden = false;
}

/** Runs `work` when it is asked for, never twice at a time; what is asked meanwhile, once after. */
function oneAtATime(work) {
  let running = null;
  let again = false;
  async function loop() {
    do {
      again = false;
      await work();
    } while (again);
  }
  return () => {
    if (running) again = true;
    running ??= loop().catch(fail).finally(() => (running = null));
    return running;
  };
}

async function start() {
  const about = await (await fetch("./about.json")).json();
  const { name, height, width, channels, labels, examples } = about;
  element("model-name").textContent = name;
  document.title = `${name}: bridge ensemble, live`;
  const bitmap = new Bitmap(height, width, channels);
  // Imported here, so that what goes wrong with the runtime is told on the page.
  const { loadEngine } = await import("./engine.js");
  const engine = await loadEngine(height * width * channels);
  let truth = "";
  let fresh = false;

  const update = oneAtATime(async () => {
    if (!fresh) {
      fresh = true;
      await engine.see(bitmap.pixels());
    }
    await engine.moveTo(Number(element("r").value));
    demo.results = engine.results;
    say(showResults(engine.results, labels, truth), labels);
  });
  const show = (label = "") => {
    truth = label;
    fresh = false;
    return update();
  };
  const pad = new Pad(bitmap, () => show());
  const take = async (blob, label) => {
    try {
      const pixels = await readPicture(blob, height, width, channels);
      element("error").hidden = true;
      bitmap.keep();
      bitmap.show(pixels);
      pad.redraw();
      await show(label);
    } catch (error) {
      fail(error);
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
  demo.pixels = () => bitmap.pixels();
  demo.idle = update;
  await show();
  element("status").hidden = true;
}

/** For tests: `ready` when the first answers are shown, the `pixels` of the pad, the `results`. */
const demo = (window.demo = { results: null });
demo.ready = start().catch((error) => {
  element("status").hidden = true;
  fail(new Error(`The demo can't run in this browser: ${error.message ?? error}`));
});
