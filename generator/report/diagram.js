// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// The block diagram of a variant: the module with its mesh, and one of its nodes. Everything that is counted is drawn
// as often as the variant has it.

"use strict";

function diagram(keys) {
  const label =
    `Block diagram: ${keys.vaults} node(s) on a mesh of ${keys["mesh.x"]} by ${keys["mesh.y"]}, each with a PE array of ` +
    `${keys["array.rows"]} rows, ${keys["array.cols"]} columns and ${keys["array.lanes"]} lanes`;
  return figure(
    "Block diagram",
    "The module, and one of its nodes. Rows, columns, lanes, banks and nodes are drawn as many as there are.",
    label,
    (svg, width) => {
      svg
        .append("defs")
        .append("marker")
        .attr("id", "arrow")
        .attr("viewBox", "0 0 8 8")
        .attr("refX", 7)
        .attr("refY", 4)
        .attr("markerWidth", 7)
        .attr("markerHeight", 7)
        .attr("orient", "auto-start-reverse")
        .append("path")
        .attr("d", "M0,0 L8,4 L0,8 z")
        .style("fill", "var(--soft)");
      const wide = width >= 820;
      const moduleWidth = wide ? Math.min(310, width * 0.29) : width;
      const from = drawModule(svg.append("g"), keys, moduleWidth, wide);
      const left = wide ? moduleWidth + 46 : 0;
      const top = wide ? 0 : from.height + 40;
      const node = svg.append("g").attr("transform", `translate(${left},${top})`);
      const large = drawNode(node, keys, width - left, wide);
      // From the small node to the large one.
      svg
        .insert("path", "g")
        .attr("class", "leader")
        .attr(
          "d",
          wide
            ? `M${from.right},${from.top} L${left},0 V${large.frame} L${from.right},${from.bottom} z`
            : `M${from.left},${from.bottom} L0,${top} H${width} L${from.right},${from.bottom} z`,
        );
      svg.attr("height", top + large.height);
    },
  );
}

// A labelled box; `lines` stand below its name. Gives its edges and middle, for the wires.
function drawBox(group, part, x, y, width, height, name, lines = [], outside = false) {
  group
    .append("rect")
    .attr("class", `box ${part} ${outside ? "outside" : ""}`)
    .attr("x", x)
    .attr("y", y)
    .attr("width", width)
    .attr("height", height)
    .attr("rx", 5);
  group
    .append("text")
    .attr("class", "strong")
    .attr("x", x + 9)
    .attr("y", y + 18)
    .text(fitted(name, width - 12, 6.7));
  lines.forEach((line, i) =>
    group
      .append("text")
      .attr("class", "soft small")
      .attr("x", x + 9)
      .attr("y", y + 34 + 15 * i)
      .text(fitted(line, width - 12, 5.8)),
  );
  return {x, y, width, height, right: x + width, bottom: y + height, middle: x + width / 2, centre: y + height / 2};
}

function drawWire(group, path, ends) {
  const wire = group.append("path").attr("class", "wire").attr("d", path);
  if (ends !== "from") wire.attr("marker-end", "url(#arrow)");
  if (ends !== "to") wire.attr("marker-start", "url(#arrow)");
}

function drawModule(group, keys, width, wide) {
  const columns = keys["mesh.x"];
  const rows = keys["mesh.y"];
  const host = drawBox(
    group,
    "control",
    0,
    0,
    width,
    56,
    "Host",
    ["AXI4-Lite: control and registers", `AXI4: memory, ${keys["dram.data_bits"]} bits`],
    true,
  );
  const top = 104;
  const pitch = Math.min((width - 30) / columns, 250 / rows, 108);
  const size = pitch * 0.62;
  const left = (width - pitch * columns) / 2 + (pitch - size) / 2;
  const bottom = top + pitch * rows - (pitch - size);
  const frame = {y: top - 20, bottom: bottom + 16};
  group
    .append("rect")
    .attr("class", "frame")
    .attr("x", 0)
    .attr("y", frame.y)
    .attr("width", width)
    .attr("height", frame.bottom - frame.y)
    .attr("rx", 8);
  const centre = (i, start) => start + i * pitch + size / 2;
  // Links go between neighbours.
  for (let y = 0; y < rows; ++y) {
    for (let x = 0; x < columns; ++x) {
      const across = `M${centre(x, left) + size / 2},${centre(y, top)} h${pitch - size}`;
      const down = `M${centre(x, left)},${centre(y, top) + size / 2} v${pitch - size}`;
      if (x + 1 < columns) group.append("path").attr("class", "wire").attr("d", across);
      if (y + 1 < rows) group.append("path").attr("class", "wire").attr("d", down);
    }
  }
  for (let n = 0; n < keys.vaults; ++n) {
    const x = left + (n % columns) * pitch;
    const y = top + Math.floor(n / columns) * pitch;
    group
      .append("rect")
      .attr("class", "box array")
      .attr("x", x)
      .attr("y", y)
      .attr("width", size)
      .attr("height", size)
      .attr("rx", 4);
    group
      .append("text")
      .attr("class", size > 50 ? "strong" : "small")
      .attr("x", x + size / 2)
      .attr("y", y + size / 2 + 4)
      .attr("text-anchor", "middle")
      .text(size > 50 ? `node ${n}` : n);
  }
  drawWire(group, `M${centre(0, left)},${host.bottom} V${top}`, "both");
  const dies = drawBox(
    group,
    "vault",
    0,
    frame.bottom + 34,
    width,
    56,
    "DRAM dies",
    [
      `${keys.vaults} vault${keys.vaults > 1 ? "s" : ""} of ${keys["dram.mib"]} MiB`,
      `${keys["dram.timing"]}, ${keys["dram.data_bits"]} bits a cycle and vault`,
    ],
    true,
  );
  drawWire(group, `M${width / 2},${frame.bottom} V${dies.y}`, "both");
  group
    .append("text")
    .attr("class", "soft small")
    .attr("x", width / 2 + 10)
    .attr("y", frame.bottom + 22)
    .text(`pins of ${keys.vaults > 1 ? "each vault" : "the vault"}`);
  // The node that is drawn large: where the leader may leave the mesh.
  const last = wide ? Math.min(columns, keys.vaults) - 1 : 0;
  return wide
    ? {right: left + last * pitch + size, top, bottom: top + size, height: dies.bottom}
    : {left, right: left + size, bottom: dies.bottom, height: dies.bottom};
}

function drawNode(group, keys, width, wide) {
  const pad = 14;
  const gap = wide ? 40 : 12;
  const inner = width - 2 * pad;
  const format = keys.operand_format;
  const rows = keys["array.rows"];
  const columns = keys["array.cols"];
  const lanes = keys["array.lanes"];
  const wordBits = rows * lanes * (format === "fp32" ? 32 : 16);
  group.append("rect").attr("class", "frame").attr("width", width).attr("rx", 8).style("fill", "var(--card)");
  group.append("text").attr("class", "strong").attr("x", pad).attr("y", 22).text("Node");

  const sequencer = drawBox(group, "control", pad, 34, inner, 44, "Sequencer", [
    `queues of ${keys["sequencer.queue"]} descriptors for each engine; semaphores; registers and counters`,
  ]);

  // Array between its streams and the vector unit; on narrow pages above them.
  const side = wide ? Math.max(128, inner * 0.19) : (inner - gap) / 2;
  const arrayWidth = wide ? inner - 2 * side - 2 * gap : inner;
  const arrayHeight = 176;
  const arrayTop = sequencer.bottom + 26;
  const array = drawBox(group, "array", wide ? pad + side + gap : pad, arrayTop, arrayWidth, arrayHeight, "PE array", [
    `${rows} row${rows > 1 ? "s" : ""} × ${columns} columns × ${lanes} lanes = ${whole(rows * columns * lanes)} ${format} MACs a cycle`,
  ]);
  drawArray(group, keys, array.x + 10, array.y + 44, array.width - 20, array.height - 84);
  group
    .append("text")
    .attr("class", "soft small")
    .attr("x", array.x + 9)
    .attr("y", array.bottom - 24)
    .text(fitted(`aligned to ${keys["array.align_bits"]} bits a group of ${lanes}`, array.width - 12, 5.8));
  group
    .append("text")
    .attr("class", "soft small")
    .attr("x", array.x + 9)
    .attr("y", array.bottom - 9)
    .text(fitted(`accumulators: 2 × ${keys["array.acc_depth"] / 2} a column`, array.width - 12, 5.8));
  const sideTop = wide ? arrayTop : array.bottom + 26;
  const sideHeight = wide ? arrayHeight : 78;
  const streams = drawBox(group, "array", pad, sideTop, side, sideHeight, wide ? "Operand streams" : "Streams", [
    "6 nested loops",
    `A, B: ${wordBits} bits`,
  ]);
  const vector = drawBox(group, "vector", width - pad - side, sideTop, side, sideHeight, "Vector unit", [
    "bias, activation,",
    "optimiser, softmax of",
    `${keys["vector.softmax_classes"]}; ${keys.rounding}`,
  ]);
  if (wide) {
    drawWire(group, `M${streams.right},${streams.centre} H${array.x}`, "to");
    drawWire(group, `M${array.right},${array.centre} H${vector.x}`, "to");
  } else {
    drawWire(group, `M${streams.middle},${streams.y} V${array.bottom}`, "to");
    drawWire(group, `M${vector.middle},${array.bottom} V${vector.y}`, "to");
  }

  const scratchpad = drawBox(group, "memory", pad, streams.bottom + 30, inner, 74, "Scratchpad", [
    `${keys["scratchpad.kib"]} KiB in ${keys["scratchpad.banks"]} banks, words of ${wordBits} bits`,
  ]);
  const banks = keys["scratchpad.banks"];
  const bank = (inner - 18) / banks;
  for (let b = 0; b < banks; ++b) {
    group
      .append("rect")
      .attr("class", "unit memory")
      .attr("x", pad + 9 + b * bank)
      .attr("y", scratchpad.y + 44)
      .attr("width", bank - 4)
      .attr("height", 20)
      .attr("rx", 2);
  }
  drawWire(group, `M${streams.middle},${scratchpad.y} V${streams.bottom}`, "to");
  drawWire(group, `M${vector.middle},${vector.bottom} V${scratchpad.y}`, "to");

  // Engines in the columns of what they talk to.
  const engineTop = scratchpad.bottom + 30;
  const engine = (inner - 3 * 12) / 4;
  const engineBox = (i, part, name, lines) =>
    drawBox(group, part, pad + i * (engine + 12), engineTop, engine, wide ? 60 : 32, name, wide ? lines : []);
  const load = engineBox(0, "memory", "Load", ["padding, windows,", "corner turn"]);
  const store = engineBox(1, "memory", "Store", ["combines writes"]);
  const lane = engineBox(2, "vector", wide ? "Lane engine" : "Lanes", [
    "32-bit instructions,",
    `${keys["lanes.functions"]} function lane${keys["lanes.functions"] > 1 ? "s" : ""}`,
  ]);
  const links = engineBox(3, "mesh", wide ? "Send, receive" : "Mesh", ["multicast,", "fp32 sums"]);
  drawWire(group, `M${load.middle},${load.y} V${scratchpad.bottom}`, "to");
  drawWire(group, `M${store.middle},${scratchpad.bottom} V${store.y}`, "to");
  drawWire(group, `M${lane.middle},${scratchpad.bottom} V${lane.y}`, "both");
  drawWire(group, `M${links.middle},${scratchpad.bottom} V${links.y}`, "both");

  const edgeTop = load.bottom + 30;
  const edge = 2 * engine - 8;
  const vault = drawBox(group, "vault", pad, edgeTop, edge, 60, "Vault controller", [
    `${keys["dram.page"]} pages, ${keys["dram.map"]}`,
    `reads ${keys["dram.read_queue"]}, writes ${keys["dram.write_queue"]}; ECC ${keys["dram.ecc"]}`,
  ]);
  const routers = drawBox(group, "mesh", links.right - edge, edgeTop, edge, 60, "Routers", [
    `data and reduction meshes`,
    `links of ${keys["mesh.link_bits"]} bits`,
  ]);
  drawWire(group, `M${load.middle},${vault.y} V${load.bottom}`, "to");
  drawWire(group, `M${store.middle},${store.bottom} V${vault.y}`, "to");
  drawWire(group, `M${links.middle},${links.bottom} V${routers.y}`, "both");
  drawWire(group, `M${vault.right},${vault.centre} H${routers.x}`, "both");

  const bottom = vault.bottom + pad;
  const out = bottom + 22;
  drawWire(group, `M${vault.middle},${vault.bottom} V${out}`, "both");
  drawWire(group, `M${routers.middle},${routers.bottom} V${out}`, "both");
  const below = (x, text) =>
    group
      .append("text")
      .attr("class", "soft small")
      .attr("x", x)
      .attr("y", out + 15)
      .attr("text-anchor", "middle")
      .text(text);
  below(vault.middle, "DRAM dies");
  below(routers.middle, keys.vaults > 1 ? "neighbours, host" : "host");
  group.select(".frame").attr("height", bottom);
  return {frame: bottom, height: out + 22};
}

// Rows x columns of dot-product units, each with its lanes.
function drawArray(group, keys, x, y, width, height) {
  const rows = keys["array.rows"];
  const columns = keys["array.cols"];
  const lanes = keys["array.lanes"];
  const cellWidth = width / columns;
  const cellHeight = height / rows;
  const gap = Math.min(5, cellWidth * 0.16);
  const lane = (cellWidth - gap) / lanes;
  for (let r = 0; r < rows; ++r) {
    for (let c = 0; c < columns; ++c) {
      for (let l = 0; l < lanes; ++l) {
        group
          .append("rect")
          .attr("class", "unit array")
          .attr("x", x + c * cellWidth + l * lane)
          .attr("y", y + r * cellHeight)
          .attr("width", Math.max(0.5, lane * (lane > 2 ? 0.72 : 0.55)))
          .attr("height", cellHeight - Math.min(5, cellHeight * 0.16));
      }
    }
  }
}
