// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "vaultrain/mapper.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <set>

#include "mapper/mapping.h"
#include "vaultrain/error.h"

namespace vaultrain {

using isa::Aux;
using isa::Descriptor;
using isa::FieldId;
using isa::Opcode;

// ---- memory

int Mapper::Allocate(std::string name, TensorRole role, ElementFormat format, int64_t rows,
                     int64_t cols) {
  ProgramTensor t;
  t.tensor = name;
  t.name = std::move(name);
  t.role = role;
  t.format = format;
  if (format == ElementFormat::kFx16) t.fraction_bits = v_.fraction_bits;
  t.rows = rows;
  t.cols = cols;
  // Rows are whole accesses and, as operands, whole words.
  const int64_t bytes = vaultrain::BytesOf(format);
  t.pitch_bytes = RoundUp(cols, std::max<int64_t>(kAccess / 2, word_elements_)) * bytes;
  t.pitch_bytes = RoundUp(t.pitch_bytes, kAccess);
  t.address = program_.memory_bytes;
  program_.memory_bytes += static_cast<uint64_t>(t.pitch_bytes * rows);
  local_.push_back(std::move(t));
  return static_cast<int>(local_.size()) - 1;
}

void Mapper::PlaceTensors() {
  layer_of_.assign(graph_.tensors.size(), -1);
  for (const TrainingOp& op : graph_.ops) {
    const bool updates = op.kind == TrainingOpKind::kLinearUpdate;
    if (!updates && op.kind != TrainingOpKind::kNormaliseForward) continue;
    for (const Operand& operand : op.operands) {
      const bool own = operand.role == Role::kW || operand.role == Role::kB ||
                       operand.role == Role::kMean || operand.role == Role::kVariance ||
                       (updates && operand.role == Role::kDz);
      if (own) layer_of_[operand.tensor] = op.layer;
    }
  }
  const ElementFormat operand = ElementOf(v_.operand_format);
  tensor_of_.assign(graph_.tensors.size(), -1);
  const bool images =
      HasOptimiserStep() || std::any_of(graph_.layers.begin(), graph_.layers.end(),
                                        [](const TrainingLayer& layer) { return !layer.IsFlat(); });
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
        case TensorKind::kIndex:
          break;
        case TensorKind::kGradient:
          role = TensorRole::kGradient;
          if (v_.HasWideGradients()) format = ElementFormat::kFp32;
          break;
        case TensorKind::kWeight:
        case TensorKind::kBias:
        case TensorKind::kScale:
        case TensorKind::kMean:
        case TensorKind::kVariance:
          role = TensorRole::kWeight;
          format = ElementFormat::kFp32;
          break;
        case TensorKind::kLabel:
          role = TensorRole::kLabel;
          format = IsRow(t) ? ElementFormat::kU16 : ElementFormat::kFp32;
          break;
        case TensorKind::kLoss:
          role = TensorRole::kLoss;
          format = ElementFormat::kFp32;
          break;
      }
      if (static_cast<int>(i) == graph_.logits) {
        role = TensorRole::kLogits;
        // The lanes store operands.
        if (graph_.layers.back().kind == LayerKind::kLinear) format = ElementFormat::kFp32;
      }
      const bool row = IsRow(t);
      int64_t rows = t.rows;
      int64_t cols = t.cols;
      if (row) {
        cols = SamplesOfFlatTurn();
        rows = local_batch_ / cols;
      } else if (!t.is_parameter()) {
        rows = local_batch_;
        cols = t.kind == TensorKind::kGradient && layer_of_[i] >= 0 ? plan_[layer_of_[i]].slice
                                                                    : t.cols;
      } else if (t.kind != TensorKind::kWeight) {
        if (plan_[layer_of_[i]].split) cols = plan_[layer_of_[i]].slice;
      } else {
        const LayerPlan& plan = plan_[layer_of_[i]];
        rows = std::min(plan.slice, CeilDiv(plan.Blocks(), grid_.batch.parts) * plan.block);
        const TrainingLayer layer = Mapped(layer_of_[i]);
        if (!layer.IsFlat()) cols = layer.window.taps() * TapWidth(layer);
      }
      const bool is_raster = images && !row && !t.is_parameter();
      const Raster raster = is_raster ? RasterFor(i) : Raster();
      if (is_raster) {
        rows = raster.Rows();
        cols = raster.image.channels;
      }
      tensor_of_[i] = Allocate(t.name, role, format, rows, cols);
      // Whole numbers, see IndexOf.
      if (t.kind == TensorKind::kIndex) local_[tensor_of_[i]].fraction_bits = 0;
      if (is_raster) raster_[tensor_of_[i]] = raster;
    }
  }
  if (keep_gradients_) {
    for (size_t i = 0; i < graph_.tensors.size(); ++i) {
      if (!graph_.tensors[i].is_trained()) continue;
      const ProgramTensor parameter = local_[tensor_of_[i]];
      // "fc1.W" -> "fc1.dW"
      std::string name = parameter.name;
      name.insert(name.rfind('.') + 1, "d");
      gradient_of_[tensor_of_[i]] = Allocate(name, TensorRole::kGradient, ElementFormat::kFp32,
                                             parameter.rows, parameter.cols);
    }
  }
  PlaceState();
  PlaceStatistics();
  PlaceBatchNorms();
  PlaceCells();
  PlaceBundles();
  ones_ =
      Allocate("ones", TensorRole::kConstant, operand, 1, std::max(local_batch_, word_elements_));
}

// What a node has of the tensors becomes parts of the whole tensors, vault by vault.
void Mapper::Expand() {
  const bool alone = grid_.places.size() == 1;
  // Rows and columns of the whole tensor that rows of the local one are.
  auto add = [&](const ProgramTensor& local, size_t node, int64_t local_row, int64_t rows,
                 int64_t row, int64_t cols, int64_t col) {
    ProgramTensor part = local;
    part.address += node * vault_bytes_ + static_cast<uint64_t>(local_row * local.pitch_bytes);
    part.rows = rows;
    part.cols = cols;
    part.row = row;
    part.col = col;
    if (!alone) {
      part.name =
          fmt::format("{}[{}:{},{}:{}]@{}", local.tensor, row, row + rows, col, col + cols, node);
    }
    program_.tensors.push_back(std::move(part));
  };
  // Outputs from `begin` on of a tensor, without those that make gates whole words: where they
  // begin, counted from there, and which and how many they are of the user's tensor.
  auto for_gates = [&](size_t t, int64_t begin, int64_t count, const auto& visit) {
    const auto found = whole_.gates.find(static_cast<int>(t));
    const Gate gate =
        found == whole_.gates.end() ? Gate{begin + count, begin + count} : found->second;
    for (int64_t g = begin / gate.width; g * gate.width < begin + count; ++g) {
      const int64_t from = std::max(begin, g * gate.width);
      const int64_t to = std::min(begin + count, g * gate.width + gate.values);
      if (from >= to) continue;
      const size_t parts = program_.tensors.size();
      visit(from - begin, g * gate.values + from - g * gate.width, to - from);
      for (size_t p = parts; p < program_.tensors.size() && alone && gate.values < gate.width;
           ++p) {
        program_.tensors[p].name += fmt::format("[gate {}]", g);
      }
    }
  };
  std::map<int, size_t> graph_tensor;  // of a local tensor
  for (size_t i = 0; i < tensor_of_.size(); ++i) {
    graph_tensor[tensor_of_[i]] = i;
    const auto gradient = gradient_of_.find(tensor_of_[i]);
    if (gradient != gradient_of_.end()) graph_tensor[gradient->second] = i;
    const auto states = state_of_.find(tensor_of_[i]);
    if (states != state_of_.end()) {
      for (const int state : states->second) graph_tensor[state] = i;
    }
  }
  for (size_t node = 0; node < grid_.places.size(); ++node) {
    const Place& place = grid_.places[node];
    const int64_t samples = place.batch_part * local_batch_;
    for (size_t t = 0; t < local_.size(); ++t) {
      const ProgramTensor& local = local_[t];
      const auto found = graph_tensor.find(static_cast<int>(t));
      if (found == graph_tensor.end()) {  // ones
        add(local, node, 0, local.rows, 0, local.cols, 0);
        continue;
      }
      const TrainingTensor& tensor = graph_.tensors[found->second];
      const bool of_samples = !tensor.is_parameter();
      if (IsRow(tensor)) {
        for (int64_t turn = 0; turn < local.rows; ++turn) {
          add(local, node, turn, 1, 0, local.cols, samples + turn * local.cols);
        }
        continue;
      }
      const LayerPlan* plan =
          layer_of_[found->second] < 0 ? nullptr : &plan_[layer_of_[found->second]];
      const int64_t first = plan != nullptr && plan->split ? place.output_part * plan->slice : 0;
      const auto raster = raster_.find(static_cast<int>(t));
      if (raster != raster_.end() && raster->second.image.pixels() > 1) {
        const Raster& r = raster->second;
        for (int64_t g = 0; g < r.groups; ++g) {
          const int64_t begin = g * r.samples;
          const int64_t pixels = r.image.pixels();
          auto add_image = [&](int64_t at, int64_t channel, int64_t channels) {
            add(local, node, r.Row(g, 0, 0), std::min(r.samples, local_batch_ - begin),
                samples + begin, channels * pixels, channel * pixels);
            ProgramTensor& part = program_.tensors.back();
            part.address += static_cast<uint64_t>(at * BytesOf(local));
            part.height = r.image.height;
            part.width = r.image.width;
            part.x_pitch = r.samples * part.pitch_bytes;
            part.y_pitch = r.image.width * part.x_pitch;
            if (local.role == TensorRole::kInput) part.source = InputSource();
            if (alone && r.groups > 1) {
              part.name = fmt::format("{}[{}:{}]", local.tensor, begin, begin + part.rows);
            }
          };
          for_gates(found->second, 0, r.image.channels, add_image);
        }
      } else if (of_samples) {
        const bool is_slice = tensor.kind == TensorKind::kGradient;
        auto add_rows = [&](int64_t at, int64_t col, int64_t cols) {
          add(local, node, 0, local_batch_, samples, cols, col);
          program_.tensors.back().address += static_cast<uint64_t>(at * BytesOf(local));
        };
        for_gates(found->second, is_slice ? first : 0, local.cols, add_rows);
      } else if (tensor.kind != TensorKind::kWeight) {
        if (place.batch_part != 0) continue;
        for_gates(found->second, first, local.cols, [&](int64_t at, int64_t col, int64_t count) {
          add(local, node, 0, 1, 0, count, col);
          program_.tensors.back().address += static_cast<uint64_t>(at * BytesOf(local));
        });
      } else {
        const TrainingLayer layer = Mapped(layer_of_[found->second]);
        const bool by_taps = local.cols != tensor.cols;
        const int64_t cols = by_taps ? layer.from.channels : tensor.cols;
        for (int64_t b = place.batch_part; b < plan->Blocks(); b += grid_.batch.parts) {
          auto add_rows = [&](int64_t at, int64_t row, int64_t rows) {
            for (int64_t col = 0; col < tensor.cols; col += cols) {
              add(local, node, b / grid_.batch.parts * plan->block + at, rows, row, cols, col);
              if (!by_taps) continue;
              ProgramTensor& part = program_.tensors.back();
              part.address += static_cast<uint64_t>(col / cols * TapWidth(layer) * 4);
              if (alone) part.name = fmt::format("{}[tap {}]", local.tensor, col / cols);
            }
          };
          for_gates(found->second, first + b * plan->block, plan->RowsOf(b), add_rows);
        }
      }
    }
  }
}

// The operand 1.
void Mapper::PutOne(const ProgramTensor& t, uint8_t* at) const {
  uint32_t one = std::bit_cast<uint32_t>(1.0f);
  if (t.format == ElementFormat::kFx16) one = uint32_t{1} << (16 + t.fraction_bits);
  if (t.format == ElementFormat::kFp16) one = 0x3C000000;
  for (int64_t b = 0; b < operand_; ++b)
    at[b] = static_cast<uint8_t>(one >> (8 * (4 - operand_ + b)));
}

// The starting parameters and constants as the vaults hold them.
void Mapper::Fill(const std::vector<std::vector<float>>& start) {
  std::map<std::string, size_t> parameters;
  for (size_t i = 0; i < graph_.tensors.size(); ++i) {
    if (!start[i].empty()) parameters[graph_.tensors[i].name] = i;
  }
  // What makes gates whole words, of parameters and of their state.
  std::set<std::string> of_gates;
  for (const auto& [widened, gate] : whole_.gates) {
    if (!graph_.tensors[widened].is_parameter()) continue;
    std::vector<int> tensors = {tensor_of_[widened]};
    const auto states = state_of_.find(tensors.front());
    if (states != state_of_.end()) {
      tensors.insert(tensors.end(), states->second.begin(), states->second.end());
    }
    for (const int tensor : tensors) {
      of_gates.insert(local_[tensor].tensor);
      PutZeros(local_[tensor]);
    }
  }
  for (const ProgramTensor& part : program_.tensors) {
    ProgramSegment segment;
    segment.address = part.address;
    const bool of_gate = of_gates.count(part.tensor) > 0;
    const auto found = parameters.find(part.tensor);
    if (found != parameters.end()) {
      const std::vector<float>& values = start[found->second];
      const TrainingTensor& given = given_.tensors[found->second];
      const bool is_weight = given.kind == TensorKind::kWeight;
      const int64_t cols = given.cols;
      auto copy = [&](int64_t row, int64_t to, int64_t from, int64_t count) {
        std::memcpy(segment.bytes.data() + row * part.pitch_bytes + 4 * to,
                    values.data() + (part.row + row) * cols + from, static_cast<size_t>(count) * 4);
      };
      // With the first tap come all of them.
      const bool by_taps = is_weight && part.cols != cols;
      if (by_taps && part.col > 0) continue;
      const TrainingLayer layer = Mapped(layer_of_[found->second]);
      segment.bytes.resize(static_cast<size_t>(
          of_gate && !is_weight ? part.cols * 4 : part.rows * part.pitch_bytes));
      for (int64_t r = 0; r < part.rows; ++r) {
        if (!by_taps) copy(r, 0, part.col, part.cols);
        for (int64_t tap = 0; by_taps && tap < layer.window.taps(); ++tap) {
          copy(r, tap * TapWidth(layer), tap * part.cols, part.cols);
        }
      }
    } else if (part.role == TensorRole::kState && !of_gate) {
      segment.bytes.resize(static_cast<size_t>(part.rows * part.pitch_bytes));
    } else if (part.role == TensorRole::kConstant) {
      segment.bytes.resize(static_cast<size_t>(part.pitch_bytes));
      for (int64_t c = 0; c < part.cols; ++c) PutOne(part, segment.bytes.data() + c * operand_);
    } else {
      continue;
    }
    program_.image.push_back(std::move(segment));
  }
  for (const auto& [tensor, raster] : raster_) {
    if (raster.has_zeros) PutZeros(local_[tensor]);
  }
}

// A tensor is zero on all nodes.
void Mapper::PutZeros(const ProgramTensor& local) {
  const auto bytes = static_cast<size_t>(local.rows * local.pitch_bytes);
  for (size_t node = 0; node < grid_.places.size(); ++node) {
    program_.image.push_back({local.address + node * vault_bytes_, std::vector<uint8_t>(bytes)});
  }
}

// ---- moves

Step Mapper::LoadPlain(int tensor, int64_t row, int64_t rows, Offset col, int64_t cols,
                       int64_t pad_rows, int64_t pitch, bool convert, int buffer, int tag,
                       int64_t offset, Half half) const {
  const ProgramTensor& t = local_[tensor];
  const int64_t bytes = BytesOf(t);
  // Halves fill their words: what lies behind a row is multiplied by zeros.
  if (half != Half::kNone) cols = RoundUp(cols, word_elements_);
  Step step;
  step.engine = Engine::kLoad;
  step.buffers = {{buffer, true}};
  step.dram = {{RectOf(tensor, row, rows, col, cols), false}};
  if (!convert && pad_rows == 0 && col.per_output_part == 0 &&
      RoundUp(cols * bytes, kAccess) == pitch) {
    step.copy = {offset, pitch};
  }
  const int64_t accesses = CeilDiv(cols * bytes, kAccess);
  step.cycles = rows * accesses * kAccess / beat_;
  const int64_t address = static_cast<int64_t>(t.address) + row * t.pitch_bytes;
  const int64_t dram_pitch = t.pitch_bytes;
  step.make = [=, this](const Place& place) {
    Descriptor d(Opcode::kLoad);
    d.Set(FieldId::kTag, tag);
    d.Set(FieldId::kDramAddr, address + col.At(place) * bytes);
    d.Set(FieldId::kConvert, convert);
    d.Set(FieldId::kHalf, static_cast<int64_t>(half));
    d.Set(FieldId::kRows, rows);
    d.Set(FieldId::kRowAccesses, accesses);
    d.Set(FieldId::kDramPitch, dram_pitch);
    d.Set(FieldId::kSpadAddr, s_->AddressOf(buffer) + offset);
    d.Set(FieldId::kSpadPitch, pitch);
    d.Set(FieldId::kPadRows, pad_rows);
    return d;
  };
  return step;
}

// Where the columns depend on the part, all of them count.
Rect Mapper::RectOf(int tensor, int64_t row, int64_t rows, Offset col, int64_t cols) const {
  if (col.per_output_part != 0) return {tensor, row, row + rows, 0, local_[tensor].cols};
  return {tensor, row, row + rows, col.base, col.base + cols};
}

Step Mapper::StorePlain(int tensor, int64_t row, int64_t rows, int64_t col, int64_t cols,
                        int64_t pitch, int buffer, int tag, int64_t offset) const {
  const ProgramTensor& t = local_[tensor];
  const int64_t bytes = BytesOf(t);
  Step step;
  step.engine = Engine::kStore;
  step.buffers = {{buffer, false}};
  step.dram = {{{tensor, row, row + rows, col, col + cols}, true}};
  if (RoundUp(cols * bytes, kAccess) == pitch) step.copy = {offset, pitch};
  const int64_t accesses = CeilDiv(cols * bytes, kAccess);
  step.cycles = rows * accesses * kAccess / beat_;
  const uint64_t address = t.address + static_cast<uint64_t>(row * t.pitch_bytes + col * bytes);
  const int64_t dram_pitch = t.pitch_bytes;
  step.make = [=, this](const Place&) {
    Descriptor d(Opcode::kStore);
    d.Set(FieldId::kTag, tag);
    d.Set(FieldId::kDramAddr, static_cast<int64_t>(address));
    d.Set(FieldId::kRows, rows);
    d.Set(FieldId::kRowAccesses, accesses);
    d.Set(FieldId::kDramPitch, dram_pitch);
    d.Set(FieldId::kSpadAddr, s_->AddressOf(buffer) + offset);
    d.Set(FieldId::kSpadPitch, pitch);
    return d;
  };
  return step;
}

int64_t Mapper::OperandPitch(const Operand2D& operand, int64_t k) const {
  if (operand.transposed) return KWords(k) * word_;
  const ProgramTensor& t = local_[operand.tensor];
  const int64_t source = RoundUp(k * BytesOf(t), kAccess);
  return RoundUp(Converts(t) ? source / 2 : source, word_);
}

// Rows [row, row + rows) of the operand, followed by zero rows up to padded_rows.
std::vector<Step> Mapper::LoadOperand(const Operand2D& operand, int64_t row, int64_t rows,
                                      int64_t padded_rows, int64_t k, int buffer, int tag) const {
  const ProgramTensor& t = local_[operand.tensor];
  const int64_t pitch = OperandPitch(operand, k);
  auto load = [&](Half half, int64_t offset) -> std::vector<Step> {
    if (!operand.transposed) {
      return {LoadPlain(operand.tensor, row, rows, 0, k, padded_rows - rows, pitch, Converts(t),
                        buffer, tag, offset, half)};
    }
    return LoadTransposed(operand.tensor, 0, k, row, padded_rows, KWords(k) * word_elements_ - k,
                          pitch, buffer, offset, tag, half);
  };
  if (!HasHalves(t)) return load(Half::kNone, 0);
  std::vector<Step> steps = load(Half::kHigh, 0);
  for (Step& step : load(Half::kLow, padded_rows * pitch)) steps.push_back(std::move(step));
  return steps;
}

// The zeros behind the last column in memory are the padding of columns.
std::vector<Step> Mapper::LoadTransposed(int tensor, int64_t row, int64_t rows, Offset col,
                                         int64_t count, int64_t pad_rows, int64_t pitch, int buffer,
                                         int64_t offset, int tag, Half half) const {
  const ProgramTensor& t = local_[tensor];
  const int64_t bytes = BytesOf(t);
  const bool convert = Converts(t);
  const int64_t widest = isa::kTurnBeats * beat_ / operand_;
  std::vector<Step> steps;
  for (int64_t c = 0; c < count; c += widest) {
    const int64_t columns = std::min(widest, count - c);
    Step step;
    step.engine = Engine::kLoad;
    step.buffers = {{buffer, true}};
    step.dram = {{RectOf(tensor, row, rows, {col.base + c, col.per_output_part}, columns), false}};
    const int64_t accesses = CeilDiv(columns * bytes, kAccess);
    step.cycles = rows * accesses * kAccess / beat_;
    const int64_t address = static_cast<int64_t>(t.address) + row * t.pitch_bytes + c * bytes;
    const int64_t dram_pitch = t.pitch_bytes;
    step.make = [=, this](const Place& place) {
      Descriptor d(Opcode::kLoad);
      d.Set(FieldId::kTag, tag);
      d.Set(FieldId::kDramAddr, address + col.At(place) * bytes);
      d.Set(FieldId::kConvert, convert);
      d.Set(FieldId::kHalf, static_cast<int64_t>(half));
      d.Set(FieldId::kTranspose, 1);
      d.Set(FieldId::kRows, rows);
      d.Set(FieldId::kRowAccesses, accesses);
      d.Set(FieldId::kDramPitch, dram_pitch);
      d.Set(FieldId::kSpadAddr, s_->AddressOf(buffer) + offset + c * pitch);
      d.Set(FieldId::kSpadPitch, pitch);
      d.Set(FieldId::kPadRows, pad_rows);
      d.Set(FieldId::kCols, columns);
      return d;
    };
    steps.push_back(std::move(step));
  }
  return steps;
}

// ---- jobs of the array and the vector unit

Step Mapper::Compute(const ComputeSpec& spec, int tag) const {
  const int64_t cols = v_.array.cols;
  const int64_t halves = spec.HasHalves() ? 2 : 1;
  Step step;
  step.engine = Engine::kCompute;
  step.buffers = {{spec.a, false}, {spec.b, false}};
  step.cycles = spec.m * spec.groups * spec.k_words * halves * spec.n_tiles;
  step.make = [=, this](const Place&) {
    Descriptor d(Opcode::kCompute);
    d.Set(FieldId::kTag, tag);
    d.Set(FieldId::kFirst, 1);
    d.Set(FieldId::kLast, 1);
    d.Set(FieldId::kBLevel, 2);
    d.Set(FieldId::kStoreLevel, 4);
    d.Set(FieldId::kHalves, spec.HasHalves());
    const std::array<int64_t, isa::kLoops> bounds = {spec.m, spec.groups,  spec.k_words,
                                                     halves, spec.n_tiles, 1};
    const auto a_inc = isa::Increments(
        bounds, {spec.a_pitch / word_, spec.group_pitch / word_, 1, spec.a_low / word_, 0, 0});
    const auto b_inc =
        isa::Increments({1, 1, spec.k_words, halves, spec.n_tiles, 1},
                        {0, 0, 1, spec.b_low / word_, cols * (spec.b_pitch / word_), 0});
    for (int l = 0; l < isa::kLoops; ++l) {
      d.Set(FieldId::kBound, bounds[l], l);
      d.Set(FieldId::kAInc, bounds[l] > 1 ? a_inc[l] : 0, l);
      d.Set(FieldId::kBInc, bounds[l] > 1 ? b_inc[l] : 0, l);
    }
    d.Set(FieldId::kABase, (s_->AddressOf(spec.a) + spec.a_offset) / word_);
    d.Set(FieldId::kBBase, (s_->AddressOf(spec.b) + spec.b_offset) / word_);
    d.Set(FieldId::kBColInc, spec.b_pitch / word_);
    return d;
  };
  return step;
}

Step Mapper::Vector(const ComputeSpec& of, const VectorSpec& spec, int tag) const {
  const int64_t cols = v_.array.cols;
  Step step;
  step.engine = Engine::kVector;
  step.buffers = {{spec.out, true}};
  if (spec.aux >= 0) step.buffers.push_back({spec.aux, false});
  step.make = [=, this](const Place& place) {
    const bool has_aux = spec.aux >= 0 && (spec.aux_part < 0 || spec.aux_part == place.batch_part);
    Descriptor d(Opcode::kVector);
    d.Set(FieldId::kTag, tag);
    d.Set(FieldId::kPopLevel, 1);
    d.Set(FieldId::kUseScale, spec.scale);
    d.Set(FieldId::kScalar, spec.scale ? kScalarStep : 0);
    d.Set(FieldId::kAuxKind, static_cast<int64_t>(has_aux ? spec.aux_kind : Aux::kNone));
    d.Set(FieldId::kRelu, spec.relu);
    d.Set(FieldId::kOutFp32, spec.out_bytes == 4 && operand_ == 2);
    d.Set(FieldId::kTailLoop, spec.tail ? 1 : isa::kNoTail);
    const std::array<int64_t, isa::kLoops> bounds = {of.Rows(), of.n_tiles, 1, 1, 1, 1};
    const auto out_inc =
        isa::Increments(bounds, {spec.out_pitch, cols * spec.out_bytes, 0, 0, 0, 0});
    const auto aux_inc =
        isa::Increments(bounds, {spec.aux_pitch, cols * spec.aux_bytes, 0, 0, 0, 0});
    for (int l = 0; l < isa::kLoops; ++l) {
      d.Set(FieldId::kVBound, bounds[l], l);
      d.Set(FieldId::kOutInc, bounds[l] > 1 ? out_inc[l] : 0, l);
      d.Set(FieldId::kAuxInc, bounds[l] > 1 && has_aux ? aux_inc[l] : 0, l);
    }
    d.Set(FieldId::kOutBase, s_->AddressOf(spec.out) + spec.out_offset.At(place));
    d.Set(FieldId::kAuxBase, has_aux ? s_->AddressOf(spec.aux) + spec.aux_offset : 0);
    return d;
  };
  return step;
}

Step Mapper::Elements(int in, int64_t in_offset, int64_t in_pitch, int64_t rows, int64_t cols,
                      const VectorSpec& spec, int tag) const {
  const int64_t lanes = v_.array.cols;
  Step step;
  step.engine = Engine::kVector;
  step.buffers = {{in, false}, {spec.out, true}};
  if (spec.aux >= 0) step.buffers.push_back({spec.aux, false});
  step.make = [=, this](const Place& place) {
    const bool has_aux = spec.aux >= 0 && (spec.aux_part < 0 || spec.aux_part == place.batch_part);
    Descriptor d(Opcode::kElements);
    d.Set(FieldId::kTag, tag);
    d.Set(FieldId::kUseScale, spec.scale);
    d.Set(FieldId::kScalar, spec.scale ? kScalarStep : 0);
    d.Set(FieldId::kAuxKind, static_cast<int64_t>(has_aux ? spec.aux_kind : Aux::kNone));
    d.Set(FieldId::kRelu, spec.relu);
    d.Set(FieldId::kOutFp32, spec.out_bytes == 4 && operand_ == 2);
    d.Set(FieldId::kTailLoop, isa::kNoTail);
    const std::array<int64_t, isa::kLoops> bounds = {CeilDiv(cols, lanes), rows, 1, 1, 1, 1};
    const auto out_inc =
        isa::Increments(bounds, {lanes * spec.out_bytes, spec.out_pitch, 0, 0, 0, 0});
    const auto src_inc = isa::Increments(bounds, {lanes * 4, in_pitch, 0, 0, 0, 0});
    const auto aux_inc =
        isa::Increments(bounds, {lanes * spec.aux_bytes, spec.aux_pitch, 0, 0, 0, 0});
    for (int l = 0; l < isa::kLoops; ++l) d.Set(FieldId::kVBound, bounds[l], l);
    for (int l = 0; l < 2; ++l) {
      d.Set(FieldId::kEOutInc, bounds[l] > 1 ? out_inc[l] : 0, l);
      d.Set(FieldId::kSrcInc, bounds[l] > 1 ? src_inc[l] : 0, l);
      d.Set(FieldId::kEAuxInc, bounds[l] > 1 && has_aux ? aux_inc[l] : 0, l);
    }
    d.Set(FieldId::kSrcBase, s_->AddressOf(in) + in_offset);
    d.Set(FieldId::kOutBase, s_->AddressOf(spec.out) + spec.out_offset.At(place));
    d.Set(FieldId::kAuxBase, has_aux ? s_->AddressOf(spec.aux) + spec.aux_offset : 0);
    return d;
  };
  return step;
}

// ---- operations

// Bytes that a descriptor moves belong to the job that it is tagged with.
void Mapper::CountBytes(const Descriptor& d) {
  ProgramJob& job = program_.jobs[d.Get(FieldId::kTag)];
  switch (static_cast<Opcode>(d.Get(FieldId::kOpcode))) {
    case Opcode::kLoad:
    case Opcode::kStore:
      job.dram_bytes +=
          static_cast<uint64_t>(d.Get(FieldId::kRows) * d.Get(FieldId::kRowAccesses) * kAccess);
      break;
    case Opcode::kSend:
      job.noc_bytes += static_cast<uint64_t>(d.Get(FieldId::kSendRows) * d.Get(FieldId::kRowFlits) *
                                             v_.mesh.link_bits / 8);
      break;
    default:
      break;
  }
}

void Mapper::AddOp(const TrainingOp& op, int tag, double budget) {
  switch (op.kind) {
    case TrainingOpKind::kSoftmaxCrossEntropy:
      return AddCrossEntropy(op, tag);
    case TrainingOpKind::kMeanSquare:
      return AddMeanSquare(op, tag);
    case TrainingOpKind::kPoolForward:
      return AddPoolForward(op, tag, budget);
    case TrainingOpKind::kPoolBackward:
      return AddPoolBackward(op, tag, budget);
    case TrainingOpKind::kElementForward:
      return AddElementForward(op, tag, budget);
    case TrainingOpKind::kElementBackward:
      return AddElementBackward(op, tag, budget);
    case TrainingOpKind::kSumGradients:
      return AddSum(op, tag, budget);
    case TrainingOpKind::kCopy:
      return AddCopy(op, tag, budget);
    case TrainingOpKind::kSoftmaxForward:
      return AddSoftmaxForward(op, tag, budget);
    case TrainingOpKind::kSoftmaxBackward:
      return AddSoftmaxBackward(op, tag, budget);
    case TrainingOpKind::kProduct:
      return AddProduct(op, tag, budget);
    case TrainingOpKind::kNormaliseForward:
      return AddNormaliseForward(op, tag, budget);
    case TrainingOpKind::kNormaliseBackward:
      return AddNormaliseBackward(op, tag, budget);
    case TrainingOpKind::kRecurrentForward:
      return AddRecurrentForward(op, tag, budget);
    case TrainingOpKind::kRecurrentBackward:
      return AddRecurrentBackward(op, tag, budget);
    case TrainingOpKind::kLinearForward:
    case TrainingOpKind::kLinearBackward:
    case TrainingOpKind::kLinearUpdate:
      break;
  }
  if (IsWindowed(op) || (HasOptimiserStep() && op.kind == TrainingOpKind::kLinearUpdate)) {
    // Tokens for sums come in the order in which the sums were begun.
    FlushLate();
    if (op.kind == TrainingOpKind::kLinearForward) return AddWindowForward(op, tag, budget);
    if (op.kind == TrainingOpKind::kLinearBackward) return AddWindowBackward(op, tag, budget);
    return AddWindowUpdate(op, tag, budget);
  }
  FlushAfterNext();
  if (grid_.places.size() > 1) {
    if (op.kind == TrainingOpKind::kLinearForward) return AddForward(op, tag, budget);
    if (op.kind == TrainingOpKind::kLinearBackward) return AddBackward(op, tag, budget);
    return AddUpdate(op, tag, budget);
  }
  auto tensor = [&](Role role) {
    const int t = op.Tensor(role);
    return t < 0 ? -1 : tensor_of_[t];
  };
  Gemm g;
  g.layer = graph_.layers[op.layer].name;
  g.tag = tag;
  const TrainingLayer& layer = graph_.layers[op.layer];
  g.m = local_batch_;
  if (op.kind == TrainingOpKind::kLinearForward) {
    g.n = layer.out;
    g.k = layer.in;
    g.a = {tensor(Role::kX), false};
    g.b = {tensor(Role::kW), false};
    g.out = tensor(Role::kY);
    g.bias = tensor(Role::kB);
    g.relu = op.relu;
    return AddGemm(g, budget);
  }
  if (op.kind == TrainingOpKind::kLinearBackward) {
    g.n = layer.in;
    g.k = layer.out;
    g.a = {tensor(Role::kDz), false};
    g.b = {tensor(Role::kW), true};
    g.out = tensor(Role::kDx);
    g.mask = op.mask ? tensor(Role::kX) : -1;
    return AddGemm(g, budget);
  }
  // Rows of the weights are outputs: A is dZ transposed, B is X transposed.
  g.a = {tensor(Role::kDz), true};
  g.b = {tensor(Role::kX), true};
  g.out = tensor(Role::kW);
  g.m = local_[g.out].rows;
  g.n = local_[g.out].cols;
  g.k = graph_.batch;
  // Of a parameter: its gradient stored, if asked for, then the parameter updated with it.
  auto update = [&](Gemm gemm) {
    if (keep_gradients_) {
      Gemm gradient = gemm;
      gradient.out = gradient_of_.at(gemm.out);
      AddGemm(gradient, budget);
    }
    gemm.in_place = true;
    gemm.scale = true;
    AddGemm(gemm, budget);
  };
  update(g);
  if (tensor(Role::kB) >= 0) {
    Gemm bias = g;
    bias.a = {ones_, false};
    bias.b = {tensor(Role::kDz), true};
    bias.out = tensor(Role::kB);
    bias.m = 1;
    bias.n = local_[bias.out].cols;
    update(bias);
  }
}

Program Mapper::Map(const std::string& network) {
  const bool by_class = graph_.loss_kind == Loss::kSoftmaxCrossEntropy;
  if (by_class && graph_.classes > v_.vector.softmax_classes) {
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
  program_.partition = PartitionText();
  PlanLayers();
  PlaceTensors();
  Expand();
  Fill(StartingParameters(given_, recipe_));

  for (size_t i = 0; i < graph_.ops.size(); ++i) {
    const TrainingOp& op = graph_.ops[i];
    ProgramJob job;
    job.tag = static_cast<int>(i);
    job.layer = op.IsLoss() ? "loss" : graph_.layers[op.layer].name;
    job.phase = std::string(PhaseName(op.phase));
    job.macs = static_cast<uint64_t>(op.macs);
    program_.jobs.push_back(std::move(job));
  }
  for (bool train : {false, true}) {
    ProgramStream stream;
    stream.name = train ? "train" : "infer";
    size_t longest = 0;
    for (std::vector<Descriptor>& descriptors : MapOps(train)) {
      NodeProgram& node = stream.nodes.emplace_back();
      node.address = (stream.nodes.size() - 1) * vault_bytes_ + program_.memory_bytes;
      longest = std::max(longest, descriptors.size());
      node.descriptors = std::move(descriptors);
    }
    program_.memory_bytes += longest * isa::kDescriptorBytes;
    program_.streams.push_back(std::move(stream));
  }
  for (const NodeProgram& node : program_.streams.back().nodes) {
    for (const Descriptor& d : node.descriptors) CountBytes(d);
  }
  ExplainJobs(program_.streams.back());
  for (size_t i = 0; i < program_.jobs.size(); ++i) {
    program_.jobs[i].data_flow =
        data_flow_[i].empty() ? "rows through the vector unit" : data_flow_[i];
  }
  if (program_.memory_bytes > vault_bytes_) {
    RefuseInput(
        "{}: the network needs {} bytes of a vault at batch {}; rule: they fit dram.mib, {} bytes "
        "in variant {}",
        graph_.file, program_.memory_bytes, graph_.batch, vault_bytes_, v_.name);
  }
  for (const ProgramStream& stream : program_.streams) {
    for (const NodeProgram& node : stream.nodes) {
      program_.image.push_back({node.address, DescriptorBytes(node)});
    }
  }

  // Of a sample; one-hot values stand for one each.
  const int64_t taken = graph_.one_hot ? graph_.InputSteps() : graph_.features;
  // Bytes of the bound: inputs and labels once, parameters as the definition counts them;
  // activations stay on chip where the largest layer's fit.
  uint64_t bytes = static_cast<uint64_t>(graph_.batch * taken * operand_ +
                                         graph_.batch * (by_class ? 2 : 4 * graph_.classes));
  for (const TrainingOp& op : graph_.ops) {
    if (op.kind == TrainingOpKind::kLinearUpdate) {
      const TrainingLayer& layer = given_.layers[op.layer];
      const uint64_t parameters =
          static_cast<uint64_t>(layer.in * layer.out + (layer.bias ? layer.out : 0));
      // Narrow form read, master read and written, narrow form written; fp32 has no narrow form of
      // its own.
      bytes += parameters * 12;
    } else if (op.kind == TrainingOpKind::kLinearBackward ||
               op.kind == TrainingOpKind::kRecurrentBackward) {
      for (const Role role : {Role::kW, Role::kU, Role::kV}) {
        const int weights = op.Tensor(role);
        if (weights < 0) continue;
        bytes += static_cast<uint64_t>(given_.tensors[weights].elements() * operand_);
      }
    }
  }
  // Activations beyond what all scratchpads hold go out and come back.
  int64_t activations = 0;
  for (const TrainingTensor& t : given_.tensors) {
    if (t.kind == TensorKind::kActivation) activations += t.elements() * operand_;
  }
  bytes += static_cast<uint64_t>(
      2 * std::max<int64_t>(0, activations - int64_t{v_.scratchpad.kib} * 1024 * v_.vaults));
  program_.bound_bytes = bytes;
  return std::move(program_);
}

Program MapNetwork(const Variant& variant, const VaultDram& dram, const TrainingGraph& graph,
                   const Recipe& recipe, const std::string& network, const MapOptions& options) {
  for (const TrainingLayer& layer : graph.layers) {
    if (!layer.IsFlat() && variant.WordElements() % variant.array.cols != 0) {
      RefuseInput(
          "{}: layer {}: variant {} has words of {} operands and {} columns; rule for "
          "images and sequences: array.cols divides array.rows * array.lanes",
          graph.file, layer.name, variant.name, variant.WordElements(), variant.array.cols);
    }
  }
  const Partition cheapest = ChoosePartition(variant, dram, graph, options.explanation);
  const Partition partition =
      options.partition ? CheckedPartition(variant, graph, *options.partition) : cheapest;
  if (options.partition && options.explanation != nullptr) {
    options.explanation->partition_reason = "as asked for";
  }
  return Mapper(variant, dram, graph, recipe, options, partition).Map(network);
}

double PinAvailability(const VaultDram& dram) {
  return 1.0 - static_cast<double>(dram.timing.tRFC) / dram.timing.tREFI;
}

double UtilisationBound(const Program& program, const Variant& variant, const VaultDram& dram) {
  const double nodes = variant.vaults;
  const double at_peak =
      static_cast<double>(program.macs_needed) / (nodes * variant.MacsPerCycle());
  const double at_pins = static_cast<double>(program.bound_bytes) * 8 /
                         (nodes * dram.geometry.data_bits * PinAvailability(dram));
  return std::min(1.0, at_peak / at_pins);
}

}  // namespace vaultrain
