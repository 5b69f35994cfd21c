// Running the exported model: its signatures, and how long each takes.

import { loadAndCompile, loadLiteRt, Tensor } from "@litertjs/core";
import { combine, median } from "./numbers.js";

const KEPT_TIMES = 15;
const WARM_UP_MS = 500;

/** Loads the runtime and the model, and runs it a few times, for latencies of a warm model. */
export async function loadEngine(size, temperature) {
  // LiteRT's log would land among the console's errors.
  self.Module = { printErr: (line) => console.debug(line) };
  await loadLiteRt("./runtime/wasm/");
  const model = await loadAndCompile("./model.tflite", { accelerator: "wasm" });
  const engine = new Engine(model, temperature);
  const end = performance.now() + WARM_UP_MS;
  for (let k = 0; k < KEPT_TIMES && performance.now() < end; k++) {
    await engine.see(new Float32Array(size));
    await engine.moveTo(0.5);
    if (k === 0) engine.times.clear();
  }
  return engine;
}

/**
 * A loaded model.
 *
 * `results` holds what it said last: `base`, `ensemble` (as exported), `bridges`, each with
 * `probabilities` and `ms`, `modes` (probabilities of the base and, for bridges of Type II, of the
 * other modes), and `at`, the ensemble of modes and bridges at the position r, where a bridge takes
 * one.
 */
class Engine {
  constructor(model, temperature) {
    this.model = model;
    this.temperature = temperature;
    this.times = new Map();
    this.results = null;
    const signatures = model.signatures;
    this.image = signatures.base.getInputDetails()[0];
    this.hasTaps = "taps" in signatures;
    this.bridges = [];
    for (let k = 0; this.hasTaps && `bridge_${k}` in signatures; k++) {
      const inputs = signatures[`bridge_${k}`].getInputDetails();
      this.bridges.push({ name: `bridge_${k}`, inputs, moves: inputs.some((i) => i.name === "r") });
    }
    this.moves = this.bridges.some((bridge) => bridge.moves);
  }

  /** Runs the base, the ensemble and the taps on an image, a Float32Array of pixels 0…255. */
  async see(pixels) {
    const image = { [this.image.name]: new Tensor(pixels, [...this.image.shape]) };
    const base = await this.run("base", image);
    const ensemble = await this.run("serving_default", image);
    this.taps = this.hasTaps ? await this.run("taps", image) : null;
    image[this.image.name].delete();
    const classes = base.probabilities.length;
    const modes = [];
    for (let k = 0; this.taps && k < this.taps.probabilities.length; k += classes) {
      modes.push(this.taps.probabilities.slice(k, k + classes));
    }
    this.results = {
      base,
      ensemble: {
        ...ensemble,
        entropy: ensemble.entropy?.[0],
        disagreement: ensemble.disagreement?.[0],
      },
      modes,
      bridges: [],
      at: null,
    };
  }

  /** Runs the bridges on the last image's features; those that take a position, at r. */
  async moveTo(r) {
    const bridges = [];
    for (const bridge of this.bridges) {
      const inputs = {};
      for (const { name, shape } of bridge.inputs) {
        const values = name === "r" ? Float32Array.of(r) : this.taps[name];
        inputs[name] = new Tensor(Float32Array.from(values), [...shape]);
      }
      bridges.push(await this.run(bridge.name, inputs));
      Object.values(inputs).forEach((tensor) => tensor.delete());
    }
    this.results.bridges = bridges;
    if (this.moves) {
      const members = [...this.results.modes, ...bridges.map((bridge) => bridge.probabilities)];
      const ms = bridges.reduce((sum, bridge) => sum + bridge.ms, this.taps.ms);
      this.results.at = { r, ...combine(members, this.temperature), ms };
    }
  }

  /** The outputs of a signature as arrays, with `ms`, the median of its last times. */
  async run(signature, inputs) {
    const began = performance.now();
    const outputs = await this.model.run(signature, inputs);
    const ms = performance.now() - began;
    const times = [...(this.times.get(signature) ?? []), ms].slice(-KEPT_TIMES);
    this.times.set(signature, times);
    const arrays = { ms: median(times) };
    for (const [name, tensor] of Object.entries(outputs)) {
      arrays[name] = [...(await tensor.data())];
      tensor.delete();
    }
    return arrays;
  }
}
