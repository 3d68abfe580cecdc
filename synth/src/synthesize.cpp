// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include <algorithm>
#include <atomic>
#include <exception>
#include <memory>
#include <mutex>
#include <set>
#include <sstream>
#include <thread>
#include <unordered_map>

#include "activity.h"
#include "gatesim.h"
#include "liberty.h"
#include "macros.h"
#include "netlist.h"
#include "power.h"
#include "rtlil.h"
#include "technology.h"
#include "tools.h"
#include "vaultrain/digest.h"
#include "vaultrain/error.h"
#include "vaultrain/output.h"
#include "vaultrain/paths.h"
#include "vaultrain/synth.h"

namespace vaultrain {
namespace {

namespace fs = std::filesystem;

constexpr int kJobs = 2;
// Above this many cells the whole is not timed flat; budgets that close the loop between blocks
// take its place.
constexpr long kMaxFlatCells = 600'000;
constexpr double kHopeless = 1.0;
// Shares of the clock that make the budgets close: a block's outputs arrive before its neighbours
// expect them.
constexpr double kClosedInput = 0.4;
constexpr double kClosedOutput = 0.6;

// A block of the report with one set of parameters.
struct Part {
  std::string module;
  long instances = 0;
  MappedBlock mapped;
  StaResult timing;
  std::string recipe;
  double cells_um2 = 0;
  double memory_um2 = 0;
  long cell_count = 0;
  std::map<SramShape, long> memories;

  // Of one instance.
  Netlist netlist;
  std::vector<CellEnergy> cells;
  std::unique_ptr<GateSim> sim;     // absent: at the default activity
  std::vector<SynthEnergy> energy;  // by phase; of one cycle where no step was simulated
  double glitch_error = 0;
};

// Runs work(i) for all i, at most kJobs at a time. Rethrows the first error by index.
template <typename Work>
void InParallel(size_t count, Work work) {
  std::vector<std::exception_ptr> errors(count);
  std::atomic<size_t> next = 0;
  std::atomic<bool> failed = false;
  auto loop = [&] {
    for (size_t i = next++; i < count && !failed; i = next++) {
      try {
        work(i);
      } catch (...) {
        errors[i] = std::current_exception();
        failed = true;
      }
    }
  };
  {
    std::vector<std::jthread> threads;
    for (size_t i = 1; i < std::min<size_t>(kJobs, count); ++i) threads.emplace_back(loop);
    loop();
  }
  for (const auto& error : errors) {
    if (error) std::rethrow_exception(error);
  }
}

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

class Flow {
 public:
  explicit Flow(const SynthOptions& options) : options_(options) {}

  SynthReport Run();

 private:
  void ReadLibrary();
  void Elaborate();
  void MapParts();
  void TimeWhole();
  void ReadEnergies(Part& part);
  SynthEnergy DefaultEnergy(const Part& part) const;
  void MeasureEnergy();
  void CountWhole();
  void CountEnergy(const SynthEnergy& pe_array);
  void Keep() const;

  StaSetup Sta(bool closed) const;
  std::vector<std::string> MemoryLibraries(const std::map<SramShape, long>& memories) const;
  void Map(Part& part);
  void Say(std::string_view what);

  const SynthOptions& options_;
  ScratchFolder scratch_;
  FlowSetup setup_;
  fs::path sdc_;
  Liberty library_;
  Technology tech_;
  std::string nand_;
  double clock_ns_ = 0;
  int gating_bits_ = 0;  // 0: no gating
  Rtlil design_;
  std::string elaborate_script_;
  std::vector<Part> parts_;      // the top last
  std::set<std::string> boxes_;  // modules of parts_
  std::optional<SynthStep> step_;
  std::optional<StaResult> whole_;
  SynthReport report_;
  std::mutex progress_mutex_;
  long done_ = 0;
};

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
  design_ = Rtlil::Parse(ReadFile(out), options_.top);
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

// Takes the first recipe that meets the clock, else the one that misses it least. Where the
// smallest misses by more than kHopeless clocks only the fastest is tried beside it.
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
    if (slack < -kHopeless * clock_ns_) i = std::max(i, recipes.size() - 2);
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

// Energies of the cells, and the simulator if there is a step to simulate.
void Flow::ReadEnergies(Part& part) {
  const StaResult timing = TimeNetlist(
      setup_, {part.mapped.netlist}, MemoryLibraries(part.memories), part.module, Sta(false), true);
  std::unordered_map<std::string, double> slews;
  std::istringstream lines(timing.slews);
  std::string pin;
  double rise = 0, fall = 0;
  while (lines >> pin >> rise >> fall) slews[pin] = (rise + fall) / 2;
  part.netlist = ParseNetlist(part.mapped.netlist);
  EnergySetup energies;
  energies.clock_slew_ns = tech_.clock_slew_ns;
  energies.output_load_pf = tech_.load_pf;
  energies.slew_ns = [&](const std::string& name) {
    auto found = slews.find(name);
    return found == slews.end() ? 0.0 : found->second;
  };
  part.cells = CellEnergies(part.netlist, library_, energies);
  if (!options_.simulate) return;
  std::map<std::string, SramShape> memories;
  for (const auto& [shape, count] : part.memories) memories[shape.Module()] = shape;
  std::map<std::string, std::set<std::string>> boxes;
  for (const std::string& box : boxes_) boxes[box] = design_.Outputs(box);
  try {
    part.sim = std::make_unique<GateSim>(part.netlist, library_, memories, boxes);
  } catch (const Error& error) {
    std::lock_guard lock(progress_mutex_);
    report_.remarks.push_back(fmt::format("{}: not simulated, at activity {}: {}", part.module,
                                          options_.activity, error.what()));
  }
}

// Of one cycle.
SynthEnergy Flow::DefaultEnergy(const Part& part) const {
  const double seconds = clock_ns_ * 1e-9;
  SynthEnergy energy = EnergyAt(part.cells, options_.activity, seconds);
  for (const auto& [shape, count] : part.memories) {
    // A single port shares the accesses between both.
    const double accesses = options_.sram_accesses / (shape.single_port ? 2 : 1);
    const auto memories = static_cast<double>(count);
    energy.memory += memories * SramEnergy(shape, tech_.sram, accesses, accesses);
    energy.leakage += memories * SramLeakage(shape, tech_.sram) * seconds;
  }
  return energy;
}

// Simulates the step on the RTL, replays it in the netlists and turns toggles into energy.
void Flow::MeasureEnergy() {
  InParallel(parts_.size(), [&](size_t i) { ReadEnergies(parts_[i]); });
  Say("energies");
  if (!options_.simulate) {
    for (Part& part : parts_) part.energy = {DefaultEnergy(part)};
    return;
  }
  std::vector<std::vector<SynthProbe>> probes(parts_.size());
  for (size_t i = 0; i < parts_.size(); ++i) {
    if (!parts_[i].sim) continue;
    std::map<std::string, std::string> box_modules;
    for (const NetlistCell& cell : parts_[i].netlist.cells) {
      if (boxes_.count(cell.type) > 0) {
        box_modules[cell.name] = design_.modules().at(cell.type).base;
      }
    }
    probes[i] = ProbesOf(*parts_[i].sim, design_.modules().at(parts_[i].module).base,
                         design_.PathOf(parts_[i].module), box_modules);
  }
  std::vector<SignalLog> logs;
  step_ = options_.simulate(clock_ns_, probes, logs);
  uint64_t begin = step_->begin;
  for (const SynthStep::Span& span : step_->spans) {
    auto phase = std::find_if(report_.phases.begin(), report_.phases.end(),
                              [&](const SynthPhase& p) { return p.name == span.phase; });
    if (phase == report_.phases.end()) {
      phase = report_.phases.insert(report_.phases.end(), {span.phase, 0});
    }
    phase->cycles += span.end - begin;
    begin = span.end;
  }
  InParallel(parts_.size(), [&](size_t i) {
    Part& part = parts_[i];
    if (!part.sim) {
      for (const SynthPhase& phase : report_.phases) {
        part.energy.push_back(DefaultEnergy(part) * static_cast<double>(phase.cycles));
      }
    } else {
      const Activity activity =
          Replay(*part.sim, logs[i], *step_, report_.phases, options_.unit_delay_every);
      logs[i] = SignalLog({});
      part.glitch_error = activity.glitch_error;
      for (const PhaseActivity& phase : activity.phases) {
        const double seconds = phase.cycles * clock_ns_ * 1e-9;
        SynthEnergy energy = EnergyOf(part.cells, phase.toggles, seconds);
        for (const auto& [shape, accesses] : phase.accesses) {
          energy.memory +=
              SramEnergy(shape, tech_.sram, static_cast<double>(accesses.reads), accesses.writes);
          energy.leakage += SramLeakage(shape, tech_.sram) * seconds;
        }
        part.energy.push_back(energy);
      }
      if (!activity.mismatch.empty()) {
        std::lock_guard lock(progress_mutex_);
        report_.netlist_mismatch = fmt::format("{}: {}", part.module, activity.mismatch);
      }
    }
    Say(part.module);
  });
}

void Flow::MapParts() {
  InParallel(parts_.size(), [&](size_t i) {
    Map(parts_[i]);
    Say(parts_[i].module);
  });
}

void Flow::TimeWhole() {
  if (parts_.size() == 1) {
    whole_ = parts_.front().timing;
    return;
  }
  long cells = 0;
  for (const Part& part : parts_) cells += part.instances * part.cell_count;
  if (cells > kMaxFlatCells) {
    InParallel(parts_.size(), [&](size_t i) {
      Part& part = parts_[i];
      StaResult timing = TimeNetlist(setup_, {part.mapped.netlist}, MemoryLibraries(part.memories),
                                     part.module, Sta(true), false);
      part.timing.slack_ns = timing.slack_ns;
      part.timing.from = timing.from;
      part.timing.to = timing.to;
    });
    report_.remarks.push_back(
        fmt::format("{} cells are too many to time the whole flat: paths between blocks are held "
                    "by budgets, outputs within {:.0f} "
                    "% of the clock and inputs from there on",
                    cells, kClosedInput * 100));
    return;
  }
  std::vector<std::string> netlists;
  std::map<SramShape, long> memories;
  for (const Part& part : parts_) {
    netlists.push_back(part.mapped.netlist);
    for (const auto& [shape, count] : part.memories) memories[shape] += count;
  }
  whole_ =
      TimeNetlist(setup_, netlists, MemoryLibraries(memories), design_.top(), Sta(false), false);
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
    report_.worst_path = fmt::format("{}: {} -> {}", where, timing.from, timing.to);
  };
  SynthEnergy pe_array;  // of the step
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
  if (whole_) worsen(*whole_, design_.top());
  report_.slack_ns = slack.value_or(clock_ns_);
  report_.ge = report_.area_um2 / nand_um2;

  // A PE array with everything in it, whether or not parts of it have rows of their own.
  for (const Part& array : parts_) {
    if (design_.modules().at(array.module).base != options_.pe_array) continue;
    pe_arrays += array.instances;
    std::set<std::string> all = boxes_;
    all.insert(design_.top());
    std::map<std::string, long> inside = design_.Instances(array.module, all);
    for (const Part& part : parts_) {
      double count = static_cast<double>(array.instances * inside[part.module]);
      pe_array_um2 += count * (part.cells_um2 + part.memory_um2);
      pe_array_memory_um2 += count * part.memory_um2;
      for (const SynthEnergy& energy : part.energy) pe_array += energy * count;
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
  if (step_) CountEnergy(pe_array);
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

// GFLOPS/W and pJ a MAC of the step. GFLOPS/W is 2 FLOP a MAC / nJ.
void Flow::CountEnergy(const SynthEnergy& pe_array) {
  const OutsideEnergy outside = ReadOutsideEnergy(Resources().constraints / "energy.toml");
  const SynthTraffic& traffic = step_->traffic;
  auto pj_per_mac = [&](double joule) { return joule * 1e12 / step_->macs; };
  SynthEnergy logic;
  for (const SynthBlockReport& block : report_.blocks) {
    SynthEnergy own;
    for (const SynthEnergy& energy : block.energy) own += energy;
    logic += own;
    report_.contributors.push_back({block.name, pj_per_mac(own.Total())});
  }
  const double links = traffic.link_bits * outside.link_pj_per_bit * 1e-12;
  SynthDram dram;
  dram.per_bit = traffic.dram_bits * outside.dies_pj_per_bit * 1e-12;
  dram.per_bit_stack = traffic.dram_bits * outside.stack_pj_per_bit * 1e-12;
  dram.activate = traffic.activated_bits * outside.activate_pj_per_bit * 1e-12;
  dram.access = traffic.dram_bits * outside.access_pj_per_bit * 1e-12;
  dram.io = traffic.dram_bits * outside.io_pj_per_bit * 1e-12;
  dram.refresh = traffic.refreshes * traffic.rows / outside.refreshes_per_period *
                 traffic.page_bits * outside.activate_pj_per_bit * 1e-12;
  dram.by_command = dram.activate + dram.access + dram.io + dram.refresh;
  report_.dram = dram;
  report_.contributors.push_back({"links", pj_per_mac(links)});
  report_.contributors.push_back({"DRAM", pj_per_mac(dram.per_bit)});
  const double gflop = 2 * step_->macs * 1e-9;
  const double all = logic.Total() + links;
  if (pe_array.Total() > 0) {
    report_.gflops_per_watt.pe_array = gflop / pe_array.Total();
    report_.gflops_per_watt_glitches.pe_array = gflop / (pe_array.Total() + pe_array.glitches);
  }
  report_.gflops_per_watt.logic = gflop / all;
  report_.gflops_per_watt_glitches.logic = gflop / (all + logic.glitches);
  report_.gflops_per_watt.module = gflop / (all + dram.per_bit);
  report_.gflops_per_watt_glitches.module = gflop / (all + logic.glitches + dram.per_bit);
  report_.gflops_per_watt_stack = gflop / (all + dram.per_bit_stack);
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
  if (whole_) {
    keep("whole.sta.tcl", whole_->script);
    keep("whole.sta.rpt", whole_->log);
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

}  // namespace

double SynthClock(const SynthOptions& options) {
  if (options.clock_ns) return *options.clock_ns;
  std::vector<fs::path> files = options.liberty;
  if (files.empty()) files.emplace_back(kDefaultLiberty);
  const auto known = FindTechnology(Resources().constraints / "tech", Liberty::Read(files));
  return known ? known->clock_ns : 0;
}

SynthReport Synthesize(const SynthOptions& options) { return Flow(options).Run(); }

}  // namespace vaultrain
