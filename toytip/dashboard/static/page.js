// Fetch the state of the runs twice per second, and draw it. All values are set as text, never as markup.
"use strict";

const REFRESH_MS = 500;
const SILENT_SECONDS = 10;
const MAX_WORKERS = 16;
const number = new Intl.NumberFormat("en");
const STATUS_LABELS = { waiting: "waiting", running: "running", done: "done", skipped: "not needed" };

/** Return the child element with a key. An existing element is reused, so that elements survive a refresh. */
function child(parent, key, kind, className = "", text = null) {
  const svg = ["svg", "polyline", "line", "text"].includes(kind);
  let element = [...parent.children].find((existing) => existing.dataset.key === String(key));
  if (!element) {
    element = svg ? document.createElementNS("http://www.w3.org/2000/svg", kind) : document.createElement(kind);
    element.dataset.key = key;
    parent.append(element);
  }
  if (element.getAttribute("class") !== className) element.setAttribute("class", className);
  if (text !== null && element.textContent !== text) element.textContent = text;
  element.dataset.drawn = "1";
  return element;
}

/** Remove the child elements that the current refresh did not draw. */
function removeStale(parent) {
  for (const element of [...parent.children]) {
    if (element.dataset.drawn) delete element.dataset.drawn;
    else element.remove();
  }
}

function formatDuration(seconds) {
  const total = Math.round(seconds);
  if (total < 60) return `${total} s`;
  const pad = (value) => String(value).padStart(2, "0");
  if (total < 3600) return `${Math.floor(total / 60)} min ${pad(total % 60)} s`;
  return `${Math.floor(total / 3600)} h ${pad(Math.floor((total % 3600) / 60))} min`;
}

const isFirstOfYear = (month, months) => month.endsWith("-01") && month !== months[0];

const formatBytes = (value) => (value >= 1e9 ? `${(value / 1e9).toFixed(1)} GB` : `${Math.round(value / 1e6)} MB`);

function drawTitle(section, run) {
  const title = child(section, "title", "div", "title");
  child(title, "name", "h2", "", run.run || "no version");
  child(title, "outcome", "span", `outcome ${run.outcome}`, run.outcome);
  const isRunning = run.outcome === "running";
  const seconds = (isRunning ? run.now + run.seconds_since_update : run.ended_at) - run.started_at;
  child(title, "elapsed", "span", "", formatDuration(Math.max(seconds, 0)));
  if (isRunning) drawRemaining(title, run);
  if (run.store) child(title, "store", "span", "soft", run.store);
  removeStale(title);
  if (run.error) child(section, "error", "p", "error", run.error);
}

function drawRemaining(title, run) {
  const about = (seconds) => `about ${formatDuration(Math.max(seconds, 1))} left`;
  if (run.remaining_seconds !== null) {
    child(title, "remaining", "span", "remaining", about(run.remaining_seconds));
  } else {
    const stage = run.stages.find(
      (stage) => stage.status === "running" && stage.remaining_seconds !== null && stage.total > 1,
    );
    if (stage) child(title, "remaining", "span", "remaining", `${about(stage.remaining_seconds)} in ${stage.name}`);
  }
  if (run.seconds_since_update > SILENT_SECONDS) {
    child(title, "silent", "span", "soft", `no update for ${formatDuration(run.seconds_since_update)}`);
  }
}

function drawHead(table, months) {
  const head = child(table, "head", "thead");
  const yearRow = child(head, "years", "tr");
  const monthRow = child(head, "months", "tr");
  child(yearRow, "name", "th");
  child(monthRow, "name", "th");
  const years = months.map((month) => month.slice(0, 4));
  for (const year of new Set(years)) {
    const cell = child(yearRow, year, "th", "", year);
    cell.colSpan = years.filter((other) => other === year).length;
  }
  for (const month of months) {
    const label = months.length > 36 ? "" : String(Number(month.slice(5)));
    child(monthRow, month, "th", isFirstOfYear(month, months) ? "year" : "", label);
  }
  for (const row of [yearRow, monthRow]) removeStale(row);
  removeStale(head);
}

function drawCell(row, stage, month, months) {
  const box = child(row, month, "td", isFirstOfYear(month, months) ? "year" : "");
  const counts = stage.months[month];
  if (counts) {
    const [status, partitions, done, reused, running, retried] = counts;
    const classes = ["cell", status === "done" && reused === partitions ? "reused" : status];
    if (retried) classes.push("retried");
    const cell = child(box, "cell", "span", classes.join(" "));
    Object.assign(cell.dataset, { stage: stage.name, month, status });
    cell.style.setProperty("--share", partitions ? done / partitions : 0);
    let text = `${stage.name} ${month}: ${STATUS_LABELS[status]}, ${done} of ${partitions} partitions`;
    if (reused) text += `, ${reused} reused`;
    if (running) text += `, ${running} running`;
    if (retried) text += `, ${retried} retried`;
    cell.title = text;
    cell.setAttribute("role", "img");
    cell.setAttribute("aria-label", text);
  }
  removeStale(box);
}

function drawBar(row, stage, months) {
  const box = child(row, "bar", "td");
  box.colSpan = Math.max(months.length, 1);
  if (stage.unit !== "step" && stage.status !== "skipped") {
    const bar = child(box, "bar", "span", "bar");
    child(bar, "share", "i").style.width = `${stage.total ? (100 * stage.done) / stage.total : 0}%`;
    removeStale(bar);
  }
  removeStale(box);
}

function drawStage(body, stage, key, months) {
  const row = child(body, key, "tr", stage.status);
  Object.assign(row.dataset, { stage: stage.name, status: stage.status });
  child(row, "name", "th", "name", stage.name);
  if (Object.keys(stage.months).length) {
    for (const month of months) drawCell(row, stage, month, months);
  } else {
    drawBar(row, stage, months);
  }
  const hasStarted = stage.status === "running" || stage.status === "done";
  const counts = hasStarted && stage.unit !== "step";
  child(row, "done", "td", "value main", counts ? `${number.format(stage.done)} / ${number.format(stage.total)}` : "");
  child(row, "elapsed", "td", "value", hasStarted ? `${stage.elapsed_seconds.toFixed(1)} s` : "");
  if (stage.rows) drawRates(row, stage);
  child(row, "note", "td", "value note", stage.note).colSpan = stage.rows ? 1 : 4;
  removeStale(row);
}

function drawRates(row, stage) {
  const rate = (value) => number.format(Math.round(value));
  const current = stage.current_rows_per_second;
  child(row, "rows", "td", "value", `${number.format(stage.rows)} ${stage.rows === 1 ? "row" : "rows"}`);
  child(row, "rate", "td", "value", stage.rows_per_second ? `${rate(stage.rows_per_second)} rows/s` : "");
  const cell = child(row, "now", "td", "value", current ? `${rate(current)} now` : "");
  cell.title = current ? "rows per second over the last ten seconds (the number to the left is the mean since the stage started)" : "";
}

function drawGrid(section, run) {
  const well = child(section, "grid", "div", "grid-well");
  const table = child(well, "stages", "table", run.months.length > 24 ? "stages many" : "stages");
  if (run.months.length) drawHead(table, run.months);
  const body = child(table, "body", "tbody");
  const keys = stageKeys(run.stages);
  run.stages.forEach((stage, index) => drawStage(body, stage, keys[index], run.months));
  sortRows(body, keys);
  removeStale(body);
  removeStale(table);
  if (run.months.length) drawLegend(well);
  removeStale(well);
}

/** Return a unique key for each stage: its name and a number, because several stages can have the same name. */
function stageKeys(stages) {
  const counts = {};
  return stages.map(({ name }) => `${name} ${(counts[name] = (counts[name] || 0) + 1)}`);
}

/** Sort the rows in the order of the stages, because new rows are appended at the end of the body. */
function sortRows(body, keys) {
  const rows = [...body.children].filter((row) => row.dataset.drawn);
  rows.sort((a, b) => keys.indexOf(a.dataset.key) - keys.indexOf(b.dataset.key));
  if (rows.some((row, index) => body.children[index] !== row)) body.append(...rows);
}

function drawLegend(well) {
  const legend = child(well, "legend", "ul", "legend");
  for (const [name, text] of [["waiting", "waiting"], ["running", "running"], ["done", "done"],
    ["reused", "reused"], ["waiting retried", "retried (worker lost)"]]) {
    const item = child(legend, name, "li");
    child(item, "mark", "span", `cell ${name}`);
    child(item, "text", "span", "", text);
    removeStale(item);
  }
  removeStale(legend);
}

const CHART = { width: 420, height: 150, left: 44, right: 64, top: 8, bottom: 12 };
// Minimum vertical distance between the labels of the two lines.
const LABEL_HEIGHT = 13;

function drawCurve(section, run) {
  if (!run.curve.length) return;
  const rounds = run.curve.at(-1)[0];
  const box = child(section, "curve", "div", "curve");
  child(box, "title", "h3", "", `Log loss, ${rounds} ${rounds === 1 ? "round" : "rounds"}`);
  const svg = child(box, "svg", "svg");
  svg.setAttribute("viewBox", `0 0 ${CHART.width} ${CHART.height}`);
  const values = run.curve.flatMap((point) => point.slice(1)).filter((value) => value !== null);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const width = CHART.width - CHART.left - CHART.right;
  const x = (round) => CHART.left + (width * (round - 1)) / Math.max(rounds - 1, 1);
  const y = (value) => CHART.top + ((CHART.height - 2 * CHART.bottom) * (high - value)) / (high - low || 1);
  drawAxis(svg, low, high);
  const labels = [[1, "train"], [2, "validation"]].flatMap(([index, name]) =>
    drawLine(svg, run.curve, index, name, x, y),
  );
  spreadLabels(labels);
  for (const { name, height } of labels) drawText(svg, `${name} label`, x(rounds) + 6, height, name, name);
  removeStale(svg);
  removeStale(box);
}

function drawAxis(svg, low, high) {
  const axis = child(svg, "axis", "line", "axis");
  const base = CHART.height - CHART.bottom;
  const ends = { x1: CHART.left, x2: CHART.width - CHART.right, y1: base, y2: base };
  for (const [name, value] of Object.entries(ends)) axis.setAttribute(name, value);
  drawText(svg, "high", 0, CHART.top + 4, high.toFixed(3));
  drawText(svg, "low", 0, base - 1, low.toFixed(3));
}

/** Draw the line of one split. Return its label in an array, which is empty if the split has no values. */
function drawLine(svg, curve, index, name, x, y) {
  const points = curve.filter((point) => point[index] !== null);
  if (!points.length) return [];
  const line = child(svg, name, "polyline", name);
  const position = (point) => `${x(point[0]).toFixed(1)},${y(point[index]).toFixed(1)}`;
  line.setAttribute("points", points.map(position).join(" "));
  line.dataset.points = points.length;
  return [{ name, height: y(points.at(-1)[index]) + 4 }];
}

/** Move the two labels apart if they overlap. */
function spreadLabels(labels) {
  if (labels.length < 2) return;
  const [upper, lower] = [...labels].sort((a, b) => a.height - b.height);
  if (lower.height - upper.height >= LABEL_HEIGHT) return;
  const middle = (upper.height + lower.height) / 2;
  [upper.height, lower.height] = [middle - LABEL_HEIGHT / 2, middle + LABEL_HEIGHT / 2];
}

function drawText(svg, key, x, y, text, className = "") {
  const label = child(svg, key, "text", className, text);
  label.setAttribute("x", x);
  label.setAttribute("y", y);
}

function drawRejects(section, run) {
  const reasons = Object.entries(run.rejects).filter(([, count]) => count).sort((a, b) => b[1] - a[1]);
  if (!reasons.length) return;
  const box = child(section, "rejects", "div", "rejects");
  const total = reasons.reduce((sum, [, count]) => sum + count, 0);
  child(box, "title", "h3", "", `Rejected rows, ${number.format(total)}`);
  const table = child(box, "table", "table");
  for (const [reason, count] of reasons) {
    const row = child(table, reason, "tr");
    child(row, "reason", "td", "", reason.replaceAll("_", " "));
    child(row, "count", "td", "", number.format(count));
    removeStale(row);
  }
  removeStale(table);
  removeStale(box);
}

function drawWorkers(section, workers, lostWorkers) {
  const box = child(section, "workers", "div", "workers");
  const count = `${workers.length} ${workers.length === 1 ? "worker" : "workers"}`;
  child(box, "title", "h3", "", `Memory, ${count}${lostWorkers ? ` (${lostWorkers} lost)` : ""}`);
  const table = child(box, "table", "table");
  const byName = (a, b) => a.name.localeCompare(b.name, "en", { numeric: true });
  for (const worker of [...workers].sort(byName).slice(0, MAX_WORKERS)) drawWorker(table, worker);
  const hidden = workers.length - MAX_WORKERS;
  if (hidden > 0) child(child(table, "more", "tr"), "more", "td", "soft", `and ${hidden} more ${hidden === 1 ? "worker" : "workers"}`);
  removeStale(table);
  removeStale(box);
}

function drawWorker(table, worker) {
  const { name, memory_bytes: memory, memory_limit_bytes: limit } = worker;
  const row = child(table, name, "tr");
  child(row, "name", "td", "", name);
  const wide = child(row, "wide", "td", "wide");
  const share = limit ? memory / limit : 0;
  const bar = child(wide, "bar", "span", share > 0.7 ? "bar full" : "bar");
  child(bar, "share", "i").style.width = `${Math.min(100 * share, 100)}%`;
  child(row, "memory", "td", "", limit ? `${formatBytes(memory)} of ${formatBytes(limit)}` : formatBytes(memory));
  for (const element of [bar, wide, row]) removeStale(element);
}

function drawRun(main, run, snapshot, isNewest) {
  const section = child(main, run.run, "section", "run");
  Object.assign(section.dataset, { run: run.run, outcome: run.outcome });
  drawTitle(section, run);
  if (run.outcome === "running" || isNewest) {
    drawGrid(section, run);
    const below = child(section, "below", "div", "below");
    drawCurve(below, run);
    drawRejects(below, run);
    if (isNewest) drawWorkers(below, snapshot.workers, snapshot.lost_workers);
    removeStale(below);
  }
  if (run.warnings.length) {
    const list = child(section, "warnings", "ul", "warnings");
    run.warnings.forEach((text, index) => child(list, index, "li", "", text));
    removeStale(list);
  }
  removeStale(section);
}

function drawNoRuns(main, snapshot) {
  const none = child(main, "none", "div", "none");
  child(none, "text", "p", "", "This scheduler has no runs yet. To start a run:");
  child(child(none, "command", "p"), "code", "code", "", "toytip run --scheduler ADDRESS");
  for (const element of none.children) removeStale(element);
  removeStale(none);
  const below = child(main, "below", "div", "below");
  drawWorkers(below, snapshot.workers, snapshot.lost_workers);
  removeStale(below);
}

function draw(snapshot) {
  const main = document.getElementById("runs");
  if (!snapshot.runs.length) drawNoRuns(main, snapshot);
  snapshot.runs.forEach((run, index) => drawRun(main, run, snapshot, index === 0));
  const names = snapshot.runs.map((run) => run.run);
  const sections = [...main.children].filter((section) => section.dataset.run);
  sections.sort((a, b) => names.indexOf(a.dataset.run) - names.indexOf(b.dataset.run));
  if (sections.some((section, index) => main.children[index] !== section)) main.append(...sections);
  removeStale(main);
  const running = snapshot.runs.filter((run) => run.outcome === "running").length;
  document.title = running ? `toytip, ${running} running` : "toytip";
}

async function refresh() {
  const connection = document.getElementById("connection");
  try {
    const response = await fetch("toytip/state.json", { cache: "no-store" });
    if (!response.ok) throw new Error(`HTTP status ${response.status}`);
    draw(await response.json());
    document.body.dataset.refreshes = String(Number(document.body.dataset.refreshes || 0) + 1);
    if (connection.textContent) connection.textContent = "";
    setTimeout(refresh, REFRESH_MS);
  } catch (error) {
    const isRunning = document.querySelector('[data-outcome="running"]');
    connection.textContent = isRunning
      ? "The scheduler does not answer. This page shows the last known state."
      : "The scheduler does not answer. All runs on this page have ended.";
    setTimeout(refresh, 4 * REFRESH_MS);
  }
}

refresh();
