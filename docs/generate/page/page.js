// Show one view of the results. The address of the page has the selection, so that a view can be linked.
// All values are set as text, never as markup.
"use strict";

const { views: VIEWS, words: WORDS } = JSON.parse(document.getElementById("data").textContent);
// Each selector offers only the values that exist together with the selectors before it.
const FACETS = ["work", "machine", "memory", "cache", "date"];
const NOT_MEASURED = "not measured";
const OUTCOMES = { win: "Wins", loss: "Losses", undecided: "Undecided" };
const METRICS = [
  { key: "seconds", label: "Time", digits: 1, unit: "s" },
  { key: "peak_mb", label: "Memory", digits: 0, unit: "MB" },
];

const byId = (id) => document.getElementById(id);
// Numbers are rounded as in the sentences and pages, which Python writes.
const format = (value, digits) =>
  value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits, roundingMode: "halfEven" });
const list = (names) => new Intl.ListFormat("en").format(names);
const amount = (figure, digits, unit = "") => (figure ? `${format(figure.value, digits)} ${unit}`.trim() : NOT_MEASURED);
const span = (figure, digits) => {
  if (!figure) return NOT_MEASURED;
  return figure.repeats < 2 ? "one value" : `${format(figure.low, digits)} to ${format(figure.high, digits)}`;
};

/** Return an element with a class, text or child elements, and CSS variables. */
function make(kind, className = "", content = "", variables = {}) {
  const element = document.createElement(kind);
  if (className) element.className = className;
  element.append(...[content].flat());
  for (const [name, value] of Object.entries(variables)) element.style.setProperty(`--${name}`, value);
  return element;
}

function readState() {
  const address = new URLSearchParams(location.hash.slice(1));
  const state = Object.fromEntries(address);
  return { ...state, kind: state.kind || "all", hidden: new Set((state.hide || "").split(",").filter(Boolean)) };
}

/** Narrow the views down to one, selector by selector. A value that does not exist becomes the first one. */
function choose(state) {
  let left = VIEWS;
  for (const facet of FACETS) {
    const choices = new Map(left.map((view) => [view[facet].key, view[facet].label]));
    if (!choices.has(state[facet])) state[facet] = left[0][facet].key;
    fillSelect(byId(facet), choices, state[facet], facet === "date");
    left = left.filter((view) => view[facet].key === state[facet]);
  }
  return left[0];
}

function fillSelect(select, choices, value, newestFirst) {
  const entries = [...choices];
  if (newestFirst) entries.sort(([a], [b]) => (a < b ? 1 : -1));
  const options = entries.map(([key, label]) => Object.assign(make("option", "", label), { value: key }));
  select.replaceChildren(...options);
  select.value = value;
}

function writeState(state) {
  const address = new URLSearchParams(FACETS.map((facet) => [facet, state[facet]]));
  if (state.kind !== "all") address.set("kind", state.kind);
  if (state.hidden.size) address.set("hide", [...state.hidden].join(","));
  const hash = `#${address}`;
  if (hash !== location.hash) history.replaceState(null, "", hash);
}

function drawEngines(view, state) {
  const focused = document.activeElement?.value;
  const boxes = view.contestants.map((item) => {
    const box = Object.assign(make("input"), { type: "checkbox", value: item.name, checked: !state.hidden.has(item.name) });
    return make("label", item.is_toytip ? "own" : "", [box, make("span", "", item.label)]);
  });
  byId("engines").replaceChildren(...boxes);
  boxes.find((label) => label.firstChild.value === focused)?.firstChild.focus();
}

const failureText = (failure, repeats) => {
  const part = failure.repeats < repeats ? ` in ${failure.repeats} of ${repeats} repeats` : "";
  return `${failure.outcome}${part}${failure.cause ? `: ${failure.cause}` : ""}`;
};

/** Return the engines of the selection by time. Engines without a result are last. */
function selected(view, state) {
  return view.contestants
    .filter((item) => !state.hidden.has(item.name) && (state.kind === "all" || item.kind === state.kind))
    .sort((a, b) => (a.seconds?.value ?? Number.MAX_VALUE) - (b.seconds?.value ?? Number.MAX_VALUE));
}

function drawFigures(view, items) {
  const own = items.find((item) => item.name === view.reference);
  const others = items.filter((item) => !item.is_toytip);
  const blocks = [];
  const add = (name, value, detail) =>
    blocks.push(make("div", "", [make("dt", "", name), make("dd", "", [make("span", "value", value), make("span", "beside", detail)])]));
  const best = (key, sign) =>
    others.filter((item) => item[key]).sort((a, b) => sign * (a[key].value - b[key].value))[0];
  const compare = (key, sign, digits, unit, word) => {
    const other = best(key, sign);
    return other ? `${word} of the others: ${amount(other[key], digits, unit)}, ${other.label}` : "no other engine";
  };
  if (own) {
    add(`time, ${own.label}`, amount(own.seconds, 1, "s"), compare("seconds", 1, 1, "s", "shortest"));
    add(`memory, ${own.label}`, amount(own.peak_mb, 0, "MB"), compare("peak_mb", 1, 0, "MB", "lowest"));
    add(`AUC, ${own.label}`, amount(own.auc, 4), compare("auc", -1, 4, "", "highest"));
    const count = (outcome) => shownVerdicts(view, items).filter((verdict) => verdict.outcome === outcome).length;
    if (others.length) add("comparisons won", String(count("win")), `${count("loss")} lost, ${count("undecided")} undecided`);
  }
  byId("figures").replaceChildren(...blocks);
}

function drawBars(view, items) {
  const head = make("div", "head", ["Engine", "Time", "Peak memory", aucAxis(items)].map((text) => make("span", "", text)));
  const rows = items.map((item) => barRow(item, items));
  byId("bars").replaceChildren(...(rows.length ? [head, ...rows] : [make("p", "missing", "No engine is selected.")]));
}

function aucRange(items) {
  const ends = items.filter((item) => item.auc).flatMap((item) => [item.auc.low, item.auc.high, ...aucEnds(item, items)]);
  const margin = Math.max((Math.max(...ends) - Math.min(...ends)) * 0.1, 0.0005);
  return ends.length ? [Math.min(...ends) - margin, Math.max(...ends) + margin] : [0, 1];
}

/** Return the ends of the interval of an AUC, if the interval of its difference to a shown engine was measured. */
function aucEnds(item, items) {
  const other = item.auc_interval && items.find((each) => each.name === item.auc_interval.to);
  return other?.auc ? [other.auc.value + item.auc_interval.low, other.auc.value + item.auc_interval.high] : [];
}

function aucAxis(items) {
  const [low, high] = aucRange(items);
  return `AUC, from ${format(low, 3)} to ${format(high, 3)}`;
}

function barRow(item, items) {
  const tags = [item.kind, ...item.notes].map((text) => make("span", "", text));
  if (item.noise) tags.push(make("span", "noisy", `noisy: ${item.noise}`));
  const who = make("div", "who", [make("span", "name", item.label), make("span", "tags", tags)]);
  const row = make("div", `bar-row${item.is_toytip ? " own" : ""}`, [who]);
  row.dataset.engine = item.name;
  const failures = item.failures.map((failure) => failureText(failure, item.repeats)).join(". ");
  if (!item.seconds) {
    row.append(make("div", "failed", failures || NOT_MEASURED));
    return row;
  }
  for (const { key, label, digits, unit } of METRICS) {
    const top = Math.max(...items.map((other) => other[key]?.high ?? 0));
    row.append(metric(label, amount(item[key], digits, unit), barTrack(item[key], top)));
  }
  row.append(metric("AUC", amount(item.auc, 4), aucTrack(item, items)));
  if (failures) row.append(make("div", "partial", failures));
  return row;
}

function metric(label, value, track) {
  return make("div", "metric", [make("span", "label", label), track, make("span", "value", value)]);
}

function barTrack(figure, top) {
  const track = make("span", "track");
  track.setAttribute("aria-hidden", "true");
  if (!figure) return track;
  track.append(make("i", "fill", "", { at: figure.value / top }));
  if (figure.repeats > 1) track.append(make("i", "range", "", { low: figure.low / top, high: figure.high / top }));
  return track;
}

function aucTrack(item, items) {
  const track = make("span", "track", make("i", "axis"));
  track.setAttribute("aria-hidden", "true");
  const [low, high] = aucRange(items);
  const position = (value) => (value - low) / (high - low);
  const [from, to] = aucEnds(item, items).map(position);
  if (to !== undefined) track.append(make("i", "range", "", { low: from, high: to }));
  if (item.auc) track.append(make("i", "dot", "", { at: position(item.auc.value) }));
  return track;
}

const shownVerdicts = (view, items) => {
  const names = new Set(items.map((item) => item.name));
  return names.has(view.reference) ? view.verdicts.filter((verdict) => names.has(verdict.peer)) : [];
};

/** Return the comparisons of toytip in a few sentences, one or two for each metric. */
function summarize(found) {
  const sentences = Object.entries(WORDS).flatMap(([metric, words]) => {
    const peers = (outcome) => found.filter((verdict) => verdict.metric === metric && verdict.outcome === outcome).map((verdict) => verdict.peer);
    const decided = ["win", "loss"].map((outcome, index) => [words[index], peers(outcome)]).filter(([, names]) => names.length);
    const undecided = peers("undecided");
    return [
      decided.length ? `toytip ${decided.map(([word, names]) => `${word} ${list(names)}`).join(", and ")}.` : "",
      undecided.length ? `The comparison of the ${metric} with ${list(undecided)} is undecided.` : "",
    ];
  });
  return sentences.filter(Boolean).join(" ");
}

function drawVerdicts(view, items) {
  const own = items.find((item) => item.name === view.reference);
  const found = shownVerdicts(view, items);
  const lead = `${own?.label}, is compared with each engine of the selection. Values are medians, and 95\u00a0% intervals are in parentheses.`;
  const none = own ? "The selection has no other engine to compare toytip with." : "Select toytip to compare it with other engines.";
  byId("wins-lead").textContent = found.length ? lead : none;
  const columns = Object.entries(OUTCOMES).map(([outcome, title]) => {
    const lines = found.filter((verdict) => verdict.outcome === outcome);
    const peers = [...new Set(lines.map((verdict) => verdict.peer))];
    const entries = peers.map((peer) => verdictEntry(peer, lines.filter((verdict) => verdict.peer === peer), items));
    return make("div", outcome, [make("h3", "", `${title} (${lines.length})`), entries.length ? make("ul", "", entries) : make("p", "", "none")]);
  });
  byId("verdicts").replaceChildren(...(found.length ? [make("p", "summary", summarize(found)), make("div", "outcomes", columns)] : []));
}

function verdictEntry(peer, lines, items) {
  const { label, notes } = items.find((item) => item.name === peer);
  return make("li", "", [make("b", "", [label, ...notes].join(", ")), ...lines.map((verdict) => make("span", "", verdict.text))]);
}

const COLUMNS = [
  ["settings", (item) => item.kind],
  ["time (s), median", (item) => amount(item.seconds, 1)],
  ["time (s), range", (item) => span(item.seconds, 1)],
  ["trips per second", (item) => (item.seconds ? format(item.rows / item.seconds.value, 0) : NOT_MEASURED)],
  ["CPU time (s)", (item) => amount(item.cpu_s, 1)],
  ["peak memory (MB), median", (item) => amount(item.peak_mb, 0)],
  ["peak memory (MB), range", (item) => span(item.peak_mb, 0)],
  ["AUC", (item) => amount(item.auc, 4)],
  ["AUC difference, 95 % interval", (item) => differenceText(item)],
  ["price of a run", (item) => amount(item.cost, 4)],
  ["repeats", (item) => String(item.repeats)],
];
const TEXT_COLUMNS = [
  ["checks of the work", (item) => item.conformance || NOT_MEASURED],
  ["problems", (item) => problems(item)],
];

function differenceText({ auc_interval: found }) {
  if (!found) return NOT_MEASURED;
  const signed = (value) => `${value < 0 ? "−" : "+"}${format(Math.abs(value), 4)}`;
  return `${signed(found.difference)} to ${found.to} (${signed(found.low)} to ${signed(found.high)})`;
}

function problems(item) {
  const lines = item.failures.map((failure) => failureText(failure, item.repeats));
  if (item.noise) lines.push(`noisy: ${item.noise}`);
  return lines.join(". ") || "none";
}

function drawTable(items) {
  const table = byId("table");
  const heading = (scope, text) => Object.assign(make("th", "", text), { scope });
  const names = ["engine", ...COLUMNS.map(([name]) => name)].map((name) => heading("col", name));
  const texts = TEXT_COLUMNS.map(([name]) => Object.assign(heading("col", name), { className: "w" }));
  table.tHead.replaceChildren(make("tr", "", [...names, ...texts]));
  const rows = items.map((item) => {
    const cells = COLUMNS.map(([, text]) => make("td", "", text(item)));
    const long = TEXT_COLUMNS.map(([, text]) => make("td", "text", text(item)));
    return make("tr", "", [heading("row", item.label), ...cells, ...long]);
  });
  table.tBodies[0].replaceChildren(...rows);
}

function drawConditions(view, items) {
  const file = Object.assign(make("a", "", `benchmarks/results/${view.file}`), { href: `../../benchmarks/results/${view.file}` });
  const link = Object.assign(make("a", "", "Address with this selection"), { href: location.hash });
  const pairs = [
    ["data", view.data],
    ["training", view.training],
    ["machine", view.machine.label],
    ["memory limit", view.memory.label],
    ["file cache", view.cache.label],
    ["start of the run (UTC)", view.date.label],
    ["result file", file],
    ["commit of toytip", view.commit ? make("code", "", view.commit) : NOT_MEASURED],
    ["packages", view.packages || NOT_MEASURED],
    ["link", link],
    ...items.filter((item) => item.description).map((item) => [item.label, item.description]),
  ];
  byId("pairs").replaceChildren(...pairs.map(([name, value]) => make("div", "", [make("dt", "", name), make("dd", "", value)])));
}

function draw() {
  const view = choose(state);
  byId("kind").value = state.kind;
  const names = new Set(view.contestants.map((item) => item.name));
  state.hidden = new Set([...state.hidden].filter((name) => names.has(name)));
  writeState(state);
  drawEngines(view, state);
  const items = selected(view, state);
  byId("status").textContent = `${items.length} of ${view.contestants.length} contenders, ${view.work.label}, ${view.date.label.split(",")[0]}`;
  drawFigures(view, items);
  drawBars(view, items);
  drawVerdicts(view, items);
  drawTable(items);
  drawConditions(view, items);
}

let state = readState();

document.querySelector("form").addEventListener("change", ({ target }) => {
  if (target.type !== "checkbox") state[target.id] = target.value;
  else if (target.checked) state.hidden.delete(target.value);
  else state.hidden.add(target.value);
  draw();
});
window.addEventListener("hashchange", () => {
  // The address of a section, such as #main, is not a selection.
  if (!location.hash.includes("=")) return;
  state = readState();
  draw();
});
draw();
