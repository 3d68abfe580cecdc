// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <memory>
#include <optional>

#include "cli/command.h"
#include "vaultrain/error.h"
#include "vaultrain/gemm_bench.h"
#include "vaultrain/isa.h"
#include "vaultrain/mesh_bench.h"
#include "vaultrain/output.h"
#include "vaultrain/paths.h"
#include "vaultrain/process.h"
#include "vaultrain/vault_dram.h"
#include "vaultrain/vault_traffic.h"

namespace vaultrain::cli {
namespace {

using Json = nlohmann::ordered_json;

// ---- memory

// The shares that a vault controller has to reach.
constexpr double kLeastOfPins = 0.95;
constexpr double kLeastOfRandomBound = 0.90;

struct MemoryOptions {
  JsonOptions json;
  VariantOptions variant;
  uint64_t accesses = 16384;  // of a case
};

struct Case {
  std::string name;
  VaultTraffic traffic;
  std::optional<double> least_of_pins;
  std::optional<double> least_of_bound;
  std::optional<double> bound;  // cycles of an access, without refresh
};

std::vector<Case> CasesOf(const DramTiming& timing, const DramGeometry& geometry, uint64_t count,
                          uint64_t scale) {
  const uint64_t span = geometry.Bytes() / static_cast<uint64_t>(geometry.AccessBytes());
  const VaultRows rows{64, 64};
  const uint64_t lag = 256;
  const uint64_t slack = 128 * scale;
  return {
      {"sequential_reads", SequentialReads(count), kLeastOfPins, {}, {}},
      {"sequential_writes", SequentialWrites(count), kLeastOfPins, {}, {}},
      {"reads_2_writes_1",
       OptimiserStep(count * 2 / 3, rows, span / 2, lag, slack),
       kLeastOfPins,
       {},
       {}},
      {"update_in_place", UpdateInPlace(count / 2, rows, lag, slack), {}, {}, {}},
      {"random_reads",
       RandomReads(count, span),
       {},
       kLeastOfRandomBound,
       RandomAccessCycles(timing, geometry, 0)},
      {"random_updates",
       RandomUpdates(count, span),
       {},
       {},
       RandomAccessCycles(timing, geometry, 0.5)},
  };
}

// The controller of the variant on a set whose accesses may be shorter than its own: as many more
// of them, up to what a variant may have.
std::vector<std::pair<std::string, int>> ControllerOf(const Variant::Dram& dram, int scale) {
  const int write_queue = std::min(128, dram.write_queue * scale);
  return {{"ReadQueue", std::min(64, dram.read_queue * scale)},
          {"ReadWindow", std::min(32, dram.read_window * scale)},
          {"WriteQueue", write_queue},
          {"WriteWindow", std::min(32, dram.write_window * scale)},
          {"HighWater", write_queue - 8 * scale},
          {"LowWater", 4 * scale},
          {"ReadBatch", 32 * scale},
          {"WriteBatch", 32 * scale}};
}

int RunMemory(const MemoryOptions& options) {
  const Variant variant = options.variant.Load();
  const std::filesystem::path folder = Resources().constraints / "dram";
  Json list = Json::array();
  size_t failures = 0;
  fmt::print("{:<36} {:>10} {:>8} {:>8} {:>8} {}\n", "case", "cycles", "of pins", "bound",
             "of bound", "passed");
  for (const std::string& name : ListVariants({folder})) {
    const DramSet set = ReadDramSet((folder / (name + ".toml")).string());
    const DramTiming timing = CyclesAt(set, variant.clock_ps);
    DramGeometry geometry = GeometryOf(set, isa::kAccessBytes * 8 / set.burst_beats);
    geometry.bank_rotate = variant.dram.bank_rotate;
    geometry.bank_low = variant.dram.map == "row_col_bank" ? 1 : 0;
    geometry.ecc = variant.dram.ecc == "on" ? 1 : 0;
    const int access = AccessCycles(timing, geometry);
    const int scale = std::max(1, 8 / access);
    for (const bool closed : {false, true}) {
      auto parameters = ControllerOf(variant.dram, scale);
      parameters.emplace_back("ClosePage", closed);
      const auto model = MakeVaultModel(timing, geometry, parameters, Resources());
      for (const Case& one :
           CasesOf(timing, geometry, options.accesses, static_cast<uint64_t>(scale))) {
        const VaultReport report = model->Run(one.traffic);
        const double cycles = static_cast<double>(report.cycles) * RefreshShare(timing) /
                              static_cast<double>(one.traffic.Accesses());
        const double of_pins = access / cycles;
        const double of_bound = one.bound.value_or(0) / cycles;
        const bool passed = of_pins >= one.least_of_pins.value_or(0) &&
                            (!one.least_of_bound || of_bound >= *one.least_of_bound);
        failures += passed ? 0 : 1;
        const std::string title =
            fmt::format("{}/{}/{}", name, closed ? "closed" : "open", one.name);
        fmt::print("{:<36} {:>10} {:>8.4f} {:>8} {:>8} {}\n", title, report.cycles, of_pins,
                   one.bound ? fmt::format("{:.2f}", *one.bound) : "",
                   one.bound ? fmt::format("{:.4f}", of_bound) : "", passed ? "yes" : "NO");
        std::fflush(stdout);
        std::vector<std::string> repeat = {"vaultrain", "bench", "memory", options.variant.variant};
        for (const std::string& text : options.variant.overrides)
          repeat.insert(repeat.end(), {"--set", text});
        repeat.insert(repeat.end(), {"--accesses", fmt::format("{}", options.accesses)});
        list.push_back({{"case", title},
                        {"passed", passed},
                        {"cycles", report.cycles},
                        {"macs", Json()},
                        {"utilisation", Json()},
                        {"repeat", ShellLine(repeat)},
                        {"timing", name},
                        {"page", closed ? "closed" : "open"},
                        {"accesses", one.traffic.Accesses()},
                        {"activates", report.activates},
                        {"share_of_pins", of_pins},
                        {"bound_cycles_per_access", one.bound ? Json(*one.bound) : Json()},
                        {"share_of_bound", one.bound ? Json(of_bound) : Json()},
                        {"longest_read", report.longest_read},
                        {"longest_write", report.longest_write}});
      }
    }
  }
  fmt::print(
      "of pins: of the accesses that the data pins carry in the time that refresh leaves.\n"
      "bound: cycles of an access of a random row, max(beats, tCCD, tRRD, tFAW / 4, B / banks); B "
      "is the time from ACT to ACT of a bank.\n"
      "{} of {} cases missed\n",
      failures, list.size());
  WriteJson(options.json, "bench",
            {{"variant", variant.name}, {"failures", failures}, {"rows", list}});
  return static_cast<int>(failures == 0 ? ExitStatus::kDone : ExitStatus::kCheckFailed);
}

// ---- mesh

struct MeshOptions {
  JsonOptions json;
  VariantOptions variant;
  uint32_t seed = 1;
};

std::string RepeatCommand(const MeshOptions& options) {
  std::vector<std::string> argv = {"vaultrain", "bench", "mesh", options.variant.variant};
  for (const std::string& set : options.variant.overrides) argv.insert(argv.end(), {"--set", set});
  argv.insert(argv.end(), {"--seed", fmt::format("{}", options.seed)});
  return ShellLine(argv);
}

int RunMesh(const MeshOptions& options) {
  const Variant variant = options.variant.Load();
  const Variant::Mesh& mesh = variant.mesh;
  const std::vector<MeshBenchRow> rows =
      BenchMesh(mesh.x, mesh.y, mesh.link_bits, options.seed, Resources());
  fmt::print("{:<12} {:<7} {:>8} {:>8} {:>18} {:>19} {:>12} {:>9}\n", "case", "passed", "cycles",
             "latency", "flits/node/cycle", "copies/node/cycle", "bytes/cycle", "of bound");
  bool passed = true;
  Json list = Json::array();
  for (const MeshBenchRow& row : rows) {
    passed = passed && row.passed;
    fmt::print("{:<12} {:<7} {:>8} {:>8.1f} {:>18.3f} {:>19.3f} {:>12.1f} {:>9}\n", row.name,
               row.passed ? "yes" : "NO", row.cycles, row.latency, row.flits, row.copies,
               row.bytes_per_cycle, row.of_bound > 0 ? fmt::format("{:.3f}", row.of_bound) : "");
    if (!row.passed) fmt::print("  {}\n  repeat: {}\n", row.message, RepeatCommand(options));
    list.push_back({{"case", row.name},
                    {"passed", row.passed},
                    {"cycles", row.cycles},
                    {"macs", nullptr},
                    {"utilisation", nullptr},
                    {"latency_cycles", row.latency},
                    {"flits_per_node_cycle", row.flits},
                    {"copies_per_node_cycle", row.copies},
                    {"bytes_per_cycle", row.bytes_per_cycle},
                    {"of_bisection_bound", row.of_bound > 0 ? Json(row.of_bound) : Json(nullptr)},
                    {"repeat", RepeatCommand(options)}});
  }
  WriteJson(options.json, "bench",
            {{"variant", variant.name},
             {"seed", options.seed},
             {"columns", mesh.x},
             {"rows_of_nodes", mesh.y},
             {"link_bits", mesh.link_bits},
             {"rows", list}});
  return passed ? 0 : 1;
}

// ---- gemm

struct GemmCase {
  GemmShape shape;
  double least;  // utilisation of 1 x 4 x 16 bf16 that the RTL has to reach
};

constexpr GemmCase kGemmCases[] = {
    {{192, 192, 192}, 0.99}, {{96, 96, 96}, 0.985}, {{64, 64, 64}, 0.93}, {{24, 32, 32}, 0.83},
    {{13, 17, 19}, 0.40},    {{12, 16, 16}, 0.50},  {{1, 64, 64}, 0.20},
};

struct GemmOptions {
  JsonOptions json;
  VariantOptions variant;
  std::vector<std::string> shapes;
  bool fp32_results = false;
  uint32_t seed = 1;
};

std::string ShapeText(const GemmShape& s) { return fmt::format("{}x{}x{}", s.m, s.n, s.k); }

GemmShape ParseShape(const std::string& text) {
  GemmShape shape;
  std::array<int64_t*, 3> sides = {&shape.m, &shape.n, &shape.k};
  const char* at = text.data();
  const char* end = at + text.size();
  for (size_t i = 0; i < sides.size(); ++i) {
    const auto read = std::from_chars(at, end, *sides[i]);
    const bool closed =
        i + 1 == sides.size() ? read.ptr == end : read.ptr != end && *read.ptr == 'x';
    if (read.ec != std::errc() || !closed || *sides[i] < 1 || *sides[i] > 65535) {
      RefuseInput("--shape {}: no shape; accepted: MxNxK, each 1 to 65535, as in 64x64x64", text);
    }
    at = read.ptr + 1;
  }
  return shape;
}

std::string RepeatCommand(const GemmOptions& options, const GemmShape& shape) {
  std::vector<std::string> argv = {"vaultrain", "bench", "gemm", options.variant.variant};
  for (const std::string& set : options.variant.overrides) argv.insert(argv.end(), {"--set", set});
  argv.insert(argv.end(), {"--shape", ShapeText(shape)});
  if (options.fp32_results) argv.emplace_back("--fp32");
  argv.insert(argv.end(), {"--seed", fmt::format("{}", options.seed)});
  return ShellLine(argv);
}

// What the RTL has to reach, if the variant is of the kind that the list is for.
std::optional<double> LeastOf(const Variant& variant, const GemmShape& shape, bool fp32_results) {
  const Variant::Array& array = variant.array;
  if (variant.operand_format != NumberFormat::kBf16 || fp32_results || array.rows != 1 ||
      array.cols != 4 || array.lanes != 16) {
    return std::nullopt;
  }
  for (const GemmCase& one : kGemmCases) {
    if (one.shape.m == shape.m && one.shape.n == shape.n && one.shape.k == shape.k)
      return one.least;
  }
  return std::nullopt;
}

int RunGemm(const GemmOptions& options) {
  const Variant variant = options.variant.Load();
  const VaultDram dram = LoadVaultDram(variant, Resources());
  const int64_t room = int64_t{variant.scratchpad.kib} * 1024;
  auto bytes_of = [&](const GemmShape& shape) {
    return GemmBytes(variant, PlanGemm(variant, shape), options.fp32_results);
  };
  std::vector<GemmShape> shapes;
  for (const std::string& text : options.shapes) {
    shapes.push_back(ParseShape(text));
    const int64_t bytes = bytes_of(shapes.back());
    if (bytes > room) {
      RefuseInput(
          "--shape {}: operands and results take {} bytes of the scratchpad; accepted: at most {} "
          "(scratchpad.kib)",
          text, bytes, room);
    }
  }
  if (shapes.empty()) {
    for (const GemmCase& one : kGemmCases) {
      if (bytes_of(one.shape) <= room)
        shapes.push_back(one.shape);
      else
        fmt::print("{} does not fit the scratchpad\n", ShapeText(one.shape));
    }
  }
  fmt::print("{:<14} {:>9} {:>10} {:>11} {:>6} {:>10} {:<9} {}\n", "case", "cycles", "MACs",
             "utilisation", "least", "estimate", "streamed", "passed");
  size_t failures = 0;
  Json list = Json::array();
  for (const GemmShape& shape : shapes) {
    const GemmRun run =
        MeasureGemm(variant, dram, shape, options.fp32_results, options.seed, Resources());
    const std::optional<double> least = LeastOf(variant, shape, options.fp32_results);
    const bool passed = run.passed && run.utilisation >= least.value_or(0);
    failures += passed ? 0 : 1;
    const GemmPlan& plan = run.plan;
    fmt::print("{:<14} {:>9} {:>10} {:>11.4f} {:>6} {:>10.0f} {:<9} {}\n", ShapeText(shape),
               run.cycles, run.macs, run.utilisation, least ? fmt::format("{:.3f}", *least) : "",
               plan.cycles, fmt::format("{} by {}", plan.swapped ? "B" : "A", plan.set_rows),
               passed ? "yes" : "NO");
    if (!run.message.empty()) fmt::print("  {}\n", run.message);
    if (!passed) fmt::print("  repeat: {}\n", RepeatCommand(options, shape));
    std::fflush(stdout);
    list.push_back({{"case", ShapeText(shape)},
                    {"passed", passed},
                    {"cycles", run.cycles},
                    {"macs", run.macs},
                    {"utilisation", run.utilisation},
                    {"repeat", RepeatCommand(options, shape)},
                    {"m", shape.m},
                    {"n", shape.n},
                    {"k", shape.k},
                    {"least_utilisation", least ? Json(*least) : Json()},
                    {"estimated_cycles", plan.cycles},
                    {"streamed", plan.swapped ? "B" : "A"},
                    {"rows_of_a_set", plan.set_rows},
                    {"message", run.message}});
  }
  fmt::print(
      "cycles: from the token that lets the first COMPUTE start, its operands being in the\n"
      "scratchpad, to the last result there. streamed: the operand whose rows pass the array, rows "
      "of a\nset; with B the result is the transpose of C.\n{} of {} cases missed\n",
      failures, list.size());
  WriteJson(options.json, "bench",
            {{"variant", variant.name},
             {"seed", options.seed},
             {"result_format", options.fp32_results ? "fp32" : FormatName(variant.operand_format)},
             {"macs_per_cycle", variant.MacsPerCycle()},
             {"failures", failures},
             {"rows", list}});
  return static_cast<int>(failures == 0 ? ExitStatus::kDone : ExitStatus::kCheckFailed);
}

const Command kBench(
    80, "bench", "Measure a part of a variant on its RTL",
    "  vaultrain bench memory nano --json memory.json\n"
    "  vaultrain bench mesh cube\n"
    "  vaultrain bench gemm nano --shape 48x48x48 --shape 1x128x64",
    [](CLI::App& app) -> std::function<int()> {
      app.require_subcommand(1);
      auto memory_options = std::make_shared<MemoryOptions>();
      CLI::App* memory =
          app.add_subcommand("memory", "Rates of a vault controller on every timing set");
      AddOptions(*memory, memory_options->variant);
      memory->add_option("--accesses", memory_options->accesses, "Accesses of 64 bytes in a case")
          ->check(CLI::Range(1000, 10000000))
          ->capture_default_str();
      AddOptions(*memory, memory_options->json);
      auto mesh_options = std::make_shared<MeshOptions>();
      CLI::App* mesh =
          app.add_subcommand("mesh", "Latency and rates of the mesh's traffic patterns");
      AddOptions(*mesh, mesh_options->variant);
      mesh->add_option("--seed", mesh_options->seed, "Seed of the traffic");
      AddOptions(*mesh, mesh_options->json);
      auto gemm_options = std::make_shared<GemmOptions>();
      CLI::App* gemm = app.add_subcommand(
          "gemm", "Utilisation of matrix products whose operands lie in the scratchpad");
      AddOptions(*gemm, gemm_options->variant);
      gemm->add_option("--shape", gemm_options->shapes,
                       "Rows of A, rows of B, depth of both (repeatable); default: a list of seven")
          ->type_name("MxNxK")
          ->expected(1)
          ->take_all();
      gemm->add_flag("--fp32", gemm_options->fp32_results, "Results in fp32");
      gemm->add_option("--seed", gemm_options->seed, "Seed of the operands");
      AddOptions(*gemm, gemm_options->json);
      return [=] {
        if (memory->parsed()) return RunMemory(*memory_options);
        return gemm->parsed() ? RunGemm(*gemm_options) : RunMesh(*mesh_options);
      };
    });

}  // namespace
}  // namespace vaultrain::cli
