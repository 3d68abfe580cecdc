// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "vaultrain/mapper.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>

#include "mapper/schedule.h"
#include "vaultrain/error.h"

namespace vaultrain {
namespace {

using isa::Aux;
using isa::Descriptor;
using isa::FieldId;
using isa::Opcode;

constexpr int64_t kAccess = isa::kAccessBytes;

int64_t CeilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }
int64_t RoundUp(int64_t a, int64_t b) { return CeilDiv(a, b) * b; }

// One operand of a matrix product as the PE array wants it, rows of K contiguous elements: a tensor
// as it lies in memory, or its transpose.
struct Operand2D {
  int tensor = 0;
  bool transposed = false;
};

// C[m][n] = post(sum over k of A[m][k] * B[n][k]).
struct Gemm {
  std::string layer;
  int tag = 0;
  int64_t m = 0, n = 0, k = 0;
  Operand2D a, b;
  int out = 0;            // tensor; with in_place also what is added to
  bool in_place = false;  // out += scale * C
  int bias = -1;          // tensor added to each row
  int mask = -1;          // tensor whose sign masks the result
  bool relu = false;
  bool scale = false;  // multiply by scalar kScalarStep
};

// How a product is cut: rows of A and rows of B in a tile, and which operand stays while the other
// streams.
struct Tiling {
  int64_t mt = 0, nt = 0;
  bool a_stays = true;
  bool streams_whole = false;  // the streaming operand is so small that all of it stays, too
  double cycles = std::numeric_limits<double>::infinity();
};

class Mapper {
 public:
  Mapper(const Variant& variant, const VaultDram& dram, const TrainingGraph& graph,
         bool keep_gradients)
      : v_(variant),
        keep_gradients_(keep_gradients),
        graph_(graph),
        word_(variant.WordBits() / 8),
        operand_(variant.OperandBits() / 8),
        word_elements_(variant.WordElements()),
        memory_bytes_(static_cast<int64_t>(dram.geometry.Bytes())),
        beat_(variant.dram.data_bits / 8) {}

  Program Map(const Recipe& recipe, const std::string& network);

 private:
  int64_t BytesOf(const ProgramTensor& t) const { return vaultrain::BytesOf(t.format); }
  bool Converts(const ProgramTensor& t) const {
    return t.format == ElementFormat::kFp32 && operand_ == 2;
  }
  int64_t KWords(int64_t k) const { return CeilDiv(k, word_elements_); }

  void PlaceTensors(const Recipe& recipe);
  int Allocate(std::string name, TensorRole role, ElementFormat format, int64_t rows, int64_t cols);
  std::vector<Descriptor> MapOps(bool train);
  bool TryMapOps(bool train, double budget, std::vector<Descriptor>& program);
  void AddGemm(Scheduler& scheduler, const Gemm& gemm, double budget);
  void AddSoftmax(Scheduler& scheduler, const TrainingOp& op, int tag);

  Tiling ChooseTiling(const Gemm& gemm, double budget) const;
  int64_t Granularity(const ProgramTensor& t) const { return kAccess / BytesOf(t); }
  // Words from one row to the next of an operand tile.
  int64_t OperandPitch(const Operand2D& operand, int64_t k) const;
  // A tensor so small that all of it may stay in the scratchpad from the operation that makes it to
  // those that take it.
  bool IsSmall(const ProgramTensor& t) const {
    return t.rows * OutPitch(t, t.cols) <= v_.scratchpad.kib * 1024 / 16;
  }
  int64_t OutPitch(const ProgramTensor& t, int64_t cols) const {
    return RoundUp(cols * BytesOf(t), std::max<int64_t>(kAccess, word_));
  }
  std::vector<Step> LoadOperand(const Operand2D& operand, int64_t row, int64_t rows,
                                int64_t padded_rows, int64_t k, int buffer,
                                const Scheduler* scheduler, int tag) const;
  Step LoadPlain(int tensor, int64_t row, int64_t rows, int64_t col, int64_t cols, int64_t pad_rows,
                 int64_t pitch, bool convert, int buffer, const Scheduler* scheduler,
                 int tag) const;
  Step StorePlain(int tensor, int64_t row, int64_t rows, int64_t col, int64_t cols, int64_t pitch,
                  int buffer, const Scheduler* scheduler, int tag) const;
  void CountBytes(const Descriptor& d);

  const Variant& v_;
  const bool keep_gradients_;
  const TrainingGraph& graph_;
  const int64_t word_;           // bytes of a scratchpad word
  const int64_t operand_;        // bytes of an operand
  const int64_t word_elements_;  // operands of a word
  const int64_t memory_bytes_;
  const int64_t beat_;
  Program program_;
  std::vector<int> tensor_of_;      // TrainingGraph tensor -> ProgramTensor
  std::map<int, int> gradient_of_;  // parameter -> its stored gradient
  int ones_ = -1;
  std::vector<std::string> data_flow_;  // per tag, filled while tiling
  // Small results that a later operation takes from the scratchpad, in the layout of a plain load:
  // tensor -> buffer.
  std::map<int, int> resident_;
};

// ---- memory

int Mapper::Allocate(std::string name, TensorRole role, ElementFormat format, int64_t rows,
                     int64_t cols) {
  ProgramTensor t;
  t.tensor = name;
  t.name = std::move(name);
  t.role = role;
  t.format = format;
  t.rows = rows;
  t.cols = cols;
  // Rows are whole accesses and, as operands, whole words.
  const int64_t bytes = vaultrain::BytesOf(format);
  t.pitch_bytes = RoundUp(cols, std::max<int64_t>(kAccess / 2, word_elements_)) * bytes;
  t.pitch_bytes = RoundUp(t.pitch_bytes, kAccess);
  t.address = program_.memory_bytes;
  program_.memory_bytes += static_cast<uint64_t>(t.pitch_bytes * rows);
  program_.tensors.push_back(std::move(t));
  return static_cast<int>(program_.tensors.size()) - 1;
}

void Mapper::PlaceTensors(const Recipe& recipe) {
  const ElementFormat operand = operand_ == 2 ? ElementFormat::kBf16 : ElementFormat::kFp32;
  tensor_of_.assign(graph_.tensors.size(), -1);
  // Parameters first and side by side.
  for (int pass = 0; pass < 2; ++pass) {
    for (size_t i = 0; i < graph_.tensors.size(); ++i) {
      const TrainingTensor& t = graph_.tensors[i];
      if (t.is_parameter() != (pass == 0)) continue;
      TensorRole role = TensorRole::kActivation;
      ElementFormat format = operand;
      switch (t.kind) {
        case TensorKind::kInput:
          role = TensorRole::kInput;
          break;
        case TensorKind::kActivation:
          break;
        case TensorKind::kGradient:
          role = TensorRole::kGradient;
          break;
        case TensorKind::kWeight:
        case TensorKind::kBias:
          role = TensorRole::kWeight;
          format = ElementFormat::kFp32;
          break;
        case TensorKind::kLabel:
          role = TensorRole::kLabel;
          format = ElementFormat::kU16;
          break;
        case TensorKind::kLoss:
          role = TensorRole::kLoss;
          format = ElementFormat::kFp32;
          break;
      }
      if (static_cast<int>(i) == graph_.logits) {
        role = TensorRole::kLogits;
        format = ElementFormat::kFp32;
      }
      // Labels and losses are read and written as one row.
      const bool row = role == TensorRole::kLabel || role == TensorRole::kLoss;
      const int64_t rows = row ? 1 : t.rows;
      const int64_t cols = row ? t.elements() : t.cols;
      tensor_of_[i] = Allocate(t.name, role, format, rows, cols);
    }
  }
  if (keep_gradients_) {
    for (size_t i = 0; i < graph_.tensors.size(); ++i) {
      const TrainingTensor& t = graph_.tensors[i];
      if (!t.is_parameter()) continue;
      // "fc1.W" -> "fc1.dW"
      std::string name = t.name;
      name.insert(name.rfind('.') + 1, "d");
      gradient_of_[tensor_of_[i]] =
          Allocate(name, TensorRole::kGradient, ElementFormat::kFp32, t.rows, t.cols);
    }
  }
  ones_ = Allocate("ones", TensorRole::kConstant, operand, 1, graph_.batch);

  const std::vector<std::vector<float>> start = StartingParameters(graph_, recipe);
  for (size_t i = 0; i < graph_.tensors.size(); ++i) {
    if (start[i].empty()) continue;
    const ProgramTensor& t = program_.tensors[tensor_of_[i]];
    ProgramSegment segment;
    segment.address = t.address;
    segment.bytes.resize(static_cast<size_t>(t.rows * t.pitch_bytes));
    for (int64_t r = 0; r < t.rows; ++r) {
      std::memcpy(segment.bytes.data() + r * t.pitch_bytes, start[i].data() + r * t.cols,
                  static_cast<size_t>(t.cols) * 4);
    }
    program_.image.push_back(std::move(segment));
  }
  const ProgramTensor& ones = program_.tensors[ones_];
  ProgramSegment segment;
  segment.address = ones.address;
  segment.bytes.resize(static_cast<size_t>(ones.pitch_bytes));
  const uint32_t one = std::bit_cast<uint32_t>(1.0f);
  for (int64_t c = 0; c < ones.cols; ++c) {
    for (int64_t b = 0; b < operand_; ++b) {
      segment.bytes[c * operand_ + b] = static_cast<uint8_t>(one >> (8 * (4 - operand_ + b)));
    }
  }
  program_.image.push_back(std::move(segment));
}

// ---- moves

Step Mapper::LoadPlain(int tensor, int64_t row, int64_t rows, int64_t col, int64_t cols,
                       int64_t pad_rows, int64_t pitch, bool convert, int buffer,
                       const Scheduler* scheduler, int tag) const {
  const ProgramTensor& t = program_.tensors[tensor];
  const int64_t bytes = BytesOf(t);
  Step step;
  step.engine = Engine::kLoad;
  step.buffers = {{buffer, true}};
  step.dram = {{{tensor, row, row + rows, col, col + cols}, false}};
  const uint64_t address = t.address + static_cast<uint64_t>(row * t.pitch_bytes + col * bytes);
  const int64_t dram_pitch = t.pitch_bytes;
  step.make = [=, this] {
    Descriptor d(Opcode::kLoad);
    d.Set(FieldId::kTag, tag);
    d.Set(FieldId::kDramAddr, static_cast<int64_t>(address));
    d.Set(FieldId::kConvert, convert);
    d.Set(FieldId::kRows, rows);
    d.Set(FieldId::kRowAccesses, CeilDiv(cols * bytes, kAccess));
    d.Set(FieldId::kDramPitch, dram_pitch);
    d.Set(FieldId::kSpadAddr, scheduler->AddressOf(buffer));
    d.Set(FieldId::kSpadPitch, pitch);
    d.Set(FieldId::kPadRows, pad_rows);
    return d;
  };
  return step;
}

Step Mapper::StorePlain(int tensor, int64_t row, int64_t rows, int64_t col, int64_t cols,
                        int64_t pitch, int buffer, const Scheduler* scheduler, int tag) const {
  const ProgramTensor& t = program_.tensors[tensor];
  const int64_t bytes = BytesOf(t);
  Step step;
  step.engine = Engine::kStore;
  step.buffers = {{buffer, false}};
  step.dram = {{{tensor, row, row + rows, col, col + cols}, true}};
  const uint64_t address = t.address + static_cast<uint64_t>(row * t.pitch_bytes + col * bytes);
  const int64_t dram_pitch = t.pitch_bytes;
  step.make = [=] {
    Descriptor d(Opcode::kStore);
    d.Set(FieldId::kTag, tag);
    d.Set(FieldId::kDramAddr, static_cast<int64_t>(address));
    d.Set(FieldId::kRows, rows);
    d.Set(FieldId::kRowAccesses, CeilDiv(cols * bytes, kAccess));
    d.Set(FieldId::kDramPitch, dram_pitch);
    d.Set(FieldId::kSpadAddr, scheduler->AddressOf(buffer));
    d.Set(FieldId::kSpadPitch, pitch);
    return d;
  };
  return step;
}

int64_t Mapper::OperandPitch(const Operand2D& operand, int64_t k) const {
  if (operand.transposed) return KWords(k) * word_;
  const ProgramTensor& t = program_.tensors[operand.tensor];
  const int64_t source = RoundUp(k * BytesOf(t), kAccess);
  return RoundUp(Converts(t) ? source / 2 : source, word_);
}

// Rows [row, row + rows) of the operand, followed by zero rows up to padded_rows.
std::vector<Step> Mapper::LoadOperand(const Operand2D& operand, int64_t row, int64_t rows,
                                      int64_t padded_rows, int64_t k, int buffer,
                                      const Scheduler* scheduler, int tag) const {
  const ProgramTensor& t = program_.tensors[operand.tensor];
  const int64_t pitch = OperandPitch(operand, k);
  if (!operand.transposed) {
    return {LoadPlain(operand.tensor, row, rows, 0, k, padded_rows - rows, pitch, Converts(t),
                      buffer, scheduler, tag)};
  }
  // Columns of memory become rows; the zeros behind the last column in memory are the padding.
  const int64_t bytes = BytesOf(t);
  const bool convert = Converts(t);
  const int64_t widest = isa::kTurnBeats * beat_ / operand_;
  std::vector<Step> steps;
  for (int64_t c = 0; c < padded_rows; c += widest) {
    const int64_t count = std::min(widest, padded_rows - c);
    Step step;
    step.engine = Engine::kLoad;
    step.buffers = {{buffer, true}};
    step.dram = {{{operand.tensor, 0, k, row + c, row + c + count}, false}};
    const uint64_t address = t.address + static_cast<uint64_t>((row + c) * bytes);
    const int64_t dram_pitch = t.pitch_bytes;
    step.make = [=, this] {
      Descriptor d(Opcode::kLoad);
      d.Set(FieldId::kTag, tag);
      d.Set(FieldId::kDramAddr, static_cast<int64_t>(address));
      d.Set(FieldId::kConvert, convert);
      d.Set(FieldId::kTranspose, 1);
      d.Set(FieldId::kRows, k);
      d.Set(FieldId::kRowAccesses, CeilDiv(count * bytes, kAccess));
      d.Set(FieldId::kDramPitch, dram_pitch);
      d.Set(FieldId::kSpadAddr, scheduler->AddressOf(buffer) + c * pitch);
      d.Set(FieldId::kSpadPitch, pitch);
      d.Set(FieldId::kPadRows, KWords(k) * word_elements_ - k);
      d.Set(FieldId::kCols, count);
      return d;
    };
    steps.push_back(std::move(step));
  }
  return steps;
}

// ---- tiling

// The cheapest cut by a small model: memory and array work at the same time, memory at 92 % of its
// pins; the array waits for the first tile's loads, and the last store waits for the array.
Tiling Mapper::ChooseTiling(const Gemm& g, double budget) const {
  const ProgramTensor& out = program_.tensors[g.out];
  const int64_t cols = v_.array.cols;
  const int64_t capacity = static_cast<int64_t>(budget * v_.scratchpad.kib * 1024);
  const int64_t a_pitch = OperandPitch(g.a, g.k);
  const int64_t b_pitch = OperandPitch(g.b, g.k);
  const double beats = 1.0 / (0.92 * static_cast<double>(beat_));

  // Chunk sizes that keep rows of memory on access boundaries.
  auto sizes = [](int64_t whole, int64_t step, int64_t most) {
    std::vector<int64_t> all;
    for (int64_t s = step; s < std::min(whole, most + 1); s += step) all.push_back(s);
    if (whole <= most) all.push_back(whole);
    return all;
  };
  // An operand of up to an eighth of the scratchpad is loaded once for all tiles.
  const int64_t small = v_.scratchpad.kib * 1024 / 8;
  const bool a_small = g.m * a_pitch <= small;
  const bool b_small = RoundUp(g.n, cols) * b_pitch <= small;
  auto m_step = [&](bool a_stays) {
    const bool whole = !a_stays && a_small;
    return g.a.transposed && !whole ? Granularity(program_.tensors[g.a.tensor]) : 1;
  };
  // Tiles start on accesses wherever they are loaded or stored for themselves.
  const bool whole_out = !g.in_place && IsSmall(out);
  auto n_step = [&](bool a_stays) {
    int64_t step = cols;
    if (g.b.transposed && !(a_stays && b_small)) {
      step = std::max(step, Granularity(program_.tensors[g.b.tensor]));
    }
    if (g.mask >= 0) step = std::max(step, Granularity(program_.tensors[g.mask]));
    if (g.in_place || !(a_stays || whole_out))
      step = std::max({step, Granularity(out), kAccess / 4});
    return step;
  };

  Tiling best;
  for (bool a_stays : {true, false}) {
    for (int64_t mt :
         sizes(g.m, std::max<int64_t>(m_step(a_stays), g.m > 64 ? 8 : 1), v_.AccHalfDepth())) {
      for (int64_t nt : sizes(g.n, n_step(a_stays), g.n)) {
        const int64_t a_bytes = mt * a_pitch;
        const int64_t b_bytes = RoundUp(nt, cols) * b_pitch;
        // Results of all of N, or all results, gather in one buffer.
        const bool whole_rows = whole_out || (a_stays && !g.in_place);
        const int64_t out_width = whole_rows ? g.n : nt;
        const int64_t out_bytes = (whole_out ? g.m : mt) * OutPitch(out, out_width);
        const int64_t bias_bytes = g.bias >= 0 ? RoundUp(out_width * 4, kAccess) : 0;
        const int64_t mask_bytes = g.mask >= 0 ? mt * OutPitch(program_.tensors[g.mask], nt) : 0;
        const bool streams_whole = a_stays ? b_small : a_small;
        const int64_t streaming = a_stays ? b_bytes : a_bytes;
        const int64_t whole_bytes = a_stays ? RoundUp(g.n, cols) * b_pitch : g.m * a_pitch;
        const int64_t stays = (a_stays ? a_bytes : b_bytes) +
                              (whole_rows ? out_bytes + bias_bytes : 0) +
                              (streams_whole ? whole_bytes : 0);
        const int64_t streams = (streams_whole ? 0 : streaming) + mask_bytes +
                                (whole_rows ? 0 : out_bytes + bias_bytes);
        const int64_t m_tiles = CeilDiv(g.m, mt);
        const int64_t n_tiles = CeilDiv(g.n, nt);
        const int64_t tiles = m_tiles * n_tiles;
        const int64_t held = stays + streams * std::min<int64_t>(tiles, 3);
        if (held > capacity) continue;
        // Bytes in memory: fp32 sources are twice as long as the operands they become.
        auto source = [&](const Operand2D& o, int64_t bytes) {
          return Converts(program_.tensors[o.tensor]) ? 2 * bytes : bytes;
        };
        const int64_t repeats = streams_whole ? 1 : a_stays ? m_tiles : n_tiles;
        const double a_moves =
            static_cast<double>(source(g.a, g.m * a_pitch) * (a_stays ? 1 : repeats));
        const double b_moves =
            static_cast<double>(source(g.b, g.n * b_pitch) * (a_stays ? repeats : 1));
        const double out_moves =
            static_cast<double>(g.m * OutPitch(out, g.n)) * (g.in_place ? 2 : 1);
        // A tile of B is loaded in Cols cycles and a little, while the last one is streamed
        // against.
        const double tile_compute =
            static_cast<double>(KWords(g.k) * CeilDiv(nt, cols) * std::max<int64_t>(mt, cols + 2)) +
            60;
        const double compute = tile_compute * static_cast<double>(tiles);
        const double descriptors = static_cast<double>(tiles * 5 * kAccess);
        // A row of a tile that is shorter than a row of memory opens pages for less.
        const double row_bytes = static_cast<double>(nt * BytesOf(out));
        const double scatter = n_tiles > 1 && g.in_place ? 1.0 + 64.0 / row_bytes : 1.0;
        const double memory = (a_moves + b_moves + out_moves * scatter + descriptors) * beats;
        const double first_loads =
            static_cast<double>(stays + streams - (g.in_place ? 0 : out_bytes)) * beats;
        const double last_store = static_cast<double>(out_bytes) * beats;
        const double cycles =
            std::max(memory - last_store + tile_compute, first_loads + compute) + last_store;
        if (cycles < best.cycles) best = {mt, nt, a_stays, streams_whole, cycles};
      }
    }
  }
  return best;
}

// ---- operations

void Mapper::AddGemm(Scheduler& scheduler, const Gemm& g, double budget) {
  const Tiling tiling = ChooseTiling(g, budget);
  if (tiling.mt == 0) {
    RefuseInput(
        "{}: layer {} needs more than the scratchpad of {} KiB: its smallest tiles hold {} values "
        "of K each; rule: "
        "operands of one tile fit scratchpad.kib",
        graph_.file, g.layer, v_.scratchpad.kib, g.k);
  }
  if (data_flow_[g.tag].empty()) {
    data_flow_[g.tag] =
        fmt::format("{} stationary in the array, tiles of {} x {}, {} stays in the scratchpad",
                    program_.tensors[g.b.tensor].name, tiling.mt, tiling.nt,
                    program_.tensors[(tiling.a_stays ? g.a : g.b).tensor].name);
  }
  const ProgramTensor& out = program_.tensors[g.out];
  const int64_t cols = v_.array.cols;
  const int64_t a_pitch = OperandPitch(g.a, g.k);
  const int64_t b_pitch = OperandPitch(g.b, g.k);
  const int64_t k_words = KWords(g.k);
  const bool out_fp32 = out.format == ElementFormat::kFp32 && operand_ == 2;
  const int64_t out_slot = cols * BytesOf(out);
  const Scheduler* s = &scheduler;

  struct Chunk {
    int64_t begin, count;
  };
  auto chunks = [](int64_t whole, int64_t size) {
    std::vector<Chunk> all;
    for (int64_t at = 0; at < whole; at += size) all.push_back({at, std::min(size, whole - at)});
    return all;
  };
  const std::vector<Chunk> m_chunks = chunks(g.m, tiling.mt);
  const std::vector<Chunk> n_chunks = chunks(g.n, tiling.nt);
  const std::vector<Chunk>& outer = tiling.a_stays ? m_chunks : n_chunks;
  const std::vector<Chunk>& inner = tiling.a_stays ? n_chunks : m_chunks;

  int whole = -1;  // buffer of a streaming operand that stays whole
  auto kept = [&](int tensor) {
    const auto found = resident_.find(tensor);
    return found == resident_.end() ? -1 : found->second;
  };
  const int kept_a = g.a.transposed ? -1 : kept(g.a.tensor);
  const int kept_mask = kept(g.mask);
  const bool whole_out = !g.in_place && IsSmall(out);
  int rows_out = -1;
  int whole_bias = -1;
  for (const Chunk& o : outer) {
    // What the tiles of one outer chunk share.
    int stays = -1;
    if (!whole_out) {
      rows_out = -1;
      whole_bias = -1;
    }
    for (const Chunk& i : inner) {
      const Chunk& mc = tiling.a_stays ? o : i;
      const Chunk& nc = tiling.a_stays ? i : o;
      const int64_t n_padded = RoundUp(nc.count, cols);
      const int64_t n_tiles = n_padded / cols;
      const bool row_end = nc.begin + nc.count == g.n;
      const bool whole_rows = whole_out || (tiling.a_stays && !g.in_place);
      const bool many = inner.size() > 1 || outer.size() > 1;
      Task task;
      auto operand = [&](bool is_a) {
        const Operand2D& source = is_a ? g.a : g.b;
        const Chunk& chunk = is_a ? mc : nc;
        const int64_t padded = is_a ? chunk.count : n_padded;
        const bool is_staying = is_a == tiling.a_stays;
        if (is_staying && stays >= 0) return stays;
        if (is_a && kept_a >= 0) return kept_a;
        if (!is_staying && tiling.streams_whole) {
          if (whole < 0) {
            const int64_t all = is_a ? g.m : g.n;
            const int64_t all_padded = is_a ? g.m : RoundUp(g.n, cols);
            whole = scheduler.AddBuffer(
                static_cast<uint32_t>(all_padded * (is_a ? a_pitch : b_pitch)), true);
            for (Step& step : LoadOperand(source, 0, all, all_padded, g.k, whole, s, g.tag)) {
              task.loads.push_back(std::move(step));
            }
          }
          return whole;
        }
        const int buffer = scheduler.AddBuffer(
            static_cast<uint32_t>(padded * (is_a ? a_pitch : b_pitch)), is_staying && many);
        for (Step& step :
             LoadOperand(source, chunk.begin, chunk.count, padded, g.k, buffer, s, g.tag)) {
          task.loads.push_back(std::move(step));
        }
        if (is_staying) stays = buffer;
        return buffer;
      };
      const int a = operand(true);
      const int b = operand(false);
      const int64_t a_offset = a == whole || a == kept_a ? mc.begin * a_pitch : 0;
      const int64_t b_offset = b == whole ? nc.begin * b_pitch : 0;

      // Results: small tensors, and whole rows, gather in one buffer, stored with the last tile;
      // else each tile has its own.
      const Chunk out_cols = whole_rows ? Chunk{0, g.n} : nc;
      const int64_t out_pitch = OutPitch(out, out_cols.count);
      const Chunk out_rows = whole_out ? Chunk{0, g.m} : mc;
      const int64_t out_offset =
          (mc.begin - out_rows.begin) * out_pitch + (nc.begin - out_cols.begin) * BytesOf(out);
      if (!whole_rows || rows_out < 0) {
        rows_out = scheduler.AddBuffer(static_cast<uint32_t>(out_rows.count * out_pitch),
                                       whole_rows && many);
        if (whole_out) resident_[g.out] = rows_out;
      }
      const int c = rows_out;

      int aux = -1;
      int64_t aux_row = 0;     // bytes from row to row
      int64_t aux_slot = 0;    // bytes of the values of all columns
      int64_t aux_offset = 0;  // bytes of the first value
      Aux aux_kind = Aux::kNone;
      if (g.in_place) {
        aux = c;
        aux_row = out_pitch;
        aux_slot = cols * 4;
        aux_kind = Aux::kAdd;
        task.loads.push_back(LoadPlain(g.out, mc.begin, mc.count, nc.begin, nc.count, 0, out_pitch,
                                       false, c, s, g.tag));
      } else if (g.bias >= 0) {
        if (!whole_rows || whole_bias < 0) {
          const int64_t pitch = RoundUp(RoundUp(out_cols.count * 4, kAccess), word_);
          whole_bias = scheduler.AddBuffer(static_cast<uint32_t>(pitch), whole_rows && many);
          task.loads.push_back(LoadPlain(g.bias, 0, 1, out_cols.begin, out_cols.count, 0, pitch,
                                         false, whole_bias, s, g.tag));
        }
        aux = whole_bias;
        aux_slot = cols * 4;
        aux_offset = (nc.begin - out_cols.begin) * 4;
        aux_kind = Aux::kAdd;
      } else if (g.mask >= 0) {
        const ProgramTensor& mask = program_.tensors[g.mask];
        aux_slot = cols * operand_;
        aux_kind = Aux::kMask;
        if (kept_mask >= 0) {
          aux = kept_mask;
          aux_row = OutPitch(mask, mask.cols);
          aux_offset = mc.begin * aux_row + nc.begin * operand_;
        } else {
          aux_row = OutPitch(mask, nc.count);
          aux = scheduler.AddBuffer(static_cast<uint32_t>(mc.count * aux_row), false);
          task.loads.push_back(LoadPlain(g.mask, mc.begin, mc.count, nc.begin, nc.count, 0, aux_row,
                                         false, aux, s, g.tag));
        }
      }

      Step compute;
      compute.engine = Engine::kCompute;
      compute.buffers = {{a, false}, {b, false}};
      const int tag = g.tag;
      const int64_t word = word_;
      const int64_t m_count = mc.count;
      compute.make = [=] {
        Descriptor d(Opcode::kCompute);
        d.Set(FieldId::kTag, tag);
        d.Set(FieldId::kFirst, 1);
        d.Set(FieldId::kLast, 1);
        d.Set(FieldId::kBLevel, 1);
        d.Set(FieldId::kStoreLevel, 2);
        const std::array<int64_t, isa::kLoops> bounds = {m_count, k_words, n_tiles, 1, 1, 1};
        const auto a_inc = isa::Increments(bounds, {a_pitch / word, 1, 0, 0, 0, 0});
        auto b_inc = isa::Increments({1, k_words, n_tiles, 1, 1, 1},
                                     {0, 1, cols * (b_pitch / word), 0, 0, 0});
        for (int l = 0; l < isa::kLoops; ++l) {
          d.Set(FieldId::kBound, bounds[l], l);
          d.Set(FieldId::kAInc, bounds[l] > 1 ? a_inc[l] : 0, l);
          d.Set(FieldId::kBInc, bounds[l] > 1 ? b_inc[l] : 0, l);
        }
        d.Set(FieldId::kABase, (s->AddressOf(a) + a_offset) / word);
        d.Set(FieldId::kBBase, (s->AddressOf(b) + b_offset) / word);
        d.Set(FieldId::kBColInc, b_pitch / word);
        return d;
      };
      task.work.push_back(std::move(compute));

      Step vector;
      vector.engine = Engine::kVector;
      vector.buffers = {{c, true}};
      if (aux >= 0) vector.buffers.push_back({aux, false});
      const bool relu = g.relu;
      const bool scale = g.scale;
      vector.make = [=] {
        Descriptor d(Opcode::kVector);
        d.Set(FieldId::kTag, tag);
        d.Set(FieldId::kPopLevel, 1);
        d.Set(FieldId::kUseScale, scale);
        d.Set(FieldId::kScalar, scale ? kScalarStep : 0);
        d.Set(FieldId::kAuxKind, static_cast<int64_t>(aux_kind));
        d.Set(FieldId::kRelu, relu);
        d.Set(FieldId::kOutFp32, out_fp32);
        d.Set(FieldId::kTailLoop, row_end ? 1 : isa::kNoTail);
        const std::array<int64_t, isa::kLoops> bounds = {m_count, n_tiles, 1, 1, 1, 1};
        const auto out_inc = isa::Increments(bounds, {out_pitch, out_slot, 0, 0, 0, 0});
        const auto aux_inc = isa::Increments(bounds, {aux_row, aux_slot, 0, 0, 0, 0});
        for (int l = 0; l < isa::kLoops; ++l) {
          d.Set(FieldId::kVBound, bounds[l], l);
          d.Set(FieldId::kOutInc, bounds[l] > 1 ? out_inc[l] : 0, l);
          d.Set(FieldId::kAuxInc, bounds[l] > 1 && aux >= 0 ? aux_inc[l] : 0, l);
        }
        d.Set(FieldId::kOutBase, s->AddressOf(c) + out_offset);
        d.Set(FieldId::kAuxBase, aux >= 0 ? s->AddressOf(aux) + aux_offset : 0);
        return d;
      };
      task.work.push_back(std::move(vector));
      const bool last_tile = &o == &outer.back() && &i == &inner.back();
      if (whole_out ? last_tile : (!whole_rows || row_end)) {
        task.stores.push_back(StorePlain(g.out, out_rows.begin, out_rows.count, out_cols.begin,
                                         out_cols.count, out_pitch, c, s, g.tag));
      }
      scheduler.AddTask(std::move(task));
    }
  }
}

void Mapper::AddSoftmax(Scheduler& scheduler, const TrainingOp& op, int tag) {
  const int logits = tensor_of_[op.Tensor(Role::kLogits)];
  const int labels = tensor_of_[op.Tensor(Role::kLabel)];
  const int loss = tensor_of_[op.Tensor(Role::kLoss)];
  const int gradient = tensor_of_[op.Tensor(Role::kDz)];
  const int64_t classes = program_.tensors[logits].cols;
  const Scheduler* s = &scheduler;
  const int64_t logits_pitch = OutPitch(program_.tensors[logits], classes);
  const int64_t gradient_pitch = OutPitch(program_.tensors[gradient], classes);
  // Chunks of samples that fit, in whole accesses of labels.
  const int64_t sample_bytes = logits_pitch + gradient_pitch + 8;
  const int64_t step = kAccess / 2;
  const int64_t most =
      std::max<int64_t>(step, v_.scratchpad.kib * 1024 / 4 / sample_bytes / step * step);
  for (int64_t row = 0; row < graph_.batch; row += most) {
    const int64_t rows = std::min(most, graph_.batch - row);
    Task task;
    const auto kept = resident_.find(logits);
    const bool is_kept = kept != resident_.end();
    const int in = is_kept ? kept->second
                           : scheduler.AddBuffer(static_cast<uint32_t>(rows * logits_pitch), false);
    const int64_t in_offset = is_kept ? row * logits_pitch : 0;
    const int label_pitch = static_cast<int>(RoundUp(RoundUp(rows * 2, kAccess), word_));
    const int label = scheduler.AddBuffer(static_cast<uint32_t>(label_pitch), false);
    const int grad = scheduler.AddBuffer(static_cast<uint32_t>(rows * gradient_pitch), false);
    const int64_t loss_pitch = RoundUp(RoundUp(rows * 4, kAccess), word_);
    const int losses = scheduler.AddBuffer(static_cast<uint32_t>(loss_pitch), false);
    if (!is_kept) {
      task.loads.push_back(
          LoadPlain(logits, row, rows, 0, classes, 0, logits_pitch, false, in, s, tag));
    }
    if (rows == graph_.batch && IsSmall(program_.tensors[gradient])) resident_[gradient] = grad;
    task.loads.push_back(LoadPlain(labels, 0, 1, row, rows, 0, label_pitch, false, label, s, tag));
    Step work;
    work.engine = Engine::kVector;
    work.buffers = {{in, false}, {label, false}, {grad, true}, {losses, true}};
    work.make = [=] {
      Descriptor d(Opcode::kSoftmax);
      d.Set(FieldId::kTag, tag);
      d.Set(FieldId::kSRows, rows);
      d.Set(FieldId::kClasses, classes);
      d.Set(FieldId::kLogitsAddr, s->AddressOf(in) + in_offset);
      d.Set(FieldId::kLogitsPitch, logits_pitch);
      d.Set(FieldId::kLabelsAddr, s->AddressOf(label));
      d.Set(FieldId::kGradAddr, s->AddressOf(grad));
      d.Set(FieldId::kGradPitch, gradient_pitch);
      d.Set(FieldId::kLossAddr, s->AddressOf(losses));
      d.Set(FieldId::kSScalar, kScalarOne);
      return d;
    };
    task.work.push_back(std::move(work));
    task.stores.push_back(
        StorePlain(gradient, row, rows, 0, classes, gradient_pitch, grad, s, tag));
    task.stores.push_back(StorePlain(loss, 0, 1, row, rows, loss_pitch, losses, s, tag));
    scheduler.AddTask(std::move(task));
  }
}

// Bits of DRAM traffic belong to the job that the descriptor is tagged with.
void Mapper::CountBytes(const Descriptor& d) {
  const auto opcode = static_cast<Opcode>(d.Get(FieldId::kOpcode));
  if (opcode != Opcode::kLoad && opcode != Opcode::kStore) return;
  program_.jobs[d.Get(FieldId::kTag)].dram_bytes +=
      static_cast<uint64_t>(d.Get(FieldId::kRows) * d.Get(FieldId::kRowAccesses) * kAccess);
}

bool Mapper::TryMapOps(bool train, double budget, std::vector<Descriptor>& program) {
  resident_.clear();
  Scheduler scheduler(static_cast<uint32_t>(v_.scratchpad.kib * 1024), static_cast<uint32_t>(word_),
                      v_.sequencer.queue);
  for (size_t i = 0; i < graph_.ops.size(); ++i) {
    const TrainingOp& op = graph_.ops[i];
    const bool inference = op.kind == TrainingOpKind::kLinearForward;
    if (!train && !inference) continue;
    const int tag = static_cast<int>(i);
    auto tensor = [&](Role role) {
      const int t = op.Tensor(role);
      return t < 0 ? -1 : tensor_of_[t];
    };
    Gemm g;
    g.layer = graph_.layers[op.layer].name;
    g.tag = tag;
    g.m = op.m;
    g.n = op.n;
    g.k = op.k;
    switch (op.kind) {
      case TrainingOpKind::kLinearForward:
        g.a = {tensor(Role::kX), false};
        g.b = {tensor(Role::kW), false};
        g.out = tensor(Role::kY);
        g.bias = tensor(Role::kB);
        g.relu = op.relu;
        AddGemm(scheduler, g, budget);
        break;
      case TrainingOpKind::kSoftmaxCrossEntropy:
        AddSoftmax(scheduler, op, tag);
        break;
      case TrainingOpKind::kLinearBackward:
        g.a = {tensor(Role::kDz), false};
        g.b = {tensor(Role::kW), true};
        g.out = tensor(Role::kDx);
        g.mask = op.mask ? tensor(Role::kX) : -1;
        AddGemm(scheduler, g, budget);
        break;
      case TrainingOpKind::kLinearUpdate: {
        // Rows of the weights are outputs: A is dZ transposed, B is X transposed.
        g.a = {tensor(Role::kDz), true};
        g.b = {tensor(Role::kX), true};
        g.out = tensor(Role::kW);
        g.m = program_.tensors[g.out].rows;
        g.n = program_.tensors[g.out].cols;
        g.k = graph_.batch;
        // Of a parameter: its gradient stored, if asked for, then the parameter updated with it.
        auto update = [&](Gemm gemm) {
          if (keep_gradients_) {
            Gemm gradient = gemm;
            gradient.out = gradient_of_.at(gemm.out);
            AddGemm(scheduler, gradient, budget);
          }
          gemm.in_place = true;
          gemm.scale = true;
          AddGemm(scheduler, gemm, budget);
        };
        update(g);
        if (tensor(Role::kB) >= 0) {
          Gemm bias = g;
          bias.a = {ones_, false};
          bias.b = {tensor(Role::kDz), true};
          bias.out = tensor(Role::kB);
          bias.m = 1;
          bias.n = program_.tensors[bias.out].cols;
          update(bias);
        }
        break;
      }
    }
  }
  auto steps = scheduler.Run();
  if (!steps) return false;
  program = std::move(*steps);
  program.emplace_back(Opcode::kEnd);
  return true;
}

std::vector<Descriptor> Mapper::MapOps(bool train) {
  std::vector<Descriptor> program;
  // What must stay cuts the room of what streams; smaller tiles then fit where larger ones did not.
  for (double budget = 1.0; budget > 0.2; budget *= 0.85) {
    data_flow_.assign(graph_.ops.size(), "");
    if (TryMapOps(train, budget, program)) return program;
  }
  RefuseInput(
      "{}: the scratchpad of {} KiB cannot hold the tiles of two operations at once; rule: "
      "scratchpad.kib",
      graph_.file, v_.scratchpad.kib);
}

Program Mapper::Map(const Recipe& recipe, const std::string& network) {
  if (graph_.classes > v_.vector.softmax_classes) {
    RefuseInput("{}: {} classes; variant {} has vector.softmax_classes = {}", graph_.file,
                graph_.classes, v_.name, v_.vector.softmax_classes);
  }
  if (graph_.ops.size() > isa::kTags) {
    RefuseInput("{}: {} operations; a program has at most {}", graph_.file, graph_.ops.size(),
                isa::kTags);
  }
  program_.variant_digest = VariantDigest(v_);
  program_.variant = v_.name;
  program_.network = network;
  program_.batch = static_cast<int>(graph_.batch);
  program_.classes = static_cast<int>(graph_.classes);
  program_.macs_needed = static_cast<uint64_t>(graph_.MacsNeeded());
  PlaceTensors(recipe);

  for (size_t i = 0; i < graph_.ops.size(); ++i) {
    const TrainingOp& op = graph_.ops[i];
    ProgramJob job;
    job.tag = static_cast<int>(i);
    job.layer =
        op.kind == TrainingOpKind::kSoftmaxCrossEntropy ? "loss" : graph_.layers[op.layer].name;
    job.phase = std::string(PhaseName(op.phase));
    job.macs = static_cast<uint64_t>(op.MacsNeeded());
    program_.jobs.push_back(std::move(job));
  }
  for (bool train : {false, true}) {
    ProgramStream stream;
    stream.name = train ? "train" : "infer";
    NodeProgram& node = stream.nodes.emplace_back();
    node.descriptors = MapOps(train);
    node.address = program_.memory_bytes;
    program_.memory_bytes += node.descriptors.size() * isa::kDescriptorBytes;
    program_.streams.push_back(std::move(stream));
  }
  for (const Descriptor& d : program_.streams.back().nodes[0].descriptors) CountBytes(d);
  for (size_t i = 0; i < program_.jobs.size(); ++i) {
    program_.jobs[i].data_flow =
        data_flow_[i].empty() ? "rows through the vector unit" : data_flow_[i];
  }
  if (program_.memory_bytes > static_cast<uint64_t>(memory_bytes_)) {
    RefuseInput(
        "{}: the network needs {} bytes of memory at batch {}; rule: they fit dram.mib, {} bytes "
        "in "
        "variant {}",
        graph_.file, program_.memory_bytes, graph_.batch, memory_bytes_, v_.name);
  }
  for (const ProgramStream& stream : program_.streams) {
    for (const NodeProgram& node : stream.nodes) {
      program_.image.push_back({node.address, DescriptorBytes(node)});
    }
  }

  // Bytes of the bound: inputs and labels once, parameters as the definition counts them;
  // activations stay on chip where the largest layer's fit.
  uint64_t bytes =
      static_cast<uint64_t>(graph_.batch * graph_.features * operand_ + graph_.batch * 2);
  for (const TrainingOp& op : graph_.ops) {
    if (op.kind == TrainingOpKind::kLinearUpdate) {
      const TrainingLayer& layer = graph_.layers[op.layer];
      const uint64_t parameters =
          static_cast<uint64_t>(layer.in * layer.out + (layer.bias ? layer.out : 0));
      // Narrow form read, master read and written, narrow form written; fp32 has no narrow form of
      // its own.
      bytes += parameters * 12;
    } else if (op.kind == TrainingOpKind::kLinearBackward) {
      const TrainingLayer& layer = graph_.layers[op.layer];
      bytes += static_cast<uint64_t>(layer.in * layer.out * operand_);
    }
  }
  program_.bound_bytes = bytes;
  return std::move(program_);
}

}  // namespace

Program MapNetwork(const Variant& variant, const VaultDram& dram, const TrainingGraph& graph,
                   const Recipe& recipe, const std::string& network, bool keep_gradients) {
  return Mapper(variant, dram, graph, keep_gradients).Map(recipe, network);
}

double PinAvailability(const VaultDram& dram) {
  return 1.0 - static_cast<double>(dram.timing.tRFC) / dram.timing.tREFI;
}

double UtilisationBound(const Program& program, const Variant& variant, const VaultDram& dram) {
  const double at_peak = static_cast<double>(program.macs_needed) / variant.MacsPerCycle();
  const double at_pins = static_cast<double>(program.bound_bytes) * 8 /
                         (dram.geometry.data_bits * PinAvailability(dram));
  return std::min(1.0, at_peak / at_pins);
}

}  // namespace vaultrain
