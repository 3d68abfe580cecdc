// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// One `train` report: utilisation, roofline, loss, layers.

"use strict";

const jobName = (layer) => `${layer.name} ${layer.phase}`;

function training(file, train) {
  const hertz = 1e12 / train.variant_keys.clock_ps;
  const peakFlops = 2 * train.macs_per_cycle * hertz;
  const timed = train.cycles !== null;
  const notTimed = train.engine === "golden" ? "no cycles: golden engine" : "not measured";
  const checked = train.bit_exact === null ? "not compared" : train.bit_exact ? "yes" : "NO";
  const section = h(
    "section",
    {"aria-label": `Training ${train.network}`},
    h("h3", {}, `Training ${train.network}, batch ${whole(train.batch)}`, h("span", {class: "file"}, file)),
    h(
      "p",
      {class: "lead"},
      `${whole(train.steps)} step${train.steps === 1 ? "" : "s"} of ${train.data.replace(/.*[/]/, "")}; ` +
        `${train.engine === "rtl" ? "RTL against the golden model" : "golden model alone"}; seed ${train.seed}` +
        (train.variant_keys.vaults > 1 ? `; shared out ${train.partition}` : ""),
    ),
    tiles(
      tile(
        "Bit-exact",
        checked,
        train.bit_exact === null ? null : `${whole(train.tensors_compared)} tensors compared`,
        train.bit_exact === null ? "" : train.bit_exact ? "good" : "bad",
      ),
      tile("Utilisation of peak", orNull(train.utilisation, share, notTimed), `the pins allow ${share(train.bound)}`),
      tile(
        "Rate",
        timed ? withUnit(((2 * train.macs_needed) / train.cycles) * hertz, "FLOPS") : orNull(null, null, notTimed),
        `peak ${withUnit(peakFlops, "FLOPS")} at ${withUnit(hertz, "Hz")}`,
      ),
      tile(
        "Cycles of a step",
        orNull(train.cycles, whole, notTimed),
        timed
          ? `${withUnit(train.cycles / hertz, "s")}; ${whole((train.batch / train.cycles) * hertz)} samples/s`
          : null,
      ),
      tile(
        "DRAM bytes of a step",
        train.dram_bytes > 0 ? withUnit(train.dram_bytes, "B") : orNull(null, null),
        `${short(train.macs_needed / Math.max(1, train.dram_bytes))} MACs a byte`,
      ),
      tile("Test accuracy", orNull(train.test_accuracy, share)),
    ),
  );
  if (train.first_mismatch) section.append(mismatchCard(train.first_mismatch));
  if (timed) {
    section.append(utilisationFigure(train), stepFigure(train));
  } else {
    section.append(
      absent(
        `${file} has no cycles, so no utilisation and no roofline; they come from the RTL:`,
        `vaultrain train ${train.variant} ${train.network} --json ${file}`,
      ),
    );
  }
  section.append(
    h("div", {class: "pair"}, timed && rooflineFigure(train, hertz), lossFigure(train)),
    folded(`Table of the ${train.layers.length} jobs of a step`, layerTable(train)),
  );
  return section;
}

function mismatchCard(mismatch) {
  return h(
    "div",
    {class: "card"},
    h("h4", {class: "bad"}, "First mismatch"),
    h(
      "p",
      {},
      `Step ${mismatch.step}, tensor ${mismatch.tensor}, element ${mismatch.index}, by cycle ${mismatch.cycle}: ` +
        `RTL ${mismatch.rtl}, golden ${mismatch.golden}. `,
      h("code", {}, mismatch.repeat),
    ),
  );
}

// A row of bars a layer, a column a phase.
function utilisationFigure(train) {
  const layers = d3
    .nest()
    .key((layer) => layer.name)
    .entries(train.layers.filter((layer) => layer.macs > 0));
  const rows = layers.map((layer) => ({
    name: layer.key,
    cells: kPhases.map((phase) => {
      // Several jobs of a layer and phase are one bar.
      const jobs = layer.values.filter((job) => job.phase === phase.name);
      if (jobs.length === 0) return null;
      const macs = d3.sum(jobs, (job) => job.macs);
      const cycles = d3.sum(jobs, (job) => job.cycles);
      const utilisation = macs / cycles / train.macs_per_cycle;
      return {
        length: Math.min(1, utilisation),
        text: utilisation > 1 ? "> 100%" : share(utilisation),
        tip: `${layer.key} ${phase.name}: ${share(utilisation)} of peak\n${whole(macs)} MACs in ${whole(cycles)} cycles`,
      };
    }),
  }));
  return figure(
    "Utilisation by layer and phase",
    "Needed MACs / (cycles × MACs at peak). Cycles of a job run from the end of the one before it to its own, so what was " +
      "done under the cover of another job shows as more than its share; above 100 % the bar is cut.",
    `Utilisation of ${layers.length} layers in the phases feed-forward, back-propagation and weight update; ` +
      "the table of jobs has the numbers",
    (svg, width) => phaseBars(svg, width, rows),
  );
}

// Where the cycles of a step go: a column a job, as wide as its cycles, as high as its utilisation.
function stepFigure(train) {
  return figure(
    "A step, job by job",
    "Width: cycles. Height of the full colour: utilisation, cut at 100 %; jobs of the lanes and the vector unit " +
      "have none. Full height over the whole width would be the peak.",
    "The jobs of a step side by side, as wide as their cycles and as high as their utilisation",
    (svg, width) => {
      const margin = {top: 22, right: 8, bottom: 44, left: 44};
      const inner = {width: width - margin.left - margin.right, height: 190};
      const total = d3.sum(train.layers, (layer) => layer.cycles);
      const x = d3.scaleLinear([0, total], [0, inner.width]);
      const y = d3.scaleLinear([0, 1], [inner.height, 0]);
      const plot = svg.append("g").attr("transform", `translate(${margin.left},${margin.top})`);
      axes(
        plot,
        inner.width,
        inner.height,
        {scale: x, label: "cycles of a step", format: d3.format("~s"), grid: false, ticks: width / 110},
        {scale: y, label: "utilisation", format: d3.format(".0%")},
      );
      let before = 0;
      for (const job of train.layers) {
        const left = x(before);
        before += job.cycles;
        const breadth = x(before) - left;
        const height = inner.height - y(Math.min(1, job.utilisation || 0));
        const text = () =>
          `${jobName(job)}\n${whole(job.cycles)} cycles, ${share(job.cycles / total)} of the step\n` +
          `${job.macs > 0 ? `${share(job.utilisation)} of peak` : "no MACs"}\n${job.data_flow}`;
        tips(
          plot
            .append("rect")
            .attr("class", `slot ${job.phase}`)
            .attr("x", left)
            .attr("width", breadth)
            .attr("y", 0)
            .attr("height", inner.height),
          text,
        );
        tips(
          plot
            .append("rect")
            .attr("class", `mark ${job.phase}`)
            .attr("x", left)
            .attr("width", Math.max(0.5, breadth))
            .attr("y", inner.height - height)
            .attr("height", height),
          text,
        );
        if (job.name.length * 6.4 < breadth - 6)
          plot
            .append("text")
            .attr("class", "small halo")
            .attr("x", left + 4)
            .attr("y", inner.height - 6)
            .style("pointer-events", "none")
            .text(job.name);
      }
      const level = (value, name, above) => {
        plot
          .append("path")
          .attr("class", "guide")
          .attr("d", `M0,${y(value)} H${inner.width}`);
        plot
          .append("text")
          .attr("class", "small halo")
          .attr("x", inner.width - 4)
          .attr("y", y(value) + (above ? -5 : 14))
          .attr("text-anchor", "end")
          .text(name);
      };
      level(
        train.utilisation,
        `step: ${share(train.utilisation)}`,
        (train.utilisation < 0.9 && train.bound - train.utilisation > 0.12) || train.bound < train.utilisation,
      );
      level(train.bound, `bound of the pins: ${share(train.bound)}`, true);
      svg.attr("height", margin.top + inner.height + margin.bottom);
    },
    phaseLegend(),
  );
}

// Log-log: MACs a byte of DRAM across, MACs a cycle up; the roof is the array's peak and the pins.
function rooflineFigure(train, hertz) {
  const jobs = train.layers.filter((layer) => layer.macs > 0 && layer.cycles > 0);
  const without = train.layers.filter((layer) => !(layer.macs > 0 && layer.cycles > 0)).map(jobName);
  const peak = train.macs_per_cycle;
  const pins = train.dram_bytes_per_cycle;
  const ridge = peak / pins;
  const resident = jobs.filter((job) => job.dram_bytes === 0);
  const intensity = (job) => job.macs / job.dram_bytes;
  const rate = (job) => job.macs / job.cycles;
  const covered = jobs.some((job) => rate(job) > Math.min(peak, job.dram_bytes > 0 ? intensity(job) * pins : peak));
  return figure(
    "Roofline",
    `Every job with MACs, as large as its share of the cycles. Peak ${whole(peak)} MACs a cycle; ` +
      `pins ${short(pins)} bytes a cycle after refresh; ridge at ${short(ridge)} MACs a byte.` +
      (resident.length > 0 ? " Jobs without DRAM traffic stand at the right edge." : "") +
      (covered ? " A mark above the roof was fed, or done, under the cover of another job." : ""),
    `Roofline with ${jobs.length} jobs; the table of layers has the numbers`,
    (svg, width) => {
      const margin = {top: 26, right: 50, bottom: 44, left: 48};
      const inner = {width: width - margin.left - margin.right, height: Math.min(400, Math.max(270, width * 0.62))};
      const moved = jobs.filter((job) => job.dram_bytes > 0);
      const low = d3.min([ridge / 4, ...moved.map(intensity)]) * 0.7;
      const high = d3.max([ridge * 8, ...moved.map(intensity)]) * (resident.length > 0 ? 5 : 1.6);
      const x = d3.scaleLog([low, high], [0, inner.width]);
      const floor = d3.min([peak / 30, ...jobs.map(rate)]) * 0.7;
      const y = d3.scaleLog([floor, peak * 1.8], [inner.height, 0]);
      const plot = svg.append("g").attr("transform", `translate(${margin.left},${margin.top})`);
      const clip = Math.max(low, floor / pins);
      const roof = `M${x(clip)},${y(clip * pins)} L${x(ridge)},${y(peak)} H${inner.width}`;
      plot
        .append("path")
        .attr("class", "under-roof")
        .attr("d", `${roof} V${inner.height} H${x(clip)} z`);
      axes(
        plot,
        inner.width,
        inner.height,
        {scale: x, label: "MACs a byte of DRAM", values: decades(x), format: short},
        {scale: y, label: "MACs a cycle", values: decades(y), format: short},
      );
      const flops = d3.scaleLog([floor * 2 * hertz, peak * 1.8 * 2 * hertz], [inner.height, 0]);
      plot
        .append("g")
        .attr("class", "axis")
        .attr("transform", `translate(${inner.width},0)`)
        .call(
          d3.axisRight(flops).tickSizeOuter(0).tickPadding(6).tickValues(decades(flops)).tickFormat(d3.format("~s")),
        );
      plot
        .append("text")
        .attr("class", "soft small")
        .attr("x", inner.width + margin.right)
        .attr("y", -10)
        .attr("text-anchor", "end")
        .text("FLOPS");
      plot.append("path").attr("class", "roof").attr("d", roof);
      const longest = d3.max(jobs, (job) => job.cycles);
      const radius = d3.scaleSqrt([0, longest], [0, 15]);
      const placed = [...jobs]
        .sort((a, b) => b.cycles - a.cycles)
        .map((job) => ({
          job,
          text: jobName(job),
          x: job.dram_bytes > 0 ? x(intensity(job)) : inner.width - 8,
          // What was done under the cover of another job can stand above the roof.
          y: y(Math.min(rate(job), peak * 1.7)),
          r: Math.max(3.5, radius(job.cycles)),
        }));
      const marks = plot
        .selectAll(".mark")
        .data(placed)
        .enter()
        .append("path")
        .attr("class", ({job}) => `mark open ${job.phase}`)
        .attr("transform", (mark) => `translate(${mark.x},${mark.y})`)
        .attr("d", (mark) => phaseMark(mark.job.phase, Math.PI * mark.r * mark.r));
      tips(
        marks,
        ({job}) =>
          `${jobName(job)}\n${short(rate(job))} MACs a cycle, ${share(job.utilisation)} of peak\n` +
          `${job.dram_bytes > 0 ? `${short(intensity(job))} MACs a byte` : "no DRAM traffic"}, ${whole(job.cycles)} cycles\n${job.data_flow}`,
      );
      nameMarks(plot, placed, inner);
      svg.attr("height", margin.top + inner.height + margin.bottom);
    },
    phaseLegend(),
    without.length > 0 && h("p", {class: "aside"}, `Without MACs, so not on the plot: ${without.join(", ")}.`),
  );
}

function lossFigure(train) {
  const points = train.loss.map((loss, i) => ({step: i + 1, loss})).filter((point) => point.loss !== null);
  const lost = train.loss.length - points.length;
  // The mean of a twentieth of the steps, behind each step.
  const span = Math.max(1, Math.round(points.length / 20));
  const smooth = points.map((point, i) => ({
    step: point.step,
    loss: d3.mean(points.slice(Math.max(0, i - span + 1), i + 1), (p) => p.loss),
  }));
  const note =
    (span > 1 ? `Mean over ${span} steps, and each step. ` : "Each step. ") +
    (lost > 0 ? `${lost} of ${train.loss.length} steps have no finite loss.` : "");
  if (points.length === 0) return absent("No step has a finite loss, so there is no loss curve.");
  if (points.length === 1) return absent(`One step, loss ${short(points[0].loss)}: no loss curve.`);
  return figure(
    "Loss",
    note,
    `Loss over ${points.length} steps, from ${short(points[0].loss)} to ${short(points[points.length - 1].loss)}`,
    (svg, width) => {
      const margin = {top: 26, right: 16, bottom: 44, left: 48};
      const inner = {width: width - margin.left - margin.right, height: Math.min(400, Math.max(270, width * 0.62))};
      const x = d3.scaleLinear([points[0].step, points[points.length - 1].step], [0, inner.width]);
      const y = d3
        .scaleLinear(
          [
            Math.min(
              0,
              d3.min(points, (p) => p.loss),
            ),
            d3.max(points, (p) => p.loss),
          ],
          [inner.height, 0],
        )
        .nice();
      const plot = svg.append("g").attr("transform", `translate(${margin.left},${margin.top})`);
      const steps = x.ticks(Math.min(8, width / 70)).filter(Number.isInteger);
      axes(
        plot,
        inner.width,
        inner.height,
        {scale: x, label: "step", values: steps, format: d3.format("~s"), grid: false},
        {scale: y, label: "loss"},
      );
      const line = d3
        .line()
        .x((p) => x(p.step))
        .y((p) => y(p.loss));
      if (span > 1) plot.append("path").attr("class", "curve raw").attr("d", line(points));
      plot.append("path").attr("class", "curve").attr("d", line(smooth));
      if (points.length <= 40) {
        tips(
          plot
            .selectAll(".dot")
            .data(points)
            .enter()
            .append("circle")
            .attr("class", "dot")
            .attr("r", 3.2)
            .attr("cx", (p) => x(p.step))
            .attr("cy", (p) => y(p.loss)),
          (p) => `step ${p.step}: ${short(p.loss)}`,
        );
      }
      svg.attr("height", margin.top + inner.height + margin.bottom);
    },
  );
}

function layerTable(train) {
  return table(
    `Jobs of a step of ${train.network}`,
    [
      {name: "Layer", value: (layer) => layer.name},
      {name: "Phase", value: (layer) => layer.phase},
      {name: "Cycles", value: (layer) => layer.cycles, show: whole},
      {name: "MACs", value: (layer) => layer.macs, show: whole},
      {name: "Utilisation", value: (layer) => (layer.macs > 0 ? layer.utilisation : null), show: share, absent: "–"},
      {name: "DRAM bytes", value: (layer) => layer.dram_bytes, show: whole},
      {name: "Mesh bytes", value: (layer) => layer.noc_bytes, show: whole},
      {
        name: "MACs a byte",
        value: (layer) => (layer.dram_bytes > 0 && layer.macs > 0 ? layer.macs / layer.dram_bytes : null),
        show: short,
        absent: "–",
      },
      {name: "Data flow", value: (layer) => layer.data_flow, wide: true},
    ],
    train.layers,
  );
}
