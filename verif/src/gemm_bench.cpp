// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "vaultrain/gemm_bench.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <span>
#include <vector>

#include "vaultrain/device.h"
#include "vaultrain/error.h"
#include "vaultrain/isa.h"
#include "vaultrain/random.h"
#include "vaultrain/tensors.h"

namespace vaultrain {
namespace {

using isa::Descriptor;
using isa::FieldId;
using isa::Opcode;
using Loops = std::array<int64_t, isa::kLoops>;

constexpr int kReadyTag = 1, kDoneTag = 2;
// Entries of the ELEMENTS that comes first: longer than all descriptors behind it take to be
// fetched and checked.
constexpr int64_t kHeadStart = 1024;
constexpr uint64_t kMaxCycles = 50'000'000;

int64_t RoundUp(int64_t a, int64_t b) { return (a + b - 1) / b * b; }

// Where everything lies: the same in the vault and in the scratchpad, in bytes.
struct Layout {
  int64_t word, operand, result;
  int64_t pitch;         // of an operand's row
  int64_t result_pitch;  // of a row of results
  int64_t streamed, stationary, results, spare, end;
};

Layout LayoutOf(const Variant& variant, const GemmPlan& plan, bool fp32_results) {
  Layout l{};
  l.word = variant.WordBits() / 8;
  l.operand = variant.OperandBits() / 8;
  l.result = fp32_results ? 4 : l.operand;
  l.pitch = plan.k_words * l.word;
  l.result_pitch = RoundUp(plan.tiles * variant.array.cols * l.result, l.word);
  // LOAD and STORE move whole accesses.
  const int64_t unit = std::max<int64_t>(l.word, isa::kAccessBytes);
  l.stationary = RoundUp(plan.rows * l.pitch, unit);
  l.results = l.stationary + RoundUp(plan.tiles * variant.array.cols * l.pitch, unit);
  l.spare = l.results + RoundUp(plan.rows * l.result_pitch, unit);
  l.end = l.spare + unit;
  return l;
}

void SetLoops(Descriptor& d, FieldId bound, FieldId increment, const Loops& bounds,
              const Loops& strides) {
  const Loops increments = isa::Increments(bounds, strides);
  for (int k = 0; k < isa::kLoops; ++k) {
    d.Set(bound, bounds[k], k);
    // Word addresses wrap at 16 bits.
    const bool words = increment == FieldId::kAInc || increment == FieldId::kBInc;
    const int64_t step = bounds[k] > 1 ? increments[k] : 0;
    d.Set(increment, words ? static_cast<int16_t>(step) : step, k);
  }
}

// One contiguous region between the vault and the scratchpad.
Descriptor Move(Opcode opcode, int64_t begin, int64_t end) {
  Descriptor d(opcode);
  d.Set(FieldId::kDramAddr, begin);
  d.Set(FieldId::kRows, 1);
  d.Set(FieldId::kRowAccesses, (end - begin) / isa::kAccessBytes);
  d.Set(FieldId::kSpadAddr, begin);
  return d;
}

// Sums of `sets` sets of `rows` rows each, from row `begin` on.
Descriptor Compute(const Variant& variant, const GemmPlan& plan, const Layout& l, int64_t begin,
                   int64_t sets, int64_t rows) {
  const int64_t cols = variant.array.cols;
  const int64_t row = plan.k_words;
  const Loops bounds = {rows, plan.k_words, plan.tiles, sets, 1, 1};
  Descriptor d(Opcode::kCompute);
  d.Set(FieldId::kFirst, 1);
  d.Set(FieldId::kLast, 1);
  d.Set(FieldId::kBLevel, 1);
  d.Set(FieldId::kStoreLevel, 2);
  SetLoops(d, FieldId::kBound, FieldId::kAInc, bounds, {row, 1, 0, rows * row, 0, 0});
  Loops b_bounds = bounds;
  b_bounds[0] = 1;
  SetLoops(d, FieldId::kBound, FieldId::kBInc, b_bounds, {0, 1, cols * row, 0, 0, 0});
  d.Set(FieldId::kBound, rows, 0);
  d.Set(FieldId::kABase, begin * row);
  d.Set(FieldId::kBBase, l.stationary / l.word);
  d.Set(FieldId::kBColInc, static_cast<int16_t>(row));
  return d;
}

// Their results.
Descriptor Drain(const Variant& variant, const GemmPlan& plan, const Layout& l, int64_t begin,
                 int64_t sets, int64_t rows) {
  const Loops bounds = {rows, plan.tiles, sets, 1, 1, 1};
  Descriptor d(Opcode::kVector);
  d.Set(FieldId::kTag, kDoneTag);
  d.Set(FieldId::kPopLevel, 1);
  d.Set(FieldId::kOutFp32, l.result != l.operand);
  d.Set(FieldId::kTailLoop, 1);
  SetLoops(d, FieldId::kVBound, FieldId::kOutInc, bounds,
           {l.result_pitch, variant.array.cols * l.result, rows * l.result_pitch, 0, 0, 0});
  d.Set(FieldId::kOutBase, l.results + begin * l.result_pitch);
  return d;
}

std::vector<Descriptor> ProgramOf(const Variant& variant, const GemmPlan& plan, const Layout& l) {
  std::vector<Descriptor> program = {
      Move(Opcode::kLoad, 0, l.stationary),
      Move(Opcode::kLoad, l.stationary, l.results),
      Descriptor(Opcode::kElements),
      Compute(variant, plan, l, 0, plan.sets, plan.set_rows),
      Drain(variant, plan, l, 0, plan.sets, plan.set_rows),
  };
  Descriptor& ready = program[2];
  ready.Set(FieldId::kTag, kReadyTag);
  ready.Set(FieldId::kOutFp32, l.operand == 2);
  ready.Set(FieldId::kTailLoop, isa::kNoTail);
  ready.Set(FieldId::kOutBase, l.spare);
  ready.Set(FieldId::kVBound, kHeadStart, 0);
  for (int k = 1; k < isa::kLoops; ++k) ready.Set(FieldId::kVBound, 1, k);
  Order(program[1], ready);
  Order(ready, program[3]);
  if (plan.last_rows > 0) {
    const int64_t begin = plan.sets * plan.set_rows;
    program.push_back(Compute(variant, plan, l, begin, 1, plan.last_rows));
    program.push_back(Drain(variant, plan, l, begin, 1, plan.last_rows));
  }
  program.push_back(Move(Opcode::kStore, l.results, l.spare));
  Order(program[program.size() - 2], program.back());
  program.emplace_back(Opcode::kEnd);
  return program;
}

ProgramTensor Matrix(const char* name, ElementFormat format, int64_t address, int64_t rows,
                     int64_t cols, int64_t pitch) {
  ProgramTensor t;
  t.name = t.tensor = name;
  t.format = format;
  t.address = static_cast<uint64_t>(address);
  t.rows = rows;
  t.cols = cols;
  t.pitch_bytes = pitch;
  return t;
}

// What the die holds differs from golden, or is not the product; empty if neither.
std::string Verdict(const ProgramTensor& out, std::span<const uint8_t> rtl,
                    std::span<const uint8_t> golden, std::span<const float> streamed,
                    std::span<const float> stationary, int64_t k, uint64_t seed) {
  const auto found = std::mismatch(rtl.begin(), rtl.end(), golden.begin());
  if (found.first != rtl.end()) {
    const int64_t at = found.first - rtl.begin();
    return fmt::format("{}[{}, {}]: byte {}: rtl {:#04x}, golden {:#04x}; seed {}", out.name,
                       at / out.pitch_bytes, at % out.pitch_bytes / BytesOf(out.format), at,
                       *found.first, *found.second, seed);
  }
  const std::vector<float> values = DecodeTensor(out, rtl);
  for (int64_t r = 0; r < out.rows; ++r) {
    for (int64_t c = 0; c < out.cols; ++c) {
      double sum = 0, magnitude = 0;
      for (int64_t i = 0; i < k; ++i) {
        const double product = double{streamed[r * k + i]} * double{stationary[c * k + i]};
        sum += product;
        magnitude += std::abs(product);
      }
      // The rounding of the result, and far more than the array drops at its alignment.
      const double value = values[r * out.cols + c];
      const double allowed = std::ldexp(std::abs(sum), -8) + std::ldexp(magnitude, -12);
      if (!(std::abs(value - sum) <= allowed)) {
        return fmt::format("{}[{}, {}]: {}, but the product is {}; seed {}", out.name, r, c, value,
                           sum, seed);
      }
    }
  }
  return "";
}

}  // namespace

int64_t GemmBytes(const Variant& variant, const GemmPlan& plan, bool fp32_results) {
  return LayoutOf(variant, plan, fp32_results).end;
}

GemmRun MeasureGemm(const Variant& variant, const VaultDram& dram, const GemmShape& shape,
                    bool fp32_results, uint64_t seed, const ResourcePaths& resources) {
  GemmRun run;
  run.plan = PlanGemm(variant, shape);
  const GemmPlan& plan = run.plan;
  const Layout l = LayoutOf(variant, plan, fp32_results);
  run.macs = static_cast<uint64_t>(shape.m * shape.n * shape.k);

  const ElementFormat narrow = ElementOf(variant.operand_format);
  const ElementFormat wide = l.result == 2 ? narrow : ElementFormat::kFp32;
  const ProgramTensor streamed =
      Matrix(plan.swapped ? "B" : "A", narrow, 0, plan.rows, shape.k, l.pitch);
  const ProgramTensor stationary =
      Matrix(plan.swapped ? "A" : "B", narrow, l.stationary, plan.outputs, shape.k, l.pitch);
  const ProgramTensor out =
      Matrix(plan.swapped ? "C^T" : "C", wide, l.results, plan.rows, plan.outputs, l.result_pitch);
  // Values as the operand format holds them; the rows that fill the last tile are zeros.
  Random random(seed, fmt::format("gemm/{}x{}x{}", shape.m, shape.n, shape.k));
  std::vector<uint8_t> operands(static_cast<size_t>(l.results));
  std::array<std::vector<float>, 2> values;
  for (const ProgramTensor* t : {&streamed, &stationary}) {
    std::vector<float>& drawn = values[t == &stationary];
    drawn.resize(static_cast<size_t>(t->rows * t->cols));
    for (float& value : drawn) value = static_cast<float>(random.Normal());
    const std::vector<uint8_t> bytes = EncodeTensor(*t, drawn);
    std::copy(bytes.begin(), bytes.end(),
              operands.begin() + static_cast<std::ptrdiff_t>(t->address));
    drawn = DecodeTensor(*t, bytes);
  }

  ProgramStream stream{"gemm", {NodeProgram{static_cast<uint64_t>(RoundUp(l.end, 4096)), {}}}};
  NodeProgram& node = stream.nodes[0];
  node.descriptors = ProgramOf(variant, plan, l);
  const std::vector<ProgramSegment> image = {{0, std::move(operands)},
                                             {node.address, DescriptorBytes(node)}};
  RtlOptions options;
  options.max_cycles = kMaxCycles;
  const std::unique_ptr<Device> rtl = MakeRtlDevice(variant, dram, resources, options);
  const std::unique_ptr<Device> golden = MakeGoldenDevice(variant, dram);
  std::array<std::vector<uint8_t>, 2> results;
  std::array<RunReport, 2> reports;
  try {
    for (size_t i = 0; i < 2; ++i) {
      Device& device = i == 0 ? *rtl : *golden;
      device.Load(image);
      reports[i] = device.Run(stream);
      results[i].resize(TensorBytes(out));
      device.Read(out.address, results[i]);
    }
  } catch (const Error& error) {
    if (error.status() != ExitStatus::kInternal) throw;
    run.message = error.what();
    return run;
  }
  for (size_t i = 0; i < 2; ++i) {
    if (reports[i].error == isa::ErrorCode::kNone) continue;
    run.message = fmt::format("{}: error code {} at descriptor {}", i == 0 ? "RTL" : "golden model",
                              static_cast<int>(reports[i].error), reports[i].error_index);
    return run;
  }
  run.cycles = reports[0].job_cycles[kDoneTag] - reports[0].job_cycles[kReadyTag];
  run.utilisation =
      static_cast<double>(run.macs) / (static_cast<double>(run.cycles) * variant.MacsPerCycle());
  run.message = Verdict(out, results[0], results[1], values[0], values[1], shape.k, seed);
  run.passed = run.message.empty();
  return run;
}

}  // namespace vaultrain
