// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// One `sweep` report: any metric against any other, the Pareto front, the table.

"use strict";

// Rows are compared with rows of the same work in the same technology.
const kSweepGroups = ["network", "batch", "library"];

// A row's metrics by their dotted names.
function sweepMetrics(row) {
  const {point, axes: inputs, pareto, error, repeat, ...metrics} = row;
  const flat = {};
  for (const [name, value] of Object.entries(metrics)) {
    if (value !== null && typeof value === "object") {
      for (const [inner, figure] of Object.entries(value)) flat[`${name}.${inner}`] = figure;
    } else {
      flat[name] = value;
    }
  }
  return flat;
}

const inWords = (name) =>
  name
    .replace(/_/g, " ")
    .replace("gflops per watt.", "GFLOPS/W ")
    .replace("um2", "µm²")
    .replace(/ ns$/, ", ns")
    .replace(/ w$/, ", W");

function sweep(file, content) {
  const rows = content.rows.map((row) => ({...row, metrics: sweepMetrics(row)}));
  const names = [...new Set(rows.flatMap((row) => Object.keys(row.metrics)))];
  const plottable = names.filter((name) => rows.some((row) => isNumber(row.metrics[name])));
  // Axes that differ from row to row name a point.
  const varied = content.axes.filter((axis) => new Set(rows.map((row) => JSON.stringify(row.axes[axis]))).size > 1);
  const groupAxes = kSweepGroups.filter((axis) => varied.includes(axis));
  const named = (row, names) =>
    names
      .filter((axis) => row.axes[axis] !== null)
      .map((axis) => (axis === "network" || axis === "variant" ? row.axes[axis] : `${axis} ${row.axes[axis]}`))
      .join(", ") || "no other value";
  const group = (row) => named(row, groupAxes);
  const name = (row) => named(row, varied);
  const failed = rows.filter((row) => row.error !== null);
  const section = h(
    "section",
    {id: `sweep-${content.sweep}`, "aria-label": `Sweep ${content.sweep}`},
    h("h2", {}, `Sweep ${content.sweep}`, h("span", {class: "file"}, file)),
    h(
      "p",
      {class: "lead"},
      `${rows.length} points over ${varied.join(", ")}` +
        (failed.length > 0 ? `; ${failed.length} failed, the table says why` : "") +
        (content.objectives.length > 0
          ? `; front of ${content.objectives.map((goal) => `${inWords(goal.metric)} (${goal.direction})`).join(" and ")}`
          : "; no objectives, so no front"),
    ),
  );
  if (plottable.length > 1) section.append(sweepFigure(content, rows, plottable, {groups: group, name}));
  section.append(sweepTable(content, rows, names));
  return section;
}

function sweepFigure(content, rows, plottable, texts) {
  const goals = content.objectives.map((goal) => goal.metric).filter((metric) => plottable.includes(metric));
  const chosen = {
    x: goals[0] || plottable[0],
    y: goals[1] || plottable.find((metric) => metric !== (goals[0] || plottable[0])),
    scale: "linear",
  };
  const groups = [...new Set(rows.map(texts.groups))];
  const symbol = (row) => d3.symbols[groups.indexOf(texts.groups(row)) % d3.symbols.length];
  const holder = h("div", {});
  const choice = (label, key, values) =>
    h(
      "label",
      {},
      `${label} `,
      h(
        "select",
        {
          onchange: (event) => {
            chosen[key] = event.target.value;
            show();
          },
        },
        values.map((value) =>
          h("option", {value, selected: chosen[key] === value ? "" : null}, key === "scale" ? value : inWords(value)),
        ),
      ),
    );
  const controls = h(
    "div",
    {class: "choices"},
    choice("across", "x", plottable),
    choice("up", "y", plottable),
    choice("scales", "scale", ["linear", "logarithmic"]),
  );
  const legend = h(
    "ul",
    {class: "legend"},
    content.objectives.length > 0 && h("li", {}, h("span", {class: "swatch best"}), "on the front"),
    rows.some((row) => row.error !== null) && h("li", {}, h("span", {class: "swatch failed"}), "failed"),
    groups.length > 1 &&
      groups.map((group) => {
        const item = h("li", {});
        d3.select(item)
          .append("svg")
          .attr("width", 14)
          .attr("height", 14)
          .attr("aria-hidden", true)
          .append("path")
          .attr("class", "point")
          .attr("transform", "translate(7,7)")
          .attr(
            "d",
            d3
              .symbol()
              .type(d3.symbols[groups.indexOf(group) % d3.symbols.length])
              .size(60)(),
          );
        item.append(group);
        return item;
      }),
  );
  function show() {
    const shown = rows.filter((row) => isNumber(row.metrics[chosen.x]) && isNumber(row.metrics[chosen.y]));
    holder.replaceChildren(
      figure(
        "Points of the sweep",
        `${shown.length} of ${rows.length} points have both figures.`,
        `Scatter of ${shown.length} points; the table has the numbers`,
        (svg, width) => drawSweep(svg, width, content, shown, chosen, texts, symbol),
        legend,
      ),
    );
    holder.firstChild.insertBefore(controls, holder.firstChild.querySelector(".plot"));
  }
  show();
  return holder;
}

function drawSweep(svg, width, content, rows, chosen, texts, symbol) {
  const margin = {top: 26, right: 20, bottom: 44, left: 60};
  const inner = {width: width - margin.left - margin.right, height: Math.min(440, Math.max(280, width * 0.5))};
  const logarithmic =
    chosen.scale === "logarithmic" && rows.every((row) => row.metrics[chosen.x] > 0 && row.metrics[chosen.y] > 0);
  const scale = (metric, range) => {
    const [low, high] = d3.extent(rows, (row) => row.metrics[metric]);
    if (logarithmic) return d3.scaleLog([low / 1.15, high * 1.15], range);
    const room = (high - low || Math.abs(high) || 1) * 0.08;
    return d3.scaleLinear([low - room, high + room], range).nice();
  };
  const x = scale(chosen.x, [0, inner.width]);
  const y = scale(chosen.y, [inner.height, 0]);
  const plot = svg.append("g").attr("transform", `translate(${margin.left},${margin.top})`);
  axes(
    plot,
    inner.width,
    inner.height,
    {scale: x, label: inWords(chosen.x), format: short, ticks: width / 110, values: logarithmic ? decades(x) : null},
    {scale: y, label: inWords(chosen.y), format: short, values: logarithmic ? decades(y) : null},
  );
  const at = (row) => [x(row.metrics[chosen.x]), y(row.metrics[chosen.y])];
  const best = rows.filter((row) => row.pareto);
  // Two objectives that are the two axes make the front a line: between two of its points nothing is better than a corner.
  const both =
    content.objectives.length === 2 &&
    content.objectives.every((goal) => goal.metric === chosen.x || goal.metric === chosen.y) &&
    chosen.x !== chosen.y;
  if (both) {
    const goalX = content.objectives.find((goal) => goal.metric === chosen.x);
    const line = d3.line().curve(goalX.direction === "min" ? d3.curveStepAfter : d3.curveStepBefore);
    for (const members of d3.nest().key(texts.groups).entries(best)) {
      plot
        .append("path")
        .attr("class", "front")
        .attr("d", line(members.values.map(at).sort((a, b) => a[0] - b[0] || a[1] - b[1])));
    }
  }
  const marks = plot
    .selectAll(".point")
    .data([...rows].sort((a, b) => a.pareto - b.pareto))
    .enter()
    .append("path")
    .attr("class", (row) => `point ${row.error !== null ? "failed" : row.pareto ? "best" : ""}`)
    .attr("transform", (row) => `translate(${at(row)})`)
    .attr("d", (row) =>
      d3
        .symbol()
        .type(symbol(row))
        .size(row.pareto ? 110 : 70)(),
    );
  tips(
    marks,
    (row) =>
      `${texts.name(row)}\n${inWords(chosen.x)} ${short(row.metrics[chosen.x])}\n` +
      `${inWords(chosen.y)} ${short(row.metrics[chosen.y])}` +
      (row.pareto ? "\non the front" : "") +
      (row.error !== null ? `\nfailed: ${row.error}` : ""),
  );
  nameMarks(
    plot,
    best.map((row) => ({x: at(row)[0], y: at(row)[1], r: 6, text: texts.name(row)})),
    inner,
  );
  svg.attr("height", margin.top + inner.height + margin.bottom);
}

function sweepTable(content, rows, names) {
  const failed = rows.some((row) => row.error !== null);
  const columns = [
    {name: "Point", value: (row) => row.point},
    ...content.axes.map((axis) => ({name: axis, value: (row) => row.axes[axis], absent: "–"})),
    ...names.map((name) => ({name: inWords(name), value: (row) => row.metrics[name], show: short})),
  ];
  if (content.objectives.length > 0) columns.push({name: "Front", value: (row) => (row.pareto ? "yes" : "no")});
  if (failed) columns.push({name: "Error", value: (row) => row.error, absent: "–", wide: true});
  return table(`Points of sweep ${content.sweep}`, columns, rows, (row) => (row.pareto ? "best" : null));
}
