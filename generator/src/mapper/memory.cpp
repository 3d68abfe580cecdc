// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Where tensors lie in the vaults, which parts of the user's they are, and what the vaults hold
// before the first step.

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <map>
#include <set>

#include "mapper/mapping.h"

namespace vaultrain {

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
      const size_t behind = parameter.name.rfind('.') + 1;
      const std::string name =
          fmt::format("{}d{}", parameter.name.substr(0, behind), parameter.name.substr(behind));
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

}  // namespace vaultrain
