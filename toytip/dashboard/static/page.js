// Asks the scheduler twice a second how the runs are, and draws them. Whatever is shown is set as text, never as markup.
"use strict";

const EVERY = 500;
const SILENT = 10;
const number = new Intl.NumberFormat("en");
const STANDING = { waiting: "waiting", running: "under way", done: "done", skipped: "not needed" };
let last = null;

/** Return the child of a kind under a key, made where it is not there yet: what is the same stays the same element. */
function keep(parent, key, kind, className = "", text = null) {
  const svg = ["svg", "polyline", "line", "text"].includes(kind);
  let child = [...parent.children].find((each) => each.dataset.key === String(key));
  if (!child) {
    child = svg ? document.createElementNS("http://www.w3.org/2000/svg", kind) : document.createElement(kind);
    child.dataset.key = key;
    parent.append(child);
  }
  if (child.getAttribute("class") !== className) child.setAttribute("class", className);
  if (text !== null && child.textContent !== text) child.textContent = text;
  child.dataset.fresh = "1";
  return child;
}

/** Remove the children that were not drawn this time. */
function tidy(parent) {
  for (const child of [...parent.children]) {
    if (child.dataset.fresh) delete child.dataset.fresh;
    else child.remove();
  }
}

function spoken(seconds) {
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  const pad = (value) => String(value).padStart(2, "0");
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${pad(whole % 60)} s`;
  return `${Math.floor(whole / 3600)} h ${pad(Math.floor((whole % 3600) / 60))} min`;
}

const bytes = (value) => (value >= 1e9 ? `${(value / 1e9).toFixed(1)} GB` : `${Math.round(value / 1e6)} MB`);

function drawTitle(section, run) {
  const title = keep(section, "title", "div", "title");
  keep(title, "name", "h2", "", run.run || "no version");
  keep(title, "outcome", "span", `outcome ${run.outcome}`, run.outcome);
  const ended = run.outcome !== "running";
  const seconds = (ended ? run.ended : run.now + run.silent) - run.began;
  keep(title, "seconds", "span", "", spoken(Math.max(seconds, 0)));
  if (!ended && run.left !== null) keep(title, "left", "span", "left", `about ${spoken(Math.max(run.left, 1))} left`);
  else if (!ended) {
    const stage = run.stages.find((each) => each.standing === "running" && each.left !== null && each.total > 1);
    if (stage) keep(title, "left", "span", "left", `about ${spoken(Math.max(stage.left, 1))} left of ${stage.name}`);
  }
  if (!ended && run.silent > SILENT) keep(title, "silent", "span", "soft", `nothing heard for ${spoken(run.silent)}`);
  if (run.store) keep(title, "store", "span", "soft", run.store);
  tidy(title);
  if (run.error) keep(section, "error", "p", "error", run.error);
}

function drawHead(table, months) {
  const head = keep(table, "head", "thead");
  const years = keep(head, "years", "tr");
  const row = keep(head, "months", "tr");
  keep(years, "name", "th");
  keep(row, "name", "th");
  const wanted = months.map((month) => month.slice(0, 4));
  for (const year of new Set(wanted)) {
    const cell = keep(years, year, "th", "", year);
    cell.colSpan = wanted.filter((each) => each === year).length;
  }
  for (const month of months) {
    const first = month.endsWith("-01") && month !== months[0];
    keep(row, month, "th", first ? "year" : "", months.length > 36 ? "" : String(Number(month.slice(5))));
  }
  for (const each of [years, row]) tidy(each);
  tidy(head);
}

function drawCell(row, stage, month, first) {
  const box = keep(row, month, "td", first ? "year" : "");
  const told = stage.cells[month];
  if (told) {
    const [standing, parts, done, taken, running, retried] = told;
    const classes = ["cell", standing === "done" && taken === parts ? "taken" : standing];
    if (retried) classes.push("retried");
    const cell = keep(box, "cell", "span", classes.join(" "));
    Object.assign(cell.dataset, { stage: stage.name, month, standing });
    cell.style.setProperty("--share", parts ? done / parts : 0);
    let text = `${stage.name} ${month}: ${STANDING[standing]}, ${done} of ${parts} parts`;
    if (taken) text += `, ${taken} taken over`;
    if (running) text += `, ${running} on a worker`;
    if (retried) text += `, ${retried} begun again`;
    cell.title = text;
    cell.setAttribute("role", "img");
    cell.setAttribute("aria-label", text);
  }
  tidy(box);
}

function drawStage(body, stage, months) {
  const row = keep(body, stage.key, "tr", stage.standing);
  Object.assign(row.dataset, { stage: stage.name, standing: stage.standing });
  keep(row, "name", "th", "name", stage.name);
  if (Object.keys(stage.cells).length) {
    for (const month of months) drawCell(row, stage, month, month.endsWith("-01") && month !== months[0]);
  } else {
    const box = keep(row, "bar", "td");
    box.colSpan = Math.max(months.length, 1);
    if (stage.unit !== "step" && stage.standing !== "skipped") {
      const bar = keep(box, "bar", "span", "bar");
      keep(bar, "share", "i").style.width = `${stage.total ? (100 * stage.done) / stage.total : 0}%`;
      tidy(bar);
    }
    tidy(box);
  }
  const begun = stage.standing === "running" || stage.standing === "done";
  const many = stage.unit !== "step" && begun;
  keep(row, "done", "td", "told main", many ? `${number.format(stage.done)} / ${number.format(stage.total)}` : "");
  keep(row, "seconds", "td", "told", begun ? `${stage.seconds.toFixed(1)} s` : "");
  if (stage.rows) {
    keep(row, "rows", "td", "told", `${number.format(stage.rows)} rows`);
    keep(row, "rate", "td", "told", stage.rate ? `${number.format(Math.round(stage.rate))} rows/s` : "");
    const now = stage.rate_now ? `${number.format(Math.round(stage.rate_now))} now` : "";
    keep(row, "now", "td", "told", now).title = now && "rows a second over the last seconds; beside it, since the stage began";
  }
  keep(row, "note", "td", "told note", stage.note).colSpan = stage.rows ? 1 : 4;
  tidy(row);
}

function drawGrid(section, run) {
  const well = keep(section, "grid", "div", "grid-well");
  const table = keep(well, "stages", "table", run.months.length > 24 ? "stages many" : "stages");
  if (run.months.length) drawHead(table, run.months);
  const body = keep(table, "body", "tbody");
  const seen = {};
  for (const stage of run.stages) {
    seen[stage.name] = (seen[stage.name] || 0) + 1;
    drawStage(body, { ...stage, key: `${stage.name} ${seen[stage.name]}` }, run.months);
  }
  order(body, run.stages.length);
  tidy(body);
  tidy(table);
  if (run.months.length) drawKey(well);
  tidy(well);
}

function drawKey(well) {
  const key = keep(well, "key", "ul", "key");
  for (const [name, text] of [["waiting", "waiting"], ["running", "under way"], ["done", "done"],
    ["taken", "taken over"], ["waiting retried", "begun again after a worker was lost"]]) {
    const item = keep(key, name, "li");
    keep(item, "mark", "span", `cell ${name}`);
    keep(item, "text", "span", "", text);
    tidy(item);
  }
  tidy(key);
}

/** A stage that came in between stands at the end of the body, as the last that was made: put the rows in their order. */
function order(body, count) {
  const drawn = [...body.children].filter((row) => row.dataset.fresh).slice(0, count);
  const names = last.order;
  drawn.sort((a, b) => names.indexOf(a.dataset.key) - names.indexOf(b.dataset.key));
  if (drawn.some((row, place) => body.children[place] !== row)) body.append(...drawn);
}

function drawCurve(section, run) {
  if (!run.curve.length) return;
  const box = keep(section, "curve", "div", "curve");
  keep(box, "title", "h3", "", `log loss by round, ${run.curve.at(-1)[0]} so far`);
  const svg = keep(box, "svg", "svg");
  const [width, height, side] = [420, 150, 44];
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const values = run.curve.flatMap((point) => point.slice(1)).filter((value) => value !== null);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const rounds = run.curve.at(-1)[0];
  const x = (round) => side + ((width - side - 52) * (round - 1)) / Math.max(rounds - 1, 1);
  const y = (value) => 8 + ((height - 24) * (high - value)) / (high - low || 1);
  const axis = keep(svg, "axis", "line", "axis");
  for (const [name, value] of [["x1", side], ["x2", width - 52], ["y1", height - 12], ["y2", height - 12]]) axis.setAttribute(name, value);
  write(svg, "high", 0, 12, high.toFixed(3));
  write(svg, "low", 0, height - 13, low.toFixed(3));
  const ends = [];
  for (const [place, name] of [[1, "train"], [2, "validation"]]) {
    const points = run.curve.filter((point) => point[place] !== null);
    if (!points.length) continue;
    const line = keep(svg, name, "polyline", name);
    line.setAttribute("points", points.map((point) => `${x(point[0]).toFixed(1)},${y(point[place]).toFixed(1)}`).join(" "));
    line.dataset.points = points.length;
    ends.push([name, y(points.at(-1)[place]) + 4]);
  }
  if (ends.length === 2 && Math.abs(ends[0][1] - ends[1][1]) < 13) {
    const up = ends[0][1] < ends[1][1] ? 0 : 1;
    const middle = (ends[0][1] + ends[1][1]) / 2;
    [ends[up][1], ends[1 - up][1]] = [middle - 6.5, middle + 6.5];
  }
  for (const [name, height_] of ends) write(svg, `${name} name`, x(rounds) + 6, height_, name, name);
  tidy(svg);
  tidy(box);
}

function write(svg, key, x, y, text, className = "") {
  const label = keep(svg, key, "text", className, text);
  label.setAttribute("x", x);
  label.setAttribute("y", y);
}

function drawRejects(section, run) {
  const reasons = Object.entries(run.rejects).filter(([, count]) => count).sort((a, b) => b[1] - a[1]);
  if (!reasons.length) return;
  const box = keep(section, "rejects", "div", "rejects");
  const total = reasons.reduce((sum, [, count]) => sum + count, 0);
  keep(box, "title", "h3", "", `rejected so far, ${number.format(total)}`);
  const table = keep(box, "table", "table");
  for (const [reason, count] of reasons) {
    const row = keep(table, reason, "tr");
    keep(row, "reason", "td", "", reason.replaceAll("_", " "));
    keep(row, "count", "td", "", number.format(count));
    tidy(row);
  }
  tidy(table);
  tidy(box);
}

function drawWorkers(section, workers, lost) {
  const box = keep(section, "workers", "div", "workers");
  const count = `${workers.length} ${workers.length === 1 ? "worker" : "workers"}`;
  keep(box, "title", "h3", "", `memory of ${count}${lost ? `, ${lost} lost` : ""}`);
  const table = keep(box, "table", "table");
  for (const worker of [...workers].sort((a, b) => a.name.localeCompare(b.name, "en", { numeric: true })).slice(0, 16)) {
    const row = keep(table, worker.name, "tr");
    keep(row, "name", "td", "", worker.name);
    const wide = keep(row, "wide", "td", "wide");
    const share = worker.limit ? worker.memory / worker.limit : 0;
    const bar = keep(wide, "bar", "span", share > 0.7 ? "bar full" : "bar");
    keep(bar, "share", "i").style.width = `${Math.min(100 * share, 100)}%`;
    keep(row, "memory", "td", "", worker.limit ? `${bytes(worker.memory)} of ${bytes(worker.limit)}` : bytes(worker.memory));
    for (const each of [bar, wide, row]) tidy(each);
  }
  if (workers.length > 16) keep(keep(table, "more", "tr"), "more", "td", "soft", `and ${workers.length - 16} more`);
  tidy(table);
  tidy(box);
}

function drawRun(main, run, told, newest) {
  const section = keep(main, run.run, "section", "run");
  Object.assign(section.dataset, { run: run.run, outcome: run.outcome });
  const seen = {};
  last.order = run.stages.map((stage) => `${stage.name} ${(seen[stage.name] = (seen[stage.name] || 0) + 1)}`);
  drawTitle(section, run);
  if (run.outcome === "running" || newest) {
    drawGrid(section, run);
    const below = keep(section, "below", "div", "below");
    drawCurve(below, run);
    drawRejects(below, run);
    if (newest) drawWorkers(below, told.workers, told.lost);
    tidy(below);
  }
  if (run.warnings.length) {
    const list = keep(section, "warnings", "ul", "warnings");
    run.warnings.forEach((text, place) => keep(list, place, "li", "", text));
    tidy(list);
  }
  tidy(section);
}

function draw(told) {
  const main = document.getElementById("runs");
  if (!told.runs.length) {
    const none = keep(main, "none", "div", "none");
    keep(none, "text", "p", "", "Nothing has run on this scheduler yet. A run shows here from its first second:");
    keep(keep(none, "command", "p"), "code", "code", "", "toytip run --scheduler ADDRESS");
    for (const child of none.children) tidy(child);
    tidy(none);
    const below = keep(main, "below", "div", "below");
    drawWorkers(below, told.workers, told.lost);
    tidy(below);
  }
  told.runs.forEach((run, place) => drawRun(main, run, told, place === 0));
  const wanted = told.runs.map((run) => run.run);
  const sections = [...main.children].filter((each) => each.dataset.run);
  sections.sort((a, b) => wanted.indexOf(a.dataset.run) - wanted.indexOf(b.dataset.run));
  if (sections.some((each, place) => main.children[place] !== each)) main.append(...sections);
  tidy(main);
  const running = told.runs.filter((run) => run.outcome === "running").length;
  document.title = running ? `toytip, ${running} running` : "toytip";
}

async function ask() {
  const link = document.getElementById("link");
  try {
    const answer = await fetch("toytip/state.json", { cache: "no-store" });
    if (!answer.ok) throw new Error(`the scheduler answers ${answer.status}`);
    const told = await answer.json();
    last = { order: [] };
    draw(told);
    document.body.dataset.drawn = String(Number(document.body.dataset.drawn || 0) + 1);
    if (link.textContent) link.textContent = "";
    setTimeout(ask, EVERY);
  } catch (error) {
    const going = document.querySelector('[data-outcome="running"]');
    link.textContent = going ? "the scheduler does not answer; this was the last" : "the cluster has ended with the run";
    setTimeout(ask, 4 * EVERY);
  }
}

ask();
