// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// The page: documents sorted by variant, an overview, a section a variant, the sweeps, the files.

"use strict";

const kDocuments = JSON.parse(document.getElementById("data").textContent);
const commandOf = (entry) => entry.schema.replace("vaultrain.", "").replace(/\/.*/, "");
const entriesOf = (command) => kDocuments.filter((entry) => entry.content !== null && commandOf(entry) === command);

// Documents of the same keys are of the same variant, whatever its name.
function variants() {
  const found = new Map();
  for (const command of ["generate", "synth", "train"]) {
    for (const entry of entriesOf(command)) {
      const id = JSON.stringify(entry.content.variant_keys);
      if (!found.has(id))
        found.set(id, {
          name: entry.content.variant,
          keys: entry.content.variant_keys,
          generate: [],
          synth: [],
          train: [],
        });
      found.get(id)[command].push(entry);
    }
  }
  const all = [...found.values()].sort((a, b) => a.name.localeCompare(b.name, "en"));
  // Variants of one name are told apart by the keys in which they differ.
  all.forEach((variant, v) => {
    const others = all.filter((other) => other !== variant && other.name === variant.name);
    const differing = Object.keys(variant.keys).filter((key) =>
      others.some((other) => other.keys[key] !== variant.keys[key]),
    );
    variant.title =
      variant.name +
      (differing.length > 0 ? `, ${differing.map((key) => `${key} = ${variant.keys[key]}`).join(", ")}` : "");
    variant.id = `variant-${v}`;
  });
  return all;
}

function variantSection(variant) {
  const {keys, name} = variant;
  const macs = keys["array.rows"] * keys["array.cols"] * keys["array.lanes"] * keys.vaults;
  const section = h(
    "section",
    {id: variant.id, "aria-label": `Variant ${variant.title}`},
    h("h2", {}, `Variant ${variant.title}`),
    h(
      "p",
      {class: "lead"},
      `${keys.vaults} vault${keys.vaults > 1 ? "s" : ""}, ${whole(macs)} ${keys.operand_format} multiply-accumulates a cycle, ` +
        `${withUnit(1e12 / keys.clock_ps, "Hz")}, ${withUnit((2e12 * macs) / keys.clock_ps, "FLOPS")} at peak` +
        variant.generate
          .map(({content}) => `; digest ${content.digest.slice(0, 16)}, ${content.files.length} files`)
          .join(""),
    ),
    diagram(keys),
    folded(
      "All keys of the variant",
      table(
        "Keys",
        [
          {name: "Key", value: (row) => row[0]},
          {name: "Value", value: (row) => String(row[1])},
        ],
        Object.entries(keys),
      ),
    ),
  );
  for (const {file, content} of variant.synth) section.append(silicon(file, content));
  if (variant.synth.length === 0)
    section.append(
      absent(
        "No area, timing or power of this variant: no synth report in the folder.",
        `vaultrain synth ${name} --network NETWORK --json synth.json`,
      ),
    );
  for (const {file, content} of variant.train) section.append(training(file, content));
  if (variant.train.length === 0)
    section.append(
      absent(
        "No utilisation, roofline or loss of this variant: no train report in the folder.",
        `vaultrain train ${name} NETWORK --json train.json`,
      ),
    );
  for (const {file, content} of variant.generate) {
    section.append(
      folded(
        `Files that generate wrote: ${content.files.length}`,
        table(
          `Files of ${file}`,
          [
            {name: "File", value: (row) => row.path},
            {name: "SHA-256", value: (row) => row.sha256.slice(0, 16)},
          ],
          content.files,
        ),
      ),
    );
  }
  return section;
}

function overview(all) {
  const link = (variant) => h("a", {href: `#${variant.id}`}, variant.title);
  const trainings = all.flatMap((variant) => variant.train.map(({content}) => ({...content, shownAs: variant})));
  const syntheses = all.flatMap((variant) => variant.synth.map(({content}) => ({...content, shownAs: variant})));
  return [
    trainings.length > 0 &&
      table(
        "Trainings",
        [
          {name: "Variant", value: (row) => row.shownAs.title, show: (_, row) => link(row.shownAs)},
          {name: "Network", value: (row) => row.network},
          {name: "Batch", value: (row) => row.batch, show: whole},
          {
            name: "Bit-exact",
            value: (row) => (row.bit_exact === null ? null : row.bit_exact ? "yes" : "NO"),
            absent: "not compared",
            show: (value) => h("span", {class: value === "yes" ? "good" : "bad"}, value),
          },
          {name: "Cycles a step", value: (row) => row.cycles, show: whole},
          {name: "Utilisation", value: (row) => row.utilisation, show: share},
          {name: "Bound of the pins", value: (row) => row.bound, show: share},
          {name: "Steps", value: (row) => row.steps, show: whole},
          {name: "Test accuracy", value: (row) => row.test_accuracy, show: share},
        ],
        trainings,
      ),
    syntheses.length > 0 &&
      table(
        "Syntheses",
        [
          {name: "Variant", value: (row) => row.shownAs.title, show: (_, row) => link(row.shownAs)},
          {name: "Library", value: (row) => row.library},
          {name: "Clock, ns", value: (row) => row.clock_ns, show: short},
          {
            name: "Slack, ns",
            value: (row) => row.slack_ns,
            show: (slack) => h("span", {class: slack < 0 ? "bad" : "good"}, fixed(2)(slack)),
          },
          {name: "Area, mm²", value: (row) => row.area_um2 / 1e6, show: short},
          {name: "GE a lane", value: (row) => row.ge_per_lane, show: whole},
          {name: "Power, mW", value: (row) => (row.power_w === null ? null : row.power_w * 1e3), show: short},
          {name: "GFLOPS/W: PE array", value: (row) => row.gflops_per_watt.pe_array, show: short},
          {name: "logic", value: (row) => row.gflops_per_watt.logic, show: short},
          {name: "module", value: (row) => row.gflops_per_watt.module, show: short},
        ],
        syntheses,
      ),
  ];
}

function filesTable() {
  return table(
    "Files of the folder",
    [
      {name: "File", value: (entry) => entry.file},
      {name: "Schema", value: (entry) => entry.schema || null, absent: "not Vaultrain's"},
      {
        name: "Written by",
        value: (entry) => (entry.content ? `vaultrain ${entry.content.tool_version}` : null),
        absent: "–",
      },
      {name: "Shown", value: (entry) => (entry.content ? "yes" : "no")},
    ],
    kDocuments,
  );
}

function theme() {
  const root = document.documentElement;
  const button = document.getElementById("theme");
  const set = (name) => {
    root.dataset.theme = name;
    button.textContent = name === "dark" ? "Light" : "Dark";
    button.setAttribute("aria-label", `${button.textContent} colours`);
  };
  const system = matchMedia("(prefers-color-scheme: dark)");
  set(system.matches ? "dark" : "light");
  system.addEventListener("change", (event) => set(event.matches ? "dark" : "light"));
  button.addEventListener("click", () => set(root.dataset.theme === "dark" ? "light" : "dark"));
}

function build() {
  const all = variants();
  const sweeps = entriesOf("sweep");
  const names = [...all.map((variant) => variant.title), ...sweeps.map(({content}) => `sweep ${content.sweep}`)];
  document.title = `Vaultrain: ${names.join(", ")}`;
  document
    .getElementById("contents")
    .append(
      ...all.map((variant) => h("a", {href: `#${variant.id}`}, variant.title)),
      ...sweeps.map(({content}) => h("a", {href: `#sweep-${content.sweep}`}, `Sweep ${content.sweep}`)),
      h("a", {href: "#files"}, "Files"),
    );
  document
    .getElementById("report")
    .append(
      h("h1", {}, names.join(", ")),
      h(
        "p",
        {class: "lead"},
        "A memory module that trains neural networks: what was generated, trained and synthesized, as one folder has it.",
      ),
      ...overview(all).filter(Boolean),
      ...all.map(variantSection),
      ...sweeps.map(({file, content}) => sweep(file, content)),
      sweeps.length === 0
        ? h(
            "section",
            {},
            h("h2", {}, "Sweep"),
            absent("No sweep report in the folder.", "vaultrain sweep SPEC.toml --json sweep.json"),
          )
        : "",
      h("section", {id: "files"}, h("h2", {}, "Files"), filesTable()),
    );
}

theme();
build();
drawAll();
