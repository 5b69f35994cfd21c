// The answers: a table of probabilities with bars in its cells, and meters for uncertainty.

import { largest, milliseconds, percent, top } from "./numbers.js";

const MOST_CLASSES = 10;
// Names of classes of so many letters are written large.
const SHORT = 4;
const element = (id) => document.getElementById(id);
let saying = null;

function make(tag, text = "", attributes = {}) {
  const made = document.createElement(tag);
  made.textContent = text;
  Object.entries(attributes).forEach(([name, value]) => made.setAttribute(name, value));
  return made;
}

/** 1st, 2nd, 3rd…: one bridge, as in the report, where bridge_3 is the base with three. */
function ordinal(number) {
  const ending = ["th", "st", "nd", "rd"];
  const tens = Math.floor(number / 10) % 10;
  return `${number}${(tens !== 1 && ending[number % 10]) || "th"}`;
}

/** The table's columns: what each is called, its kind (for its colour), its answer. */
function columns({ base, modes, bridges, at, ensemble }) {
  const found = [{ name: "base", kind: "base", ...base }];
  modes.slice(1).forEach((probabilities, k) => {
    found.push({ name: `mode ${k + 1}`, kind: "mode", probabilities });
  });
  bridges.forEach((bridge, k) => {
    found.push({ name: `${ordinal(k + 1)} bridge`, kind: "bridge", ...bridge });
  });
  if (at) found.push({ name: "ensemble at r", kind: "ensemble", ...at });
  const name = at ? "ensemble, exported" : "ensemble";
  return [...found, { name, kind: at ? "exported" : "ensemble", ...ensemble }];
}

/** Which members the exported ensemble has; `positions` are those of its bridges, if known. */
export function members({ bridges, moves, hasTaps, results }, positions) {
  if (!hasTaps) return "";
  const count = (number, name) => `${number} ${name}${number > 1 ? "s" : ""}`;
  const modes = results.modes.length;
  const parts = [modes > 1 ? count(modes, "mode") : "the base"];
  if (bridges.length) parts.push(count(bridges.length, "bridge"));
  const at = positions.length ? `r\u00a0=\u00a0${positions.join(", ")}` : "the r they were exported with";
  // The report's name; with other modes the report doesn't number bridges so.
  const own = modes > 1 || !bridges.length ? "" : ` (bridge_${bridges.length} in the report)`;
  const name = moves ? "Ensemble, exported" : "Ensemble";
  return `${name}${own}: ${parts.join(" and ")}${moves ? `, at ${at}` : ""}.`;
}

/** Shows no answers, and says why. */
export function showNothing(why) {
  clearTimeout(saying);
  element("output").classList.add("empty");
  element("nothing").textContent = why;
  element("spoken").textContent = why;
}

/** Shows an engine's results; `truth` is the name of the true class, where it is known. */
export function showResults(results, labels, truth) {
  const shown = columns(results);
  const whole = results.at ?? results.ensemble;
  const classes =
    labels.length <= MOST_CLASSES
      ? [...labels.keys()]
      : largest(whole.probabilities, MOST_CLASSES);
  element("output").classList.remove("empty");
  const [head, body, foot] = sections();
  head.replaceChildren(row("class", shown, (column) => make("th", column.name, { scope: "col" })));
  head.append(row("answer", shown, (column) => answer(column, labels)));
  body.replaceChildren(
    ...classes.map((k) => {
      const made = row(labels[k], shown, (column) => cell(column, k));
      if (labels[k] === truth) {
        made.classList.add("truth");
        made.firstChild.append(make("small", " true"));
      }
      return made;
    }),
  );
  const latency = (column) => make("td", column.ms === undefined ? "–" : milliseconds(column.ms));
  foot.replaceChildren(row("latency", shown, latency));
  showMeters(whole, results.at ? "the ensemble at r" : "the ensemble", labels.length);
  return shown;
}

function sections() {
  return ["thead", "tbody", "tfoot"].map((name) => element("table").querySelector(name));
}

function row(name, shown, makeCell) {
  const made = make("tr");
  made.append(make("th", name, { scope: "row" }));
  for (const column of shown) {
    const one = makeCell(column);
    one.classList.add(column.kind);
    made.append(one);
  }
  return made;
}

function answer({ probabilities }, labels) {
  const best = top(probabilities);
  const made = make("td", "", { class: "answer" });
  const name = make("strong", labels[best], { title: labels[best] });
  if (labels[best].length > SHORT) name.classList.add("long");
  made.append(name, make("span", `${percent(probabilities[best])} %`));
  return made;
}

function cell({ probabilities }, k) {
  const made = make("td", "", { class: k === top(probabilities) ? "best" : "" });
  made.append(make("span", percent(probabilities[k])), track(probabilities[k]));
  return made;
}

/** A bar that fills a share of its track. */
function track(share) {
  const made = make("div", "", { class: "track" });
  const bar = make("i", "", { class: "bar" });
  bar.style.width = `${100 * share}%`;
  made.append(bar);
  return made;
}

function showMeters({ entropy, disagreement }, who, numClasses) {
  const most = Math.log(numClasses);
  const told = [
    ["Entropy", entropy, `how unsure ${who} is`],
    ["Disagreement", disagreement, `how far the members of ${who} are apart`],
  ];
  element("meters").replaceChildren(
    ...told
      .filter(([, value]) => value !== undefined)
      .map(([name, value, meaning]) => {
        const box = make("div", "", { class: "card" });
        const line = make("p", "", { class: "told" });
        line.append(make("b", name), make("output", `${value.toFixed(3)} nats`));
        const meter = track(value / most);
        const range = { min: 0, max: most.toFixed(3), now: value.toFixed(3) };
        meter.setAttribute("role", "meter");
        meter.setAttribute("aria-label", `${name}, nats`);
        for (const key of Object.keys(range)) meter.setAttribute(`aria-value${key}`, range[key]);
        const ends = make("p", "", { class: "ends" });
        ends.append(make("span", "0"), make("span", `ln ${numClasses} = ${most.toFixed(2)}`));
        box.append(line, make("p", meaning, { class: "meaning" }), meter, ends);
        return box;
      }),
  );
}

/** Says the answers to who listens to the page, once they stay for a moment. */
export function say(shown, labels) {
  clearTimeout(saying);
  saying = setTimeout(() => {
    const answers = shown.map(({ name, probabilities }) => {
      const best = top(probabilities);
      return `${name}: ${labels[best]}, ${percent(probabilities[best])} per cent`;
    });
    element("spoken").textContent = `${answers.join("; ")}.`;
  }, 700);
}
