// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// What the plots share: figure, axes, marks of a phase, the note that follows the pointer.

"use strict";

// Draws every figure once it has its place on the page.
const drawings = [];
function drawAll() {
  for (const draw of drawings) draw();
}

// A figure that is drawn by drawAll, and again whenever its width changes. `label` says in words what it shows;
// `draw(svg, width)` fills a D3 selection and sets its height. `more` are elements below the plot.
function figure(title, note, label, draw, ...more) {
  const host = h("div", {class: "plot"});
  let drawn = 0;
  const drawAgain = () => {
    const width = Math.floor(host.clientWidth);
    if (width === drawn || width === 0) return;
    drawn = width;
    host.replaceChildren();
    draw(d3.select(host).append("svg").attr("role", "img").attr("aria-label", label).attr("width", width), width);
  };
  drawings.push(drawAgain);
  // Not within the observer, whose loop a change of the height would prolong.
  new ResizeObserver(() => requestAnimationFrame(drawAgain)).observe(host);
  return h("figure", {}, h("figcaption", {}, h("h4", {}, title), note && h("p", {}, note)), host, more);
}

// Marks show `text(datum)` while the pointer is on them.
function tips(selection, text) {
  const tip = document.getElementById("tip");
  const event = () => d3.event;
  return selection
    .on("pointermove", (datum) => {
      tip.textContent = text(datum);
      tip.hidden = false;
      const box = tip.getBoundingClientRect();
      tip.style.left = `${Math.max(4, Math.min(event().clientX + 14, innerWidth - box.width - 8))}px`;
      const below = event().clientY + 18;
      tip.style.top = `${below + box.height > innerHeight ? event().clientY - box.height - 10 : below}px`;
    })
    .on("pointerleave", () => {
      tip.hidden = true;
    });
}

// Axes of a plot whose inner part has its origin at `group`; `x` and `y` are {scale, label, ticks,
// format, grid}.
function axes(group, width, height, x, y) {
  const prepared = (axis, side) => {
    side.tickSizeOuter(0).tickPadding(6);
    if (axis.values) side.tickValues(axis.values);
    else side.ticks(axis.ticks || 5);
    if (axis.format) side.tickFormat(axis.format);
    return side;
  };
  const below = group
    .append("g")
    .attr("class", "axis")
    .attr("transform", `translate(0,${height})`)
    .call(prepared(x, d3.axisBottom(x.scale)));
  const left = group
    .append("g")
    .attr("class", "axis")
    .call(prepared(y, d3.axisLeft(y.scale)));
  if (x.grid !== false) below.selectAll(".tick").append("line").attr("class", "grid").attr("y2", -height);
  left.selectAll(".tick").append("line").attr("class", "grid").attr("x2", width);
  group
    .append("text")
    .attr("class", "soft small")
    .attr("x", width)
    .attr("y", height + 36)
    .attr("text-anchor", "end")
    .text(x.label);
  group.append("text").attr("class", "soft small").attr("x", -36).attr("y", -10).text(y.label);
}

// Powers of ten have few ticks of their own: 1, 2 and 5 of each.
function decades(scale) {
  const [low, high] = scale.domain();
  const all = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); ++power) {
    for (const digit of [1, 2, 5]) all.push(digit * 10 ** power);
  }
  const inside = all.filter((value) => value >= low * 0.999 && value <= high * 1.001);
  return inside.length > 9
    ? inside.filter((value) => Number.isInteger(Math.round(Math.log10(value) * 1e6) / 1e6))
    : inside;
}

// Names beside marks of {x, y, r, text}, the first first, where there is room for them.
function nameMarks(plot, marks, inner) {
  const taken = marks.map((mark) => ({
    left: mark.x - mark.r,
    right: mark.x + mark.r,
    top: mark.y - mark.r,
    bottom: mark.y + mark.r,
    mark,
  }));
  for (const mark of marks) {
    const breadth = mark.text.length * 6 + 4;
    for (const [dx, dy, anchor] of [
      [mark.r + 4, 4, "start"],
      [-mark.r - 4, 4, "end"],
      [0, -mark.r - 5, "middle"],
      [0, mark.r + 13, "middle"],
    ]) {
      const start = mark.x + dx - (anchor === "end" ? breadth : anchor === "middle" ? breadth / 2 : 0);
      const box = {left: start, right: start + breadth, top: mark.y + dy - 11, bottom: mark.y + dy + 3, mark};
      const free =
        box.left > 0 &&
        box.right < inner.width &&
        box.top > -12 &&
        box.bottom < inner.height &&
        taken.every(
          (other) =>
            other.mark === mark ||
            box.right < other.left ||
            box.left > other.right ||
            box.bottom < other.top ||
            box.top > other.bottom,
        );
      if (!free) continue;
      taken.push({...box, mark: null});
      plot
        .append("text")
        .attr("class", "small halo")
        .attr("x", mark.x + dx)
        .attr("y", mark.y + dy)
        .attr("text-anchor", anchor)
        .style("pointer-events", "none")
        .text(mark.text);
      break;
    }
  }
}

const kPhases = [
  {name: "FF", meaning: "feed-forward", symbol: d3.symbolCircle},
  {name: "BP", meaning: "back-propagation", symbol: d3.symbolSquare},
  {name: "UP", meaning: "weight update", symbol: d3.symbolTriangle},
];

const phaseMark = (name, size) =>
  d3
    .symbol()
    .type((kPhases.find((phase) => phase.name === name) || kPhases[0]).symbol)
    .size(size)();

function phaseLegend() {
  return h(
    "ul",
    {class: "legend"},
    kPhases.map((phase) => {
      const item = h("li", {});
      d3.select(item)
        .append("svg")
        .attr("width", 14)
        .attr("height", 14)
        .attr("aria-hidden", true)
        .append("path")
        .attr("class", `mark ${phase.name}`)
        .attr("transform", "translate(7,7)")
        .attr("d", phaseMark(phase.name, 70));
      item.append(`${phase.name}, ${phase.meaning}`);
      return item;
    }),
  );
}

// A row of bars a thing, a column a phase: `rows` are {name, cells}, a cell of kPhases each, null or {length in 0..1, text, tip}.
function phaseBars(svg, width, rows) {
  const roomy = width > 600;
  const names = Math.min(width * 0.3, 14 + d3.max(rows, (row) => row.name.length) * 7);
  const column = (width - names) / kPhases.length;
  const bar = column - (roomy ? 66 : 14);
  const pitch = rows.length > 24 ? 18 : 24;
  const top = 22;
  kPhases.forEach((phase, p) =>
    svg
      .append("text")
      .attr("class", "soft small")
      .attr("x", names + p * column)
      .attr("y", 12)
      .text(roomy ? `${phase.name}, ${phase.meaning}` : phase.name),
  );
  rows.forEach((row, r) => {
    const y = top + r * pitch;
    svg
      .append("text")
      .attr("x", 0)
      .attr("y", y + pitch / 2 + 2)
      .text(fitted(row.name, names - 8, 6.8));
    row.cells.forEach((cell, p) => {
      if (cell === null) return;
      const x = names + p * column;
      const drawBar = (style, length) =>
        svg
          .append("rect")
          .attr("class", style)
          .attr("x", x)
          .attr("y", y + 3)
          .attr("width", bar * length)
          .attr("height", pitch - 10)
          .attr("rx", 2);
      drawBar("track", 1);
      tips(drawBar(`mark ${kPhases[p].name}`, cell.length), () => cell.tip);
      if (roomy)
        svg
          .append("text")
          .attr("class", "soft small")
          .attr("x", x + bar + 6)
          .attr("y", y + pitch / 2 + 2)
          .text(cell.text);
    });
  });
  svg.attr("height", top + rows.length * pitch);
}

// Parts of the module, by the names of the rows of `synth`: the hue in which they are drawn.
const kParts = [
  {part: "array", meaning: "PE array and its streams", names: ["PE array", "compute engine"]},
  {part: "vector", meaning: "vector unit and lanes", names: ["vector unit", "lane engine"]},
  {part: "memory", meaning: "scratchpad, load and store", names: ["scratchpad", "load engine", "store engine"]},
  {part: "vault", meaning: "vault controller, DRAM", names: ["vault controller", "vault multiplexer", "DRAM"]},
  {
    part: "mesh",
    meaning: "mesh",
    names: [
      "data router",
      "reduction router",
      "send engine",
      "receive engine",
      "host mesh port",
      "host mesh target",
      "links",
    ],
  },
  {
    part: "control",
    meaning: "sequencer, registers, host",
    names: ["sequencer", "host registers", "node registers", "host memory port"],
  },
  {part: "other", meaning: "the rest", names: []},
];

const partOf = (name) => (kParts.find((entry) => entry.names.includes(name)) || kParts[kParts.length - 1]).part;

function partLegend(names) {
  const used = new Set(names.map(partOf));
  return h(
    "ul",
    {class: "legend"},
    kParts
      .filter((entry) => used.has(entry.part))
      .map((entry) => h("li", {}, h("span", {class: `swatch ${entry.part}`}), entry.meaning)),
  );
}

// As much of a text as fits into a width, by the mean width of a letter.
function fitted(text, width, letter = 6.4) {
  const letters = Math.floor(width / letter);
  if (text.length <= letters) return text;
  return letters < 4 ? "" : `${text.slice(0, letters - 1)}…`;
}
