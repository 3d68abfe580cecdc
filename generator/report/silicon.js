// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// One `synth` report: area, power, timing, energy efficiency.

"use strict";

function silicon(file, synth) {
  const met = synth.slack_ns === null ? null : synth.slack_ns >= 0;
  const simulated = Boolean(synth.phases);
  const section = h(
    "section",
    {"aria-label": `Synthesis in ${synth.library}`},
    h("h3", {}, "Silicon", h("span", {class: "file"}, file)),
    h("p", {class: "lead"}, `${synth.library}; before layout`),
    tiles(
      tile("Area", squareMillimetres(synth.area_um2), `${withUnit(synth.ge, "GE")}, memories included`),
      tile(
        "PE array, a lane",
        synth.ge_per_lane === null ? orNull(null) : `${whole(synth.ge_per_lane)} GE`,
        "everything in it",
      ),
      tile(
        "Slack",
        synth.slack_ns === null ? orNull(null) : `${fixed(2)(synth.slack_ns)} ns`,
        `${met === null ? "" : met ? "met at " : "NOT met at "}${short(synth.clock_ns)} ns`,
        met === false ? "bad" : met ? "good" : "",
      ),
      tile("Power", synth.power_w === null ? orNull(null) : withUnit(synth.power_w, "W"), powerBasis(synth)),
      efficiencyTile("PE array", "pe_array", synth, null),
      efficiencyTile("logic", "logic", synth, "PE, memories, mesh, vaults"),
      efficiencyTile(
        "module",
        "module",
        synth,
        isNumber(synth.gflops_per_watt_stack)
          ? `logic and DRAM; ${short(synth.gflops_per_watt_stack)} at the stack's figure`
          : "logic and DRAM",
      ),
    ),
  );
  if (synth.netlist_mismatch)
    section.append(
      h(
        "div",
        {class: "card"},
        h("h4", {class: "bad"}, "A netlist differs from the RTL"),
        h(
          "ul",
          {},
          synth.netlist_mismatch.map((mismatch) => h("li", {}, mismatch)),
        ),
      ),
    );
  if (simulated) section.append(powerByPhaseFigure(synth));
  section.append(
    h("div", {class: "pair"}, areaFigure(synth), simulated ? energyFigure(synth) : powerFigure(synth)),
    blockTable(synth),
    h(
      "div",
      {class: "card"},
      h("h4", {}, "Worst path"),
      h("p", {}, h("code", {}, synth.worst_path)),
      synth.remarks.length > 0 && [
        h("h4", {}, "Remarks"),
        h(
          "ul",
          {},
          synth.remarks.map((remark) => h("li", {}, remark)),
        ),
      ],
    ),
  );
  if (synth.memories.length > 0) section.append(folded("Table of memories", memoryTable(synth)));
  return section;
}

function efficiencyTile(name, boundary, synth, more) {
  const value = synth.gflops_per_watt[boundary];
  const glitches = (synth.gflops_per_watt_glitches || {})[boundary];
  const error = (synth.sampling_error || {})[boundary];
  const lines = [
    isNumber(error) && `standard error ${share(error)}`,
    isNumber(glitches) && `${short(glitches)} with glitches`,
    more,
  ].filter(Boolean);
  return tile(
    `GFLOPS/W, ${name}`,
    orNull(value, short),
    lines.join("; ") || (value === null ? null : `training ${synth.network}`),
  );
}

const powerBasis = (synth) => (synth.phases ? `mean of a step of ${synth.network}` : "at the default activity");

// J of a block in a phase; glitches stand apart.
const energyOf = (energy) => energy.logic_j + energy.clock_j + energy.memory_j + energy.leakage_j;

// `entries`, the largest first, with those below a hundredth of the sum joined into one by `join`.
function withRest(entries, size, join) {
  const least = d3.sum(entries, size) / 100;
  const small = entries.filter((entry) => size(entry) < least);
  if (small.length < 3) return entries;
  const rest = {...join(small), name: `the other ${small.length}`, names: small.map((entry) => entry.name)};
  return [...entries.filter((entry) => size(entry) >= least), rest];
}

function powerByPhaseFigure(synth) {
  const seconds = synth.phases.map((phase) => phase.cycles * synth.clock_ns * 1e-9);
  const blocks = synth.blocks
    .filter((block) => block.energy)
    .map((block) => ({
      name: block.name,
      mean: block.power_w,
      watts: block.energy.map((energy, p) => energyOf(energy) / seconds[p]),
      energy: block.energy,
    }))
    .sort((a, b) => b.mean - a.mean);
  const most = d3.max(blocks, (block) => d3.max(block.watts));
  const joined = withRest(
    blocks,
    (block) => block.mean,
    (small) => ({
      watts: seconds.map((_, p) => d3.sum(small, (block) => block.watts[p])),
      energy: seconds.map((_, p) =>
        Object.fromEntries(kEnergyParts.map(([, key]) => [key, d3.sum(small, (block) => block.energy[p][key])])),
      ),
    }),
  );
  const rows = joined.map((block) => ({
    name: block.name,
    cells: kPhases.map((phase) => {
      const p = synth.phases.findIndex((entry) => entry.name === phase.name);
      if (p < 0) return null;
      const part = (key) => withUnit(block.energy[p][key] / seconds[p], "W");
      return {
        length: block.watts[p] / most,
        text: withUnit(block.watts[p], "W"),
        tip:
          `${block.name} ${phase.name}: ${withUnit(block.watts[p], "W")}\n` +
          (block.names ? `${block.names.join(", ")}\n` : "") +
          `logic ${part("logic_j")}, clock ${part("clock_j")}, memory ${part("memory_j")}, ` +
          `leakage ${part("leakage_j")}\nglitches on top ${part("glitches_j")}`,
      };
    }),
  }));
  return figure(
    "Power by block and phase",
    `At the toggles of a step of ${synth.network}; mean over the cycles of each phase, glitches not in it.`,
    `Power of ${blocks.length} blocks in the phases feed-forward, back-propagation and weight update; ` +
      "the table of blocks has the mean of the step",
    (svg, width) => phaseBars(svg, width, rows),
  );
}

// Bars with a name and a value: `rows` are {name, part, value, text, tip}, the longest first.
function nameBars(svg, width, rows) {
  const row = 26;
  const names = Math.min(width * 0.36, 150);
  const x = d3.scaleLinear([0, rows[0].value], [0, width - names - 74]);
  const lines = svg
    .selectAll("g")
    .data(rows)
    .enter()
    .append("g")
    .attr("class", (entry) => entry.part)
    .attr("transform", (entry, e) => `translate(0,${e * row})`);
  lines
    .append("text")
    .attr("y", 16)
    .text((entry) => fitted(entry.name, names - 6, 6.8));
  tips(
    lines
      .append("rect")
      .attr("class", "cell")
      .attr("x", names)
      .attr("y", 3)
      .attr("height", row - 8)
      .attr("rx", 2)
      .attr("width", (entry) => Math.max(1, x(entry.value))),
    (entry) => entry.tip,
  );
  lines
    .append("text")
    .attr("class", "soft small")
    .attr("x", (entry) => names + x(entry.value) + 6)
    .attr("y", 16)
    .text((entry) => entry.text);
  svg.attr("height", rows.length * row);
}

function energyFigure(synth) {
  const parts = (synth.pj_per_mac || [])
    .filter((entry) => entry.pj_per_mac > 0)
    .sort((a, b) => b.pj_per_mac - a.pj_per_mac);
  const rows = withRest(
    parts,
    (entry) => entry.pj_per_mac,
    (small) => ({pj_per_mac: d3.sum(small, (entry) => entry.pj_per_mac)}),
  ).map((entry) => ({
    name: entry.name,
    part: partOf(entry.name),
    value: entry.pj_per_mac,
    text: `${short(entry.pj_per_mac)} pJ`,
    tip: `${entry.name}: ${short(entry.pj_per_mac)} pJ a needed MAC${entry.names ? `\n${entry.names.join(", ")}` : ""}`,
  }));
  if (rows.length === 0) return absent("No energy by contributor was measured.");
  return figure(
    "Energy of a MAC by contributor",
    `${short(d3.sum(rows, (entry) => entry.value))} pJ a needed MAC, of a step of ${synth.network}.`,
    `Energy of a MAC in ${parts.length} contributors`,
    (svg, width) => nameBars(svg, width, rows),
  );
}

function areaFigure(synth) {
  const blocks = synth.blocks.filter((block) => block.area_um2 > 0);
  return figure(
    "Area by block",
    "Cells and memories of all instances; nested blocks stand for themselves.",
    `Treemap of the areas of ${blocks.length} blocks; the table of blocks has the numbers`,
    (svg, width) => {
      const height = Math.min(430, Math.max(300, width * 0.72));
      const root = d3
        .hierarchy({children: blocks})
        .sum((block) => block.area_um2 || 0)
        .sort((a, b) => b.value - a.value);
      d3.treemap().size([width, height]).round(true).padding(1)(root);
      const text = ({data}) =>
        `${data.name}\n${squareMillimetres(data.area_um2)}, ${share(data.area_um2 / synth.area_um2)}\n` +
        `${whole(data.ge)} GE in ${whole(data.instances)} instance${data.instances === 1 ? "" : "s"}`;
      const cells = svg
        .selectAll("g")
        .data(root.leaves())
        .enter()
        .append("g")
        .attr("class", ({data}) => partOf(data.name))
        .attr("transform", (leaf) => `translate(${leaf.x0},${leaf.y0})`);
      tips(
        cells
          .append("rect")
          .attr("class", "cell")
          .attr("rx", 3)
          .attr("width", (leaf) => leaf.x1 - leaf.x0)
          .attr("height", (leaf) => leaf.y1 - leaf.y0),
        text,
      );
      const line = (dy, room, style, words, letter) =>
        cells
          .filter((leaf) => leaf.y1 - leaf.y0 > room)
          .append("text")
          .attr("class", `on-part ${style}`)
          .attr("x", 7)
          .attr("y", dy)
          .text((leaf) => fitted(words(leaf.data), leaf.x1 - leaf.x0 - 10, letter));
      line(18, 22, "strong", (block) => block.name, 7.3);
      line(34, 40, "small", (block) => share(block.area_um2 / synth.area_um2), 6.2);
      svg.attr("height", height);
    },
    partLegend(blocks.map((block) => block.name)),
  );
}

function powerFigure(synth) {
  const rows = synth.blocks
    .filter((block) => block.power_w > 0)
    .map((block) => ({
      name: block.name,
      part: partOf(block.name),
      value: block.power_w,
      text: withUnit(block.power_w, "W"),
      tip: `${block.name}: ${withUnit(block.power_w, "W")}, ${share(block.power_w / synth.power_w)}`,
    }))
    .sort((a, b) => b.value - a.value);
  if (rows.length === 0) return absent("No power was measured.");
  return figure(
    "Power by block",
    "At the default activity. Power by phase needs the toggles of a step: --network NETWORK.",
    `Power of ${rows.length} blocks; the table of blocks has the numbers`,
    (svg, width) => nameBars(svg, width, rows),
  );
}

const kEnergyParts = [
  ["Logic", "logic_j"],
  ["Clock", "clock_j"],
  ["Memory", "memory_j"],
  ["Leakage", "leakage_j"],
  ["Glitches on top", "glitches_j"],
];

// Of one part of a block's energy, over the step.
function meanMilliwatts(synth, block, key) {
  if (!block.energy) return null;
  return (
    (d3.sum(block.energy, (energy) => energy[key]) /
      (d3.sum(synth.phases, (phase) => phase.cycles) * synth.clock_ns * 1e-9)) *
    1e3
  );
}

function blockTable(synth) {
  return table(
    "Blocks",
    [
      {name: "Block", value: (block) => block.name},
      {name: "Instances", value: (block) => block.instances, show: whole},
      {name: "Area, µm²", value: (block) => block.area_um2, show: whole},
      {name: "Share", value: (block) => block.area_um2 / synth.area_um2, show: share},
      {name: "GE", value: (block) => block.ge, show: whole},
      {
        name: "Slack, ns",
        value: (block) => block.slack_ns,
        show: (slack) => h("span", {class: slack < 0 ? "bad" : null}, fixed(2)(slack)),
        absent: "no path",
      },
      {name: "Power, mW", value: (block) => (block.power_w === null ? null : block.power_w * 1e3), show: fixed(2)},
      ...(synth.phases
        ? kEnergyParts.map(([name, key]) => ({
            name: `${name}, mW`,
            value: (block) => meanMilliwatts(synth, block, key),
            show: fixed(2),
          }))
        : []),
    ],
    synth.blocks,
  );
}

function memoryTable(synth) {
  return table(
    "Memories",
    [
      {name: "Words", value: (memory) => memory.depth, show: whole},
      {name: "Bits", value: (memory) => memory.width, show: whole},
      {name: "Ports", value: (memory) => (memory.single_port ? "1, read or write" : "1 read, 1 write")},
      {name: "Instances", value: (memory) => memory.instances, show: whole},
      {name: "Area of one, µm²", value: (memory) => memory.area_um2, show: whole},
      {name: "Area of all, µm²", value: (memory) => memory.area_um2 * memory.instances, show: whole},
    ],
    synth.memories,
  );
}
