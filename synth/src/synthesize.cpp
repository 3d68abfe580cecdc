// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include <algorithm>
#include <set>

#include "flow.h"
#include "liberty.h"
#include "macros.h"
#include "vaultrain/digest.h"
#include "vaultrain/error.h"
#include "vaultrain/paths.h"

namespace vaultrain {
namespace {

namespace fs = std::filesystem;

// Clocks by which a recipe misses: beyond kFar ripple adders are the reason, beyond kHopeless most
// of the rest too.
constexpr double kFar = 0.25;
constexpr double kHopeless = 1.0;
// Shares of the clock that make the budgets close: a block's outputs arrive before its neighbours
// expect them.
constexpr double kClosedInput = 0.4;
constexpr double kClosedOutput = 0.6;

// A word of a Yosys script.
std::string Quoted(const fs::path& path) { return '"' + fs::absolute(path).string() + '"'; }

std::string ElaborateScript(const SynthOptions& options, const fs::path& share,
                            const fs::path& out) {
  std::string files, includes, parameters;
  for (const fs::path& file : options.rtl_files) {
    if (!fs::is_regular_file(file))
      RefuseInput("{}: no such file; accepted: a Verilog file", file.string());
    if (file.filename() != "vt_sram.v") files += " " + Quoted(file);
  }
  if (files.empty()) RefuseInput("no Verilog file given; accepted: at least one");
  for (const fs::path& folder : options.include_dirs)
    includes += " -I" + fs::absolute(folder).string();
  for (const auto& [key, value] : options.parameters) {
    parameters += fmt::format("chparam -set {} {} $abstract\\{}\n", key, value, options.top);
  }
  return Fill(ReadFile(share / "yosys/elaborate.ys"), {{"SHARE", share.string()},
                                                       {"INCLUDES", includes},
                                                       {"FILES", files},
                                                       {"PARAMETERS", parameters},
                                                       {"TOP", options.top},
                                                       {"OUT", out.string()}});
}

// Yosys writes where each file lies into attributes and names; what a block is does not depend on
// it.
std::string WithoutFolders(const std::string& text, const std::vector<fs::path>& files) {
  std::set<std::string> folders;
  for (const fs::path& file : files) {
    folders.insert(fs::absolute(file).parent_path().string() + "/");
  }
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const auto here = std::find_if(folders.begin(), folders.end(), [&](const std::string& folder) {
      return text[at] == '/' && text.compare(at, folder.size(), folder) == 0;
    });
    if (here == folders.end()) {
      out += text[at++];
    } else {
      at += here->size();
    }
  }
  return out;
}

// The tools and some files, as text for a digest.
std::string DigestOf(std::vector<fs::path> files) {
  std::string text = ToolVersions();
  std::sort(files.begin(), files.end());
  for (const fs::path& file : files) {
    text += file.filename().string() + ToHex(Sha256(ReadFile(file)));
  }
  return ToHex(Sha256(text));
}

// One sum of a full adder costs two XOR and about two NAND; a cell that is larger is not worth its
// fixed shape.
bool AdderPays(const Liberty& library, const AdderCell& adder) {
  auto xor2 = library.Xor2();
  auto inverter = library.Inverter();
  if (!xor2) return true;
  double extra =
      inverter ? (adder.sum_inverted + adder.carry_inverted) * library.Area(*inverter) : 0;
  return adder.area + extra < 2 * library.Area(*xor2) + 2 * library.Area(library.Nand2());
}

}  // namespace

void Flow::Say(std::string_view what) {
  std::lock_guard lock(progress_mutex_);
  ++done_;
  if (options_.progress) options_.progress(done_, static_cast<long>(2 * parts_.size()) + 3, what);
}

void Flow::ReadLibrary() {
  std::vector<fs::path> files = options_.liberty;
  if (files.empty()) files.emplace_back(kDefaultLiberty);
  library_ = Liberty::Read(files);
  const fs::path tables = Resources().constraints / "tech";
  auto known = FindTechnology(tables, library_);
  tech_ = known ? *known : GuessTechnology(tables, library_);
  if (!known) {
    report_.remarks.push_back(
        fmt::format("library {} is of no known technology: memories are scaled from NanGate 45 nm",
                    library_.name()));
  }
  clock_ns_ = options_.clock_ns.value_or(tech_.clock_ns);
  if (!(clock_ns_ > 0)) {
    RefuseInput("library {}: no clock target is known for it; accepted: a clock in ns, above 0",
                library_.name());
  }
  for (const auto& [cell, area] : tech_.area_um2) {
    if (!library_.Cell(cell) || library_.Area(cell) > 0) continue;
    library_.SetArea(cell, area);
    report_.remarks.push_back(
        fmt::format("{}: the Liberty gives no area; {} um2 from constraints/tech/{}.toml", cell,
                    area, tech_.name));
  }
  nand_ = library_.Nand2();
  MapTargets targets;
  targets.adder = library_.FullAdder();
  if (targets.adder && !AdderPays(library_, *targets.adder)) targets.adder.reset();
  targets.gate = library_.ClockGate();
  if (!targets.gate) targets.gate_of_latch = tech_.gate_of_latch;
  bool wanted = options_.clock_gating.value_or(tech_.clock_gating);
  if (wanted && (targets.gate || targets.gate_of_latch)) gating_bits_ = tech_.gating_bits;
  if (wanted && gating_bits_ == 0) {
    report_.remarks.push_back("no clock gate in the library: enables are multiplexers");
  }
  if (gating_bits_ > 0) {
    report_.remarks.push_back(fmt::format(
        "clock gates: registers of {} bits or more that hold get no clock", gating_bits_));
  }
  if (!library_.Cell(tech_.driving_cell)) tech_.driving_cell.clear();

  setup_.share = Resources().synth;
  setup_.work = scratch_.path();
  if (options_.use_cache) setup_.cache = CacheFolder();
  sdc_ = Resources().constraints / "block.sdc";
  WriteFile(setup_.work / "cells.lib", library_.Text(true, tech_.exclude));
  WriteFile(setup_.work / "sta.lib", library_.Text(false, {}));
  WriteFile(setup_.work / "cells.v", BoxesVerilog(targets));
  WriteFile(setup_.work / "map.v", MapVerilog(targets));
  // ABC buffers inputs only where it knows what drives them. Its loads are in fF.
  std::string driver =
      tech_.driving_cell.empty() ? library_.Inverter().value_or(nand_) : tech_.driving_cell;
  WriteFile(setup_.work / "abc.constr",
            fmt::format("set_driving_cell {}\nset_load {}\n", driver, tech_.load_pf * 1000));
  std::vector<fs::path> maps;
  for (const auto& entry : fs::directory_iterator(setup_.share / "yosys")) {
    maps.push_back(entry.path());
  }
  for (const char* name : {"cells.lib", "cells.v", "map.v", "abc.constr"}) {
    maps.push_back(setup_.work / name);
  }
  setup_.map_digest = DigestOf(maps);
  setup_.sta_digest = DigestOf({setup_.share / "sta.tcl", sdc_, setup_.work / "sta.lib"});
}

void Flow::Elaborate() {
  fs::path out = scratch_.path() / "elaborated.il";
  elaborate_script_ = ElaborateScript(options_, setup_.share, out);
  fs::path script = scratch_.path() / "elaborate.ys";
  WriteFile(script, elaborate_script_);
  RunYosys(script, static_cast<int>(ExitStatus::kUnusableInput), options_.top);
  design_ = Rtlil::Parse(WithoutFolders(ReadFile(out), options_.rtl_files), options_.top);
  for (const auto& [name, module] : design_.modules()) {
    const std::string& base = module.base;
    bool is_block = std::any_of(options_.blocks.begin(), options_.blocks.end(),
                                [&](const SynthBlock& block) { return block.module == base; });
    if (is_block && name != design_.top()) boxes_.insert(name);
  }
  std::set<std::string> all = boxes_;
  all.insert(design_.top());
  std::map<std::string, long> instances = design_.Instances(design_.top(), all);
  for (const std::string& name : boxes_) {
    if (instances[name] == 0) continue;
    parts_.emplace_back();
    parts_.back().module = name;
    parts_.back().instances = instances[name];
  }
  parts_.emplace_back();
  parts_.back().module = design_.top();
  parts_.back().instances = 1;
}

StaSetup Flow::Sta(bool closed) const {
  StaSetup sta;
  sta.sdc = sdc_;
  sta.clock_ns = clock_ns_;
  sta.uncertainty_ns = tech_.uncertainty_ns;
  sta.input_delay_ns = clock_ns_ * (closed ? kClosedInput : tech_.input_delay);
  sta.output_delay_ns = clock_ns_ * (closed ? kClosedOutput : tech_.output_delay);
  sta.driver = tech_.driving_cell;
  sta.load_pf = tech_.load_pf;
  return sta;
}

std::vector<std::string> Flow::MemoryLibraries(const std::map<SramShape, long>& memories) const {
  std::vector<std::string> texts;
  for (const auto& [shape, count] : memories) texts.push_back(SramLiberty(shape, tech_.sram));
  return texts;
}

// Takes the first recipe that meets the clock, else the one that misses it least. Where one misses
// by more than kFar clocks the next has prefix adders; by more than kHopeless it is the fastest.
void Flow::Map(Part& part) {
  std::string rtlil = design_.Cut(part.module, boxes_);
  part.memories = design_.Memories(part.module, boxes_);
  const std::vector<Recipe>& recipes = Recipes();
  bool have = false;
  for (size_t i = 0; i < recipes.size(); ++i) {
    const Recipe& recipe = recipes[i];
    MappedBlock mapped = MapBlock(setup_, rtlil, part.module, recipe, clock_ns_, gating_bits_);
    StaResult timing = TimeNetlist(setup_, {mapped.netlist}, MemoryLibraries(part.memories),
                                   part.module, Sta(false), false);
    double slack = timing.slack_ns.value_or(0);
    if (!have || slack > part.timing.slack_ns.value_or(0)) {
      part.mapped = std::move(mapped);
      part.timing = std::move(timing);
      part.recipe = recipe.name;
      have = true;
    }
    if (slack >= 0) break;
    if (slack < -kHopeless * clock_ns_) {
      i = std::max(i, recipes.size() - 2);
    } else if (slack < -kFar * clock_ns_) {
      while (i + 2 < recipes.size() && recipes[i + 1].max_ripple > kPrefixAdders) ++i;
    }
  }
  for (const auto& [cell, count] : part.mapped.cells) {
    if (cell.starts_with("$")) {
      ReportTool("yosys: {}: {} cells {} are left without a cell of {}", part.module, count, cell,
                 library_.name());
    }
    part.cells_um2 += static_cast<double>(count) * library_.Area(cell);
    part.cell_count += count;
  }
  for (const auto& [shape, count] : part.memories) {
    part.memory_um2 += static_cast<double>(count) * SramArea(shape, tech_.sram);
  }
}

void Flow::MapParts() {
  InParallel(parts_.size(), [&](size_t i) {
    Map(parts_[i]);
    Say(parts_[i].module);
  });
}

// Blocks right below one, not within another block.
std::vector<std::string> Flow::ChildrenOf(const std::string& module) const {
  std::map<std::string, long> direct = design_.Instances(module, boxes_);
  direct.erase(module);
  std::vector<std::pair<std::string, std::map<std::string, long>>> inner;
  for (const auto& [name, count] : direct) {
    inner.emplace_back(name, design_.Instances(name, boxes_));
    inner.back().second.erase(name);
  }
  // Who holds another comes before it.
  std::stable_sort(inner.begin(), inner.end(), [](const auto& one, const auto& other) {
    return one.second.size() > other.second.size();
  });
  for (const auto& [name, below] : inner) {
    for (const auto& [held, count] : below) direct[held] -= direct[name] * count;
  }
  std::vector<std::string> children;
  for (const auto& [name, count] : direct) {
    if (count > 0) children.push_back(name);
  }
  return children;
}

// The largest parts of the tree that are not too large, flat; what lies above them within budgets
// that close the loop.
void Flow::TimeWhole() {
  if (parts_.size() == 1) {
    wholes_.push_back({design_.top(), parts_.front().timing, parts_.front().cell_count});
    return;
  }
  std::set<std::string> all = boxes_;
  all.insert(design_.top());
  std::vector<Part*> alone;
  std::set<std::string> seen;
  long too_many = 0;
  for (std::vector<std::string> open = {design_.top()}; !open.empty();) {
    const std::string module = open.back();
    open.pop_back();
    if (!seen.insert(module).second) continue;
    const std::map<std::string, long> below = design_.Instances(module, all);
    Whole whole{module, {}, 0};
    std::vector<std::string> netlists;
    std::map<SramShape, long> memories;
    Part* root = nullptr;
    for (Part& part : parts_) {
      if (part.module == module) root = &part;
      const auto found = below.find(part.module);
      if (found == below.end()) continue;
      whole.cells += found->second * part.cell_count;
      netlists.push_back(part.mapped.netlist);
      for (const auto& [shape, count] : part.memories) memories[shape] += count;
    }
    if (whole.cells > options_.max_flat_cells || netlists.size() == 1) {
      too_many = std::max(too_many, whole.cells);
      alone.push_back(root);
      for (std::string& child : ChildrenOf(module)) open.push_back(std::move(child));
      continue;
    }
    whole.timing = TimeNetlist(setup_, netlists, MemoryLibraries(memories), module,
                               Sta(module != design_.top()), false);
    wholes_.push_back(std::move(whole));
  }
  InParallel(alone.size(), [&](size_t i) {
    Part& part = *alone[i];
    StaResult timing = TimeNetlist(setup_, {part.mapped.netlist}, MemoryLibraries(part.memories),
                                   part.module, Sta(true), false);
    part.timing.slack_ns = timing.slack_ns;
    part.timing.from = timing.from;
    part.timing.to = timing.to;
  });
  if (alone.empty()) return;
  std::string flat;
  for (const Whole& whole : wholes_) {
    flat += fmt::format("{}{} ({} cells)", flat.empty() ? "" : ", ", whole.module, whole.cells);
  }
  report_.remarks.push_back(fmt::format(
      "{} cells are too many to be timed flat; timed flat: {}; all other paths between "
      "blocks are held by budgets, outputs within {:.0f} % of the clock and inputs from "
      "there on",
      too_many, flat.empty() ? "nothing" : flat, kClosedInput * 100));
}

// The RTL's name of where a path begins or ends: "u_a/u_b.sum_q[3]_reg" is "u_a.u_b.sum_q[3]".
std::string Flow::EndOfPath(std::string module, std::string_view end) const {
  auto netlist_of = [&]() -> Netlist {
    for (const Part& part : parts_) {
      if (part.module == module) return ParseNetlist(part.mapped.netlist);
    }
    return {};
  };
  std::string path;
  for (size_t slash = end.find('/'); slash != end.npos; slash = end.find('/')) {
    const std::string_view instance = end.substr(0, slash);
    for (const NetlistCell& cell : netlist_of().cells) {
      if (cell.name == instance) module = cell.type;
    }
    path += fmt::format("{}.", instance);
    end.remove_prefix(slash + 1);
  }
  return path + NameInRtl(netlist_of(), end);
}

void Flow::CountWhole() {
  const double nand_um2 = library_.Area(nand_);
  report_.library = fmt::format("{} ({}), {}, 1 GE = {} of {} um2", tech_.name, library_.name(),
                                tech_.corner, nand_, nand_um2);
  report_.clock_ns = clock_ns_;
  // That the parts' energies are spent in.
  const double seconds = clock_ns_ * 1e-9 * (step_ ? static_cast<double>(step_->Cycles()) : 1);
  std::optional<double> slack;
  auto worsen = [&](const StaResult& timing, const std::string& where) {
    if (!timing.slack_ns || (slack && *slack <= *timing.slack_ns)) return;
    slack = timing.slack_ns;
    report_.worst_path = fmt::format("{}: {} -> {}", where, EndOfPath(where, timing.from),
                                     EndOfPath(where, timing.to));
  };
  double pe_array_um2 = 0;
  double pe_array_memory_um2 = 0;
  long pe_arrays = 0;
  auto add_row = [&](const std::string& name, auto belongs) {
    SynthBlockReport row;
    row.name = name;
    for (const Part& part : parts_) {
      if (!belongs(part)) continue;
      row.instances += part.instances;
      row.area_um2 += static_cast<double>(part.instances) * (part.cells_um2 + part.memory_um2);
      const auto instances = static_cast<double>(part.instances);
      for (const SynthEnergy& energy : part.energy) {
        row.power_w += instances * energy.Total() / seconds;
      }
      if (step_) {
        row.energy.resize(report_.phases.size());
        for (size_t i = 0; i < part.energy.size(); ++i) row.energy[i] += part.energy[i] * instances;
        row.glitch_error = std::max(row.glitch_error, part.glitch_error);
      }
      if (part.timing.slack_ns) {
        row.slack_ns =
            std::min(row.slack_ns.value_or(*part.timing.slack_ns), *part.timing.slack_ns);
      }
      worsen(part.timing, part.module);
    }
    row.ge = row.area_um2 / nand_um2;
    report_.area_um2 += row.area_um2;
    report_.power_w += row.power_w;
    report_.blocks.push_back(row);
  };
  for (const SynthBlock& block : options_.blocks) {
    add_row(block.name, [&](const Part& part) {
      return part.module != design_.top() && design_.modules().at(part.module).base == block.module;
    });
  }
  add_row("top", [&](const Part& part) { return part.module == design_.top(); });
  for (const Whole& whole : wholes_) worsen(whole.timing, whole.module);
  report_.slack_ns = slack.value_or(clock_ns_);
  report_.ge = report_.area_um2 / nand_um2;

  // A PE array with everything in it, whether or not parts of it have rows of their own.
  for (const Part& array : parts_) {
    if (design_.modules().at(array.module).base != options_.pe_array) continue;
    pe_arrays += array.instances;
    std::set<std::string> all = boxes_;
    all.insert(design_.top());
    std::map<std::string, long> inside = design_.Instances(array.module, all);
    for (Part& part : parts_) {
      const auto count = static_cast<double>(array.instances * inside[part.module]);
      part.in_pe_arrays += count;
      pe_array_um2 += count * (part.cells_um2 + part.memory_um2);
      pe_array_memory_um2 += count * part.memory_um2;
    }
  }
  if (pe_arrays > 0 && options_.lanes_per_pe_array > 0) {
    const double lanes_um2 =
        nand_um2 * static_cast<double>(pe_arrays) * options_.lanes_per_pe_array;
    report_.ge_per_lane = pe_array_um2 / lanes_um2;
    report_.ge_per_lane_without_memory = (pe_array_um2 - pe_array_memory_um2) / lanes_um2;
    if (pe_array_memory_um2 > 0) {
      report_.remarks.push_back(
          fmt::format("{:.0f} of {:.0f} GE a lane are accumulator memories; without them {:.0f}",
                      pe_array_memory_um2 / lanes_um2, *report_.ge_per_lane,
                      *report_.ge_per_lane_without_memory));
    }
  }
  if (step_) CountEnergy();
  std::map<SramShape, long> memories;
  for (const Part& part : parts_) {
    for (const auto& [shape, count] : part.memories) memories[shape] += part.instances * count;
  }
  for (const auto& [shape, count] : memories) {
    report_.memories.push_back({shape.depth, shape.width, shape.granule, shape.single_port != 0,
                                count, SramArea(shape, tech_.sram)});
  }
  if (!memories.empty()) {
    report_.remarks.push_back(fmt::format(
        "area, time and energy of memories are estimates, from constraints/tech/{}.toml",
        tech_.name));
  }
}

void Flow::Keep() const {
  if (options_.out_dir.empty()) return;
  fs::create_directories(options_.out_dir);
  auto keep = [&](const fs::path& name, const std::string& text) {
    WriteFile(options_.out_dir / name, text);
  };
  for (const char* name : {"cells.lib", "sta.lib", "cells.v", "map.v", "abc.constr"}) {
    fs::copy_file(setup_.work / name, options_.out_dir / name,
                  fs::copy_options::overwrite_existing);
  }
  keep("block.sdc", ReadFile(sdc_));
  keep("elaborate.ys", elaborate_script_);
  for (const Part& part : parts_) {
    keep(part.module + ".il", design_.Cut(part.module, boxes_));
    keep(part.module + ".v", part.mapped.netlist);
    keep(part.module + ".ys", part.mapped.script);
    keep(part.module + ".sta.tcl", part.timing.script);
    keep(part.module + ".sta.rpt", part.timing.log);
    for (const auto& [shape, count] : part.memories)
      keep(shape.Module() + ".lib", SramLiberty(shape, tech_.sram));
  }
  for (const Whole& whole : wholes_) {
    const std::string name = whole.module == design_.top() ? "whole" : whole.module + ".whole";
    keep(name + ".sta.tcl", whole.timing.script);
    keep(name + ".sta.rpt", whole.timing.log);
  }
  keep("report.json", ToJson(report_).dump(2) + "\n");
}

SynthReport Flow::Run() {
  ReadLibrary();
  Say("library");
  Elaborate();
  Say("elaboration");
  MapParts();
  TimeWhole();
  Say("timing");
  MeasureEnergy();
  CountWhole();
  Keep();
  return report_;
}

double SynthClock(const SynthOptions& options) {
  if (options.clock_ns) return *options.clock_ns;
  std::vector<fs::path> files = options.liberty;
  if (files.empty()) files.emplace_back(kDefaultLiberty);
  const auto known = FindTechnology(Resources().constraints / "tech", Liberty::Read(files));
  return known ? known->clock_ns : 0;
}

SynthReport Synthesize(const SynthOptions& options) { return Flow(options).Run(); }

}  // namespace vaultrain
